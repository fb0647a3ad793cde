"""The example lab as site `here` sees it: every unit, byte by byte.

`UPDATE_GOLDEN=1 pytest tests/golden/test_local.py` writes `local/` anew: read the difference before you keep it.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.render import local

LAB = Path(__file__).parents[2] / "labs" / "first"
GOLDEN = Path(__file__).parent / "local" / "first"


def rendered(folder: Path) -> FileTree:
    """The tree of a lab that passes."""
    checked = check_folder(folder)
    assert checked.passed, checked.findings
    return local.render(checked.passed)


def test_the_example_is_rendered_so() -> None:
    """No file more, no file less, and each as it is kept here."""
    tree = rendered(LAB)
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.rmtree(GOLDEN, ignore_errors=True)
        tree.write(GOLDEN)
    kept = {path.relative_to(GOLDEN).as_posix(): path.read_text() for path in GOLDEN.rglob("*") if path.is_file()}
    assert kept == {path: tree.text(path) for path in tree}


def replaced(old: str, new: str) -> Callable[[str], str]:
    """A change of a text."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


@pytest.mark.parametrize(
    ("file", "change", "wanted"),
    [
        ("services/services.yaml", replaced("polling: 60m", "polling: 30m"), {"miniflux": ['-   "60"', '+   "30"']}),
        ("services/services.yaml", replaced('"2.2.6"', '"2.2.5"'),
         {"miniflux": ['- "version": "2.2.6",', '+ "version": "2.2.5",']}),
        ("services/services.yaml", replaced("name: pg", "name: sql"), {}),
        ("lab.yaml", replaced("memory: 8Gi", "memory: 9Gi"), {}),
    ],
)  # fmt: skip
def test_a_small_change_changes_little(
    file: str, change: Callable[[str], str], wanted: dict[str, list[str]], tmp_path: Path
) -> None:
    """One option is one line of one unit; what no unit speaks of changes none."""
    shutil.copytree(LAB, tmp_path / "lab")
    path = tmp_path / "lab" / file
    path.write_text(change(path.read_text()))
    before, after = rendered(LAB), rendered(tmp_path / "lab")
    found = {}
    for name in sorted({*before, *after}):
        lines = difflib.unified_diff(before.text(name).splitlines(), after.text(name).splitlines(), lineterm="", n=0)
        if changed := [line for line in list(lines)[2:] if not line.startswith("@@")]:
            found[Path(name).stem] = changed
    assert found == wanted
