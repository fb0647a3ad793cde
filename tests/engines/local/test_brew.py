"""Homebrew as a source: what a formula that is installed is found by, and a service that runs from it.

The `brew` here is a script of ours that answers the one question that is asked as Homebrew does: a folder below `opt`,
which is a link to the version in its `Cellar`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from blumeops.base.errors import Unavailable
from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.programs import Programs
from blumeops.engines.local.programs.found import Missing, Program
from blumeops.engines.local.programs.installed import in_brew
from blumeops.render.local_unit import Source
from tests.engines.local import units
from tests.engines.local.conftest import apply, get

BREW = """\
#!/bin/sh
[ "$1 $2" = "--prefix --installed" ] || exit 64
[ -d "{prefix}/opt/$3" ] || {{ echo "Error: No such keg: {prefix}/Cellar/$3" >&2; exit 1; }}
echo "{prefix}/opt/$3"
"""


@pytest.fixture
def homebrew(state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its prefix, with the formula `snake` 3.11.2 in its first revision: a python3. `brew` is on PATH."""
    prefix = state / "brew"
    keg = prefix / "Cellar" / "snake" / "3.11.2_1"
    (keg / "bin").mkdir(parents=True)
    (keg / "bin" / "python3").symlink_to("/usr/bin/python3")
    (prefix / "opt").mkdir()
    (prefix / "opt" / "snake").symlink_to("../Cellar/snake/3.11.2_1")
    (prefix / "bin").mkdir()
    brew = prefix / "bin" / "brew"
    brew.write_text(BREW.format(prefix=prefix))
    for each in (prefix, *prefix.rglob("*")):
        if not each.is_symlink():
            each.chmod(0o755)
    monkeypatch.setenv("PATH", f"{brew.parent}:/usr/bin:/bin")
    return prefix


def test_a_formula_that_is_installed(homebrew: Path) -> None:
    """Its version is that of its keg, without Homebrew's own revision; another version has to be upgraded to."""
    found = in_brew(Source(kind="brew", name="snake"), "3.11")
    assert isinstance(found, Program)
    assert (found.version, found.binary("python3")) == ("3.11.2", homebrew / "opt" / "snake" / "bin" / "python3")
    other = in_brew(Source(kind="brew", name="snake"), "3.12")
    assert isinstance(other, Missing)
    assert (other.reason, other.command) == ("3.11.2 is installed, 3.12 is wanted", "brew upgrade snake")


def test_a_formula_that_is_not_installed(homebrew: Path, tmp_path: Path) -> None:
    """Nothing is installed for anybody: the command that does is told."""
    with pytest.raises(Unavailable, match="brew adder: is not installed") as error:
        Programs(tmp_path).obtain([Source(kind="brew", name="adder")], "1", print)
    assert (error.value.code, error.value.hint) == ("BLU701", "get it by: brew install adder")


def test_a_service_runs_from_a_formula(homebrew: Path, engine: LocalEngine) -> None:
    """And the next source is asked where Homebrew has another version."""
    sources = (Source(kind="brew", name="adder"), Source(kind="brew", name="snake"))
    apply(engine, units.web("one").model_copy(update={"sources": sources}), "started")
    seen = engine.observe()["web"]
    assert get(seen.ports["http"])[1].startswith("one ")
    spec = engine.manager.defined(seen.instance)
    assert spec
    assert spec.argv[0] == str(homebrew / "opt" / "snake" / "bin" / "python3")
