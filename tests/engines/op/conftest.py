"""A SOPS store with a value of each kind, and the collection with Ansible's lookups for 1Password."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from blumeops.base.files import locked
from tests.engines.op.store import SECRETS, Store, make_store

ANSIBLE = "ansible==12.3.0 --hash=sha256:cd156f82fa87f7a899212b0efa9f7ca3a24d609212de9f78428a572eb01e5414"
"""Of the release that has our ansible-core: in it lies the collection community.general."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with SECRETS, which no test changes."""
    return make_store(tmp_path_factory.mktemp("store"), SECRETS)


@pytest.fixture(scope="session")
def collections() -> Path:
    """A folder with the collection community.general in it, fetched once; a skip where it cannot be had."""
    place = Path(os.environ["BLUMEOPS_TEST_CACHE"]) / "programs" / "ansible-12.3.0"
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place.with_name(f"{place.name}.lock")):
        if not place.is_dir():
            _fetch(place)
    return place


def _fetch(place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        wanted = Path(scratch, "wanted.txt")
        wanted.write_text(f"{ANSIBLE}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "-r", str(wanted)]
        done = subprocess.run([*pip, "-d", scratch], capture_output=True, text=True, check=False, timeout=240)
        if done.returncode:
            pytest.skip("the package ansible, which holds community.general, cannot be fetched")
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            inside = "ansible_collections/community/general/"
            archive.extractall(
                f"{scratch}/whole",
                [name for name in archive.namelist() if name.startswith(inside) and "/tests/" not in name],
            )
        shutil.move(f"{scratch}/whole", place)
