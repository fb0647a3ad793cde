"""What a command imports: each of the short ones is mostly that, so none imports what it has no use for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from blumeops.status.database import open_database

REPO = Path(__file__).parents[2]
ALONE = {
    "asyncio", "blumeops.app", "blumeops.base.site", "blumeops.cli.op_arguments", "blumeops.engines",
    "blumeops.facts.policy", "blumeops.lab.brought.manifests", "blumeops.lab.compose", "blumeops.loop",
    "blumeops.secrets", "blumeops.status", "difflib", "platformdirs", "psutil", "sqlite3", "starlette", "subprocess",
}  # fmt: skip
"""What nothing needs that is about a description alone, where that brings no manifests and has no mistakes."""


def at_the_end(code: str, expression: str, folder: Path) -> list[str]:
    """The words of an expression, once a program has run and before the interpreter ends."""
    code = f"import atexit, gc, sys; atexit.register(lambda: print(*{expression}, file=sys.stderr)); {code}"
    env = {**os.environ, "HOME": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=50)
    return done.stderr.splitlines()[-1].split()


def imported(code: str, folder: Path) -> set[str]:
    """The modules that are there once a program has run."""
    return set(at_the_end(code, "sys.modules", folder))


@pytest.mark.parametrize(
    ("line", "unused"),
    [
        ("check --lab LAB", ALONE | {"blumeops.base.tree", "blumeops.plan", "blumeops.render", "html"}),
        ("render --site home --lab LAB --out TMP/out", ALONE | {"blumeops.plan", "blumeops.render.local"}),
        ("render --site here --lab LAB --out TMP/out", ALONE | {"blumeops.plan", "blumeops.render.kubernetes"}),
        ("show --lab LAB", ALONE | {"blumeops.plan", "blumeops.render"}),
        ("reach --lab LAB erich miniflux", ALONE | {"blumeops.plan", "blumeops.render"}),
        ("whatif --lab LAB indri", ALONE | {"blumeops.plan", "blumeops.render"}),
    ],
)
def test_a_command_imports_what_it_needs(line: str, unused: set[str], tmp_path: Path) -> None:
    """And nothing that only others need, nor what a person needs who made a mistake."""
    words = line.replace("LAB", str(REPO / "labs/blumeops")).replace("TMP", str(tmp_path)).split()
    found = imported(f"from blumeops.cli.main import main; main({words})", tmp_path)
    assert "blumeops.checks.check" in found
    assert found & unused == set()


@pytest.mark.parametrize(
    "line", ["status", "status --json", "history", "logs controller", "logs web --raw", "op read op://first/web/key"]
)
def test_who_only_looks_reads_no_description(line: str, tmp_path: Path) -> None:
    """What runs is asked again and again, and `op` is called once for each secret."""
    lab, state = REPO / "labs/first", tmp_path / "state"
    (state / "logs").mkdir(parents=True)
    (state / "lab").write_text("first\n")
    for name in ("controller", "web.a"):
        (state / "logs" / f"{name}.log").write_text("it prints\n")
    open_database(state).close()
    words = [*line.split(), "--lab", str(lab), "--state", str(state)]
    found = imported(f"from blumeops.cli.main import main\ntry: main({words})\nexcept SystemExit: pass", tmp_path)
    heavy = {"asyncio", "blumeops.checks", "blumeops.facts", "blumeops.lab.model", "blumeops.loop", "pydantic"}
    assert found & heavy == set()
    assert "blumeops.app" in found


def test_no_garbage_is_looked_for(tmp_path: Path) -> None:
    """Neither while a short command runs nor at its end."""
    code = f"from blumeops.cli.main import main; main(['check', '--lab', {str(REPO / 'labs/blumeops')!r}])"
    enabled, frozen = at_the_end(code, "(gc.isenabled(), gc.get_freeze_count())", tmp_path)
    assert enabled == "False"
    assert int(frozen) > 10_000


def test_no_validator_is_built_while_the_models_are_imported(tmp_path: Path) -> None:
    """Defaults are made without: what pydantic loads to build one is not there."""
    builds = "pydantic.plugin._loader"
    assert builds not in imported("import blumeops.lab.load", tmp_path)
    assert builds in imported("from blumeops.lab.app import Logs; Logs()", tmp_path)
