"""Who may import whom: the contracts of pyproject.toml hold, and each of them can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

FORBIDDEN = {
    "base.bad": "blumeops.lab",
    "status.bad": "blumeops.lab",
    "lab.bad": "blumeops.facts",
    "facts.bad": "subprocess",
    "checks.bad": "socket",
    "render.bad": "time",
    "plan.bad": "blumeops.base.processes",
    "forge.bad": "blumeops.loop",
    "names.bad": "blumeops.forge",
    "connect.bad": "blumeops.loop",
    "secrets.bad": "blumeops.engines",
    "engines.local.bad": "blumeops.engines.ansible",
    "render.kubernetes.bad": "blumeops.render.ansible",
}
"""A module that is planted, and what it imports against the rules."""


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package in `folder`, with the contracts of the pyproject.toml there."""
    program = Path(sys.executable).parent / "lint-imports"
    settings = REPOSITORY / "pyproject.toml"
    return subprocess.run(
        [program, "--no-logo", "--no-cache", "--config", settings],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def said_of_bad_imports(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the package with every import of FORBIDDEN planted."""
    folder = tmp_path_factory.mktemp("rooms")
    package = folder / "blumeops"
    shutil.copytree(REPOSITORY / "src" / "blumeops", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, target in [*FORBIDDEN.items(), ("attic", "")]:
        module = package.joinpath(*name.split(".")).with_suffix(".py")
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(f"import {target}\n" if target else "")
    for name in ["engines/ansible", "engines/local", "render/ansible", "render/kubernetes"]:
        (package / name).mkdir(exist_ok=True)
        (package / name / "__init__.py").touch()
    done = check_imports(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_every_room_imports_only_what_it_may() -> None:
    """The package keeps all contracts."""
    done = check_imports(REPOSITORY / "src")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("module", "target"), FORBIDDEN.items())
def test_a_forbidden_import_is_found(module: str, target: str, said_of_bad_imports: str) -> None:
    """Each contract names the import that breaks it."""
    assert f"blumeops.{module} -> {target} " in said_of_bad_imports


def test_a_room_that_is_not_in_the_order_is_found(said_of_bad_imports: str) -> None:
    """Nobody escapes the rules by opening a new room."""
    assert "blumeops.attic" in said_of_bad_imports
