"""The locks agree with pyproject.toml and with each other, and give away no place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
ALL, RUN = (REPOSITORY / name for name in ("requirements.lock", "requirements-run.lock"))


def pinned(lock: Path) -> dict[str, str]:
    """The version of each package in a lock."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", lock.read_text(), re.MULTILINE))


def asked(lock: Path) -> list[Requirement]:
    """What pyproject.toml asks for, of what `lock` is to hold."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    groups, project = settings["dependency-groups"], settings["project"]
    words = project["dependencies"] + project["optional-dependencies"]["here"] + groups["build"]
    return [Requirement(word) for word in words + (groups["dev"] if lock == ALL else [])]


@pytest.mark.parametrize("lock", [ALL, RUN], ids=lambda path: path.name)
def test_what_is_asked_for_is_locked(lock: Path) -> None:
    """Every requirement has a version in the lock, and it will do; `make lock` mends it."""
    versions = pinned(lock)
    stale = [
        str(requirement)
        for requirement in asked(lock)
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ]
    assert not stale


def test_what_runs_is_what_was_tested() -> None:
    """The lock of what runs is a part of the whole one."""
    assert pinned(RUN).items() <= pinned(ALL).items()


@pytest.mark.parametrize("lock", [ALL, RUN], ids=lambda path: path.name)
def test_every_package_has_hashes_and_nothing_else(lock: Path) -> None:
    """A lock holds packages, versions, markers and hashes: no option, no address."""
    name = r"[a-z0-9-]+==[0-9a-z.+]+(?: ; [\w '.<>=!()]+)? \\\n"
    hashed = r"    --hash=sha256:[0-9a-f]{64}"
    odd = re.sub(rf"^{name}(?:{hashed} \\\n)*{hashed}\n", "", lock.read_text(), flags=re.MULTILINE)
    assert odd == ""
