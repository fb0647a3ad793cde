"""A plan, or why there is none, in Markdown: the comment of a pull request at GitHub or Forgejo.

Names and values come from whoever wrote the pull request. So all of them stand in code, between fences that are longer
than any in them: there neither HTML nor links, mentions or headings mean anything
(https://github.github.com/gfm/#code-spans). The text fits into a comment: what does not is left out, and said so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from blumeops.base.findings import Finding, errors
from blumeops.plan.compare import Change, Plan
from blumeops.plan.text import printable

MOST = 60_000
"""Characters. GitHub takes 65,536 in a comment."""
MOST_BESIDE = 15_000
"""Characters of what stands beside the changes: who reaches what, notes."""
MOST_LINES = 200
"""Effects or findings that are told one by one."""


def plan_as_markdown(
    plan: Plan | None, exposure: Sequence[str] = (), notes: Sequence[str] = (), ends: Sequence[str] = ()
) -> str:
    """The plan, None where nothing is known of the revision before; diffs are folded. `exposure`: who reaches what from
    then on, a line each; `ends`: the revisions before and after."""
    if plan is None:
        return "\n".join(["### The checks pass; there is no plan\n", *_listed(notes), ""])
    count = len(plan.changes)
    told = "nothing that runs changes" if not count else f"{count} {'unit changes' if count == 1 else 'units change'}"
    head = f"### Plan: {told}\n"
    head += f"\n{' → '.join(map(_code, ends))}\n" if ends else ""
    beside = [
        "\n".join([f"**{title}**\n", *_listed(texts, MOST_BESIDE), ""])
        for title, texts in (("Who reaches what", exposure), ("To know", notes))
        if texts
    ]
    most = MOST - sum(map(len, beside))
    whole = [head, *(_change(change, with_diff=True) for change in plan.changes)]
    if sum(map(len, whole)) <= most:
        return "\n".join([*whole, *beside])
    short, size = [head, "The diffs are too long for a comment: `blumeops plan` shows them.\n"], len(head)
    for number, change in enumerate(plan.changes):
        text = _change(change, with_diff=False)
        size += len(text) + 1
        if size > most:
            short.append(f"… and {count - number} more.\n")
            break
        short.append(text)
    return "\n".join([*short, *beside])


def findings_as_markdown(findings: Sequence[Finding]) -> str:
    """Why there is no plan: every finding on a line of its own."""
    bad = len(errors(findings))
    head = f"### Refused: {bad} {'error' if bad == 1 else 'errors'}\n"
    return "\n".join([head, *_listed([str(finding) for finding in findings], MOST), ""])


def _change(change: Change, *, with_diff: bool) -> str:
    lines = [f"**{_code(change.unit)}**: {change.action}, {_code(change.why)}\n", *_listed(change.effects), ""]
    if with_diff and change.diff:
        diff = "\n".join(change.diff.splitlines()[2:])
        fence = "`" * max(3, _longest(diff) + 1)
        lines += ["<details><summary>the difference</summary>", "", f"{fence}diff", diff, fence, "", "</details>", ""]
    return "\n".join(lines)


def _listed(texts: Sequence[str], most: int = MOST) -> list[str]:
    """A line each; no more than `MOST_LINES` of them, and than `most` characters."""
    lines: list[str] = []
    for text in texts[:MOST_LINES]:
        line = f"- {_code(text)}"
        most -= len(line) + 1
        if most < 0:
            break
        lines.append(line)
    more = [f"- … and {len(texts) - len(lines)} more"] if len(texts) > len(lines) else []
    return lines + more


def _code(text: str) -> str:
    """The text as a code span on one line, shortened; what could not be seen in it stands as an escape."""
    line = printable(" ".join(text.split()))
    line = line if len(line) <= 500 else line[:499] + "…"
    fence = "`" * (_longest(line) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def _longest(text: str) -> int:
    """The longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
