"""What the checks say, word by word: a folder a case, with a lab that passes and one that does not.

`checks/CODE-NAME/bad/expected.txt` holds the findings exactly. `UPDATE_GOLDEN=1 pytest tests/golden/test_checks.py`
writes them anew: read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from blumeops.base.errors import UserError
from blumeops.checks.check import check_folder

HERE = Path(__file__).parent / "checks"
CASES = sorted(path.name for path in HERE.iterdir() if path.is_dir())
SOURCES = Path(__file__).parents[2] / "src" / "blumeops"


def said(folder: Path) -> str:
    """What `blumeops check` would say of the lab in `folder`, a finding a line."""
    try:
        return "".join(f"{finding}\n" for finding in check_folder(folder).findings)
    except UserError as error:
        return f"{error}\n".replace(str(folder), "LAB")


@pytest.mark.parametrize("case", CASES)
def test_a_good_lab_passes(case: str) -> None:
    """Nothing is said of the lab in which the mistake is mended."""
    assert said(HERE / case / "good") == ""


@pytest.mark.parametrize("case", CASES)
def test_a_bad_lab_is_refused_in_these_words(case: str) -> None:
    """Code, place, what is wrong and what to change: all of it, and nothing that follows from it."""
    expected = HERE / case / "bad" / "expected.txt"
    found = said(HERE / case / "bad")
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(found)
    assert found == expected.read_text()
    wanted = re.match(r"BLU\d{3}", case)
    assert wanted is None or set(re.findall(r"BLU\d{3}", found)) == {wanted[0]}


def codes_in(*rooms: str) -> set[str]:
    """The codes that the sources of these rooms can say."""
    found: set[str] = set()
    for room in rooms:
        for file in (SOURCES / room).rglob("*.py"):
            found |= set(re.findall(r'"(BLU\d{3})"', file.read_text()))
    return found


def test_every_code_has_a_case() -> None:
    """A check without a lab that fails it is a check that nobody has seen."""
    tried = {match[0] for case in CASES if (match := re.match(r"BLU\d{3}", case))}
    # What is wrong with any policy is tried in test_policy.py.
    assert codes_in("lab", "checks", "facts/access") - codes_in("facts/policy") == tried
