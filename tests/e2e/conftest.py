"""One site for all tests of a module: bringing it up is a test of its own, the rest is what happens to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import nothing_left
from tests.e2e.site import Site, make_site


@pytest.fixture(autouse=True)
def guard() -> None:
    """Here the guard stands around the module's site: its processes come and go between tests."""


@pytest.fixture(scope="module")
def place(own_place: Path) -> Iterator[Path]:
    """A folder that services of root, which run as nobody, can get to; nothing may be left in or of it."""
    with nothing_left(own_place, [own_place]):
        folder = Path(tempfile.mkdtemp(prefix="e", dir=own_place))
        folder.chmod(0o711)
        yield folder
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    """labs/first, not yet up; down at the end, whatever happened."""
    made = make_site(place)
    yield made
    made.run("down", code=None)
