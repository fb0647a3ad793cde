"""The documentation: links lead somewhere, what code knows is written from code, and nothing names a machine."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.cli.commands import parser

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *(REPOSITORY / "labs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
MACHINE = re.compile(
    r"(?<![\w.])/(?:tmp|root|work|Users)/|/home/(?!you\b)|"
    r"\b(?!127\.0\.0\.1\b|0\.0\.0\.0\b|192\.168\.|100\.64\.0\.)\d+\.\d+\.\d+\.\d+\b"
)


def page_id(path: Path) -> str:
    """A page's name in the list of tests."""
    return str(path.relative_to(REPOSITORY))


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have as targets of links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every parser below `top`."""
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield command
                yield from commands(command)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_resolve(page: Path) -> None:
    """Every link to a file or a heading of this repository finds it."""
    broken = []
    for match in LINK.finditer(page.read_text()):
        target, _, anchor = (match[1] or match[2]).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(match[0])
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_page_names_a_machine(page: Path) -> None:
    """Paths and addresses of the machine that a page was written on are not in it; /home/you is nobody's."""
    assert [match[0] for match in MACHINE.finditer(page.read_text())] == []


def test_every_page_of_docs_is_linked_from_the_index() -> None:
    """A reader finds every page from docs/README.md."""
    index = (DOCS / "README.md").read_text()
    pages = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.parent.name != "decisions"]
    assert [page for page in pages if page != "README.md" and f"]({page})" not in index] == []


def test_every_decision_is_in_the_table_of_decisions() -> None:
    """docs/decisions/README.md lists each record."""
    index = (DOCS / "decisions" / "README.md").read_text()
    records = [page.name for page in (DOCS / "decisions").glob("0*.md")]
    assert [name for name in sorted(records) if f"]({name})" not in index] == []


def test_generated_pages_are_up_to_date() -> None:
    """docs/reference says what the code says: `make docs` writes it again."""
    done = subprocess.run([sys.executable, "scripts/docs", "--check"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_the_picture_is_made_from_its_transcript() -> None:
    """docs/pictures/first-run.svg is what scripts/picture makes of first-run.txt."""
    transcript = (DOCS / "pictures" / "first-run.txt").read_bytes()
    done = subprocess.run([sys.executable, REPOSITORY / "scripts/picture"], input=transcript, capture_output=True)
    assert done.stdout == (DOCS / "pictures" / "first-run.svg").read_bytes()


def test_every_command_and_flag_is_documented() -> None:
    """docs/reference/commands.md has each command as a heading and each flag that people are to know."""
    page = (DOCS / "reference" / "commands.md").read_text()
    for command in commands(parser()):
        holds_others = any(isinstance(action, argparse._SubParsersAction) for action in command._actions)
        name = command.prog.removeprefix("blumeops ")
        assert holds_others or re.search(rf"^##+ {name}$", page, re.MULTILINE), name
        for action in command._actions:
            if action.help != argparse.SUPPRESS and action.dest != "help":
                assert all(f"`{option}`" in page for option in action.option_strings), (name, action.option_strings)


def test_every_code_is_documented() -> None:
    """Each BLUnnn of the source stands in docs/reference/findings.md, and no other."""
    source = "".join(path.read_text() for path in (REPOSITORY / "src").rglob("*.py"))
    page = (DOCS / "reference" / "findings.md").read_text()
    assert set(re.findall(r"^\| `(BLU\d{3})`", page, re.MULTILINE)) == set(re.findall(r"\bBLU\d{3}\b", source))


def test_commands_in_pages_exist() -> None:
    """`blumeops WORD` in a page's code is a command, so no page promises what is not there."""
    known = {command.prog.split()[1] for command in commands(parser())}
    for page in PAGES:
        code = re.findall(r"^(?: {4}|\t).*|```.*?```|`[^`\n]+`", page.read_text(), re.MULTILINE | re.DOTALL)
        used = {word for text in code for word in re.findall(r"(?:^|[\s`$/])blumeops ([a-z]+)\b", text)}
        assert used <= known, f"{page}: {used - known}"
