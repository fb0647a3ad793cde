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


@pytest.mark.parametrize("text", HOSTILE)
def test_nor_is_what_stands_beside_the_changes(text: str) -> None:
    """Who reaches what, notes and the names of revisions."""
    told = plan_as_markdown(Plan(()), [text], [text], [text, "b"]) + plan_as_markdown(None, notes=[text])
    for word in ("img", "<b>", "everyone", "http", "# b", "# h", "</details>"):
        assert word not in outside_code(told)


def test_what_cannot_be_seen_is_shown() -> None:
    """Marks that turn the direction of a text would make a line say something else."""
    assert "`a\\u202eb`" in findings_or_plan("a\u202eb")


def findings_or_plan(text: str) -> str:
    """Both forms of a comment about it."""
    return findings_as_markdown([_finding(text)]) + plan_as_markdown(Plan(()), [text])


@pytest.mark.parametrize("count", [250, 5000])
def test_however_much_there_is_beside_or_wrong_it_fits(count: int) -> None:
    """GitHub takes 65,536 characters."""
    many = [f"{number} {'x' * 600}" for number in range(count)]
    assert len(findings_as_markdown([_finding(text) for text in many])) < 65_536
    plan = Plan(tuple(change(text) for text in many))
    told = plan_as_markdown(plan, many, many)
    assert len(told) < 65_536
    assert told.count("- … and ") == 2


def _finding(text: str) -> Finding:
    return Finding("BLU113", Place("services/a.yaml", 1, 1), text, text, text)
