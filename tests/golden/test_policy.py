"""Policy files, and what is said of each: a file a case, with the findings in comments at its end.

`UPDATE_GOLDEN=1 pytest tests/golden/test_policy.py` writes the comments anew. Names begin with the code that a case is
about, or with `good`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from blumeops.base.findings import errors
from blumeops.facts import policy

HERE = Path(__file__).parent / "policy"
CASES = sorted(HERE.glob("*.hujson"))
SOURCE = Path(__file__).resolve().parents[2] / "src" / "blumeops" / "facts" / "policy"
ELSEWHERE = {"BLU270", "BLU271", "BLU272", "BLU273", "BLU281"}
"""Said of tests that run and of nodes: tests/unit/test_policy_trials.py and test_policy_tailnet.py."""
MARK = "// finds: "


def told(text: str, name: str) -> list[str]:
    """The findings about a text, without the file's name."""
    found = policy.read(text.encode(), name).findings
    return [str(finding).removeprefix(f"{name}:") for finding in found]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_policy_is_judged_as_before(case: Path) -> None:
    """The same findings at the same places; bad ones say their code, good ones have no finding."""
    lines = case.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(MARK))
    found = told(text, case.name)
    if os.environ.get("UPDATE_GOLDEN"):
        case.write_text(text + "".join(f"{MARK}{line}\n" for line in found))
        lines = case.read_text().splitlines(keepends=True)
    assert found == [line.removeprefix(MARK).rstrip("\n") for line in lines if line.startswith(MARK)]
    code = case.stem.partition("-")[0]
    assert any(f" {code} " in f" {line}" for line in found) if code != "good" else not found, found


def test_every_finding_has_a_case() -> None:
    """No code of the reader and the checks is without a policy that shows it."""
    codes = {code for file in SOURCE.glob("*.py") for code in re.findall(r"BLU\d{3}", file.read_text())}
    assert codes - ELSEWHERE == {case.stem.partition("-")[0] for case in CASES} - {"good"}


def test_a_policy_with_an_error_is_none() -> None:
    """Nothing can be concluded from what is wrong; warnings do not stop it."""
    for case in CASES:
        read = policy.read(case.read_bytes(), case.name)
        assert (read.policy is None) == bool(errors(read.findings)), case.name
