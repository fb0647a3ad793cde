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

MOST = 60_000
"""Characters. GitHub takes 65,536 in a comment."""
MOST_LINES = 200
"""Effects or findings that are told one by one."""


def plan_as_markdown(plan: Plan) -> str:
    """The plan; diffs are folded."""
    count = len(plan.changes)
    if not count:
        return "### Plan: nothing that runs changes\n"
    head = f"### Plan: {count} {'unit changes' if count == 1 else 'units change'}\n"
    whole = [head, *(_change(change, with_diff=True) for change in plan.changes)]
    if sum(map(len, whole)) <= MOST:
        return "\n".join(whole)
    short, size = [head, "The diffs are too long for a comment: `blumeops plan` shows them.\n"], len(head)
    for number, change in enumerate(plan.changes):
        text = _change(change, with_diff=False)
        size += len(text) + 1
        if size > MOST:
            short.append(f"… and {count - number} more.\n")
            break
        short.append(text)
    return "\n".join(short)


def findings_as_markdown(findings: Sequence[Finding]) -> str:
    """Why there is no plan: every finding on a line of its own."""
    bad = len(errors(findings))
    head = f"### Refused: {bad} {'error' if bad == 1 else 'errors'}\n"
    return "\n".join([head, *_listed([str(finding) for finding in findings]), ""])


def _change(change: Change, *, with_diff: bool) -> str:
    lines = [f"**{_code(change.unit)}**: {change.action}, {_code(change.why)}\n", *_listed(change.effects), ""]
    if with_diff and change.diff:
        diff = "\n".join(change.diff.splitlines()[2:])
        fence = "`" * max(3, _longest(diff) + 1)
        lines += ["<details><summary>the difference</summary>", "", f"{fence}diff", diff, fence, "", "</details>", ""]
    return "\n".join(lines)


def _listed(texts: Sequence[str]) -> list[str]:
    more = [f"- … and {len(texts) - MOST_LINES} more"] if len(texts) > MOST_LINES else []
    return [f"- {_code(text)}" for text in texts[:MOST_LINES]] + more


def _code(text: str) -> str:
    """The text as a code span on one line, shortened."""
    line = " ".join(text.split())
    line = line if len(line) <= 500 else line[:499] + "…"
    fence = "`" * (_longest(line) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def _longest(text: str) -> int:
    """The longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
