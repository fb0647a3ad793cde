"""A fake forge, and a lab that follows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.remote.fake_forge import FakeForge
from tests.engines.remote.lab import RemoteLab


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[FakeForge]:
    """A fake forge with an empty repository."""
    with FakeForge.started(tmp_path / "theirs") as fake:
        yield fake


@pytest.fixture
def lab(tmp_path: Path, state: Path, forge: FakeForge) -> Iterator[RemoteLab]:
    """A lab that follows the fake forge, not up yet; down at the end."""
    made = RemoteLab.made(tmp_path / "clone", state, forge)
    yield made
    made.run("down", code=None)
