"""A live forge a test, and a real git client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.forge.live import Client, Live


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Live]:
    """A forge with an empty repository, its gate open; nothing of it may outlive the test."""
    with Live.started(tmp_path / "state") as live:
        yield live


@pytest.fixture
def client(tmp_path: Path, forge: Live) -> Client:
    """A work tree with one commit, which knows the forge as `origin` and its token."""
    made = Client(tmp_path / "work")
    made.git("init", "--quiet", "--initial-branch=main", ".")
    made.git("remote", "add", "origin", forge.url(with_token=True))
    made.commit("lab.yaml", b"lab: test\n")
    return made
