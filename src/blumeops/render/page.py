"""The page that stands in for a service that does not answer: which one, how it is, since when, why, what to do.

In: words about the unit, of which none is trusted. Out: one HTML file without anything beside it. Promised: it is the
same for the same words (how long ago that was, the browser reckons), everything in it is escaped, and nothing of
whoever asks is in it.
"""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from string import Template

AGAIN = 5
"""Seconds after which a browser asks again."""


@dataclass(frozen=True, slots=True)
class Down:
    """`mood`: "bad", "wait" or "rest", for the colour; times are RFC 3339. Empty words are left out."""

    service: str
    about: str
    heading: str
    state: str
    mood: str
    since: str
    reason: str = ""
    command: str = ""
    """What gets it."""
    change: str = ""
    """What was done to it last."""
    changed: str = ""


def page(down: Down) -> str:
    """The file's text."""
    rows = [_row("State", f'<span class="{html.escape(down.mood)}">{html.escape(down.state)}</span>')]
    rows.append(_row("Since", _time(down.since)))
    if down.reason:
        rows.append(_row("Why", f"<pre>{html.escape(down.reason)}</pre>"))
    if down.command:
        rows.append(_row("To get it", f"<pre>{html.escape(down.command)}</pre>"))
    if down.change:
        rows.append(_row("Last change", f"{html.escape(down.change)}, {_time(down.changed)}"))
    return _PAGE.substitute(
        again=AGAIN, style=_STYLE, script=_SCRIPT, heading=html.escape(down.heading),
        service=html.escape(down.service), about=html.escape(down.about), rows="".join(rows),
    )  # fmt: skip


def _row(name: str, value: str) -> str:
    return f"<dt>{name}</dt><dd>{value}</dd>\n"


def _time(when: str) -> str:
    shown = html.escape(when.replace("T", " ").partition(".")[0].rstrip("Z"))
    return f'<time datetime="{html.escape(when)}">{shown} UTC</time>'


_STYLE = """
:root { color-scheme: light dark; --back: #f4f5f7; --card: #fff; --text: #1d2330; --dim: #667085; --line: #e4e7ec;
  --bad: #b42318; --wait: #b54708; --rest: #475467; --code: #f6f7f9 }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --card: #1d2128; --text: #e6e8ec; --dim: #98a2b3;
  --line: #2e343d; --bad: #f97066; --wait: #fdb022; --rest: #98a2b3; --code: #14171c } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--back);
  color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif }
main { width: 100%; max-width: 40rem; padding: 2rem 2.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere }
p { margin: .25rem 0 0; color: var(--dim) }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .75rem 1.25rem; margin: 1.5rem 0;
  padding: 1.5rem 0; border: solid var(--line); border-width: 1px 0 }
dt { color: var(--dim) }
dd { margin: 0; overflow-wrap: anywhere }
dd span::before { content: ""; display: inline-block; width: .6em; height: .6em; margin-right: .5em;
  border-radius: 50%; background: currentColor }
.bad { color: var(--bad) } .wait { color: var(--wait) } .rest { color: var(--rest) }
pre { margin: 0; padding: .5rem .75rem; background: var(--code); border: 1px solid var(--line); border-radius: 6px;
  font: .85rem/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
footer { color: var(--dim); font-size: .875rem }
@media (max-width: 30rem) { main { padding: 1.25rem } dl { grid-template-columns: 1fr; gap: .25rem }
  dd { margin-bottom: .75rem } }
"""

_SCRIPT = """
for (const time of document.querySelectorAll("time")) {
  const then = new Date(time.dateTime), seconds = Math.max(0, (Date.now() - then) / 1000)
  const [count, unit] = seconds < 60 ? [seconds, "second"] : seconds < 3600 ? [seconds / 60, "minute"]
    : seconds < 86400 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"], whole = Math.floor(count)
  if (!isNaN(count)) time.textContent = `${whole} ${unit}${whole === 1 ? "" : "s"} ago (${then.toLocaleString()})`
}
"""

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()}'"
)
"""The Content-Security-Policy with which it is served: only this very script runs, and nothing is fetched."""

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="$again">
<meta name="robots" content="noindex">
<title>$heading</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$heading</h1>
<p>$about</p>
<dl>
$rows</dl>
<footer>The proxy works and says this in place of $service. This page asks again every $again seconds.</footer>
</main>
<script>$script</script>
</body>
</html>
"""
)
