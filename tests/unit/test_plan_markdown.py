"""A plan as the comment of a pull request, written by people that nobody knows yet."""

from __future__ import annotations

import re

import pytest

from blumeops.base.findings import Finding, Place
from blumeops.plan.compare import Change, Plan
from blumeops.plan.markdown import MOST, findings_as_markdown, plan_as_markdown

HOSTILE = ["<img src=x onerror=alert(1)>", "`` ` ``` <b>", "@everyone #1 [x](http://x) | # h", "</details>", "a\n# b"]


def change(text: str, diff: str = "") -> Change:
    """A change that says `text` wherever it can."""
    return Change(text, "restart", text, (text,), f"--- a\n+++ b\n{diff or text}")


def outside_code(markdown: str) -> str:
    """What Markdown reads as such: without fenced blocks and code spans, as CommonMark finds them."""
    without = re.sub(r"^(`{3,})diff\n.*?\n\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", without)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_what_others_wrote_is_markdown(text: str) -> None:
    """Neither HTML nor mentions, links or headings: all of it stands in code."""
    said = outside_code(plan_as_markdown(Plan((change(text),))) + findings_as_markdown([_finding(text)]))
    for word in ("img", "<b>", "everyone", "http", "# b", "# h"):
        assert word not in said
    assert said.count("</details>") == 1


def test_a_plan_as_markdown() -> None:
    """A heading that counts, a paragraph a unit, effects as a list, the difference folded."""
    told = plan_as_markdown(Plan((Change("web", "restart", "env changed", ("A: 1 → 2",), "--- a\n+++ b\n-1\n+2"),)))
    assert told == (
        "### Plan: 1 unit changes\n\n**`web`**: restart, `env changed`\n\n- `A: 1 → 2`\n\n"
        "<details><summary>the difference</summary>\n\n```diff\n-1\n+2\n```\n\n</details>\n"
    )
    assert plan_as_markdown(Plan(())) == "### Plan: nothing that runs changes\n"


@pytest.mark.parametrize("count", [10, 5000])
def test_it_fits_into_a_comment(count: int) -> None:
    """Diffs go first, then what is too much of the rest; both is said."""
    told = plan_as_markdown(Plan(tuple(change(f"unit {number}", "+x\n" * 5000) for number in range(count))))
    assert len(told) < MOST + 1000
    assert "the diffs are too long" in told.lower()
    assert ("more." in told) == (count == 5000)


def _finding(text: str) -> Finding:
    return Finding("BLU113", Place("services/a.yaml", 1, 1), text, text, text)
