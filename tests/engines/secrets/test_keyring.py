"""The age key in a real keyring: the store opens, the file holds nothing, and what is wrong is said."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest

from blumeops.base.errors import Unavailable, UserError
from blumeops.secrets import age, keyrings, sops
from blumeops.secrets.references import Reference
from tests.keyring_service import secret_service

PAT = Reference.parse("op://first/gandi/pat")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Secret Service for this process."""
    with tempfile.TemporaryDirectory() as place, secret_service(Path(place)) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        _anew()
        yield
    _anew()


def _anew() -> None:
    """As another process would begin."""
    keyrings.read.cache_clear()
    keyring.core._keyring_backend = None


def secret_lines(path: Path) -> list[str]:
    """Those of a key's file."""
    return [line for line in path.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-")]


def test_the_store_opens_with_a_key_in_the_keyring(session: None, tmp_path: Path) -> None:
    """Read and changed; the file has the key's name alone, and is private; and the key comes back as it was."""
    key = age.load_or_create(tmp_path / "age.key")
    lines = secret_lines(key.path)
    data = sops.updated(None, {PAT: "one"}, key)
    moved = age.into_keyring(key.path)
    assert (moved.in_keyring, moved.recipients) == (True, key.recipients)
    assert secret_lines(key.path) == []
    assert key.path.stat().st_mode & 0o777 == 0o600
    _anew()
    assert age.load_or_create(key.path) == moved
    changed = sops.updated(data, {PAT: "two"}, moved)
    assert sops.decrypt(changed, key.path)[PAT] == "two"
    assert age.into_keyring(key.path) == moved
    assert age.from_keyring(key.path) == key
    assert secret_lines(key.path) == lines
    assert sops.decrypt(changed, key.path)[PAT] == "two"
    assert keyring.get_password(keyrings.SERVICE, key.recipients[0]) is None


def test_an_entry_that_is_gone_or_another_one(session: None, tmp_path: Path) -> None:
    """It is said, and no key is made in its place."""
    key = age.into_keyring(age.load_or_create(tmp_path / "age.key").path)
    other = age.load_or_create(tmp_path / "other.key")
    keyring.set_password(keyrings.SERVICE, key.recipients[0], secret_lines(other.path)[0])
    _anew()
    with pytest.raises(UserError, match="BLU502"):
        age.load_or_create(key.path)
    keyring.delete_password(keyrings.SERVICE, key.recipients[0])
    _anew()
    with pytest.raises(Unavailable, match=r"BLU527.*has no such entry"):
        age.load_or_create(key.path)


def test_without_a_keyring_nothing_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bus: one line, and the key stays in its file."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    _anew()
    key = age.load_or_create(tmp_path / "age.key")
    with pytest.raises(Unavailable, match="BLU527"):
        age.into_keyring(key.path)
    assert secret_lines(key.path)
    _anew()


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said."""
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    key = age.load_or_create(tmp_path / "age.key")
    with pytest.raises(Unavailable, match=r"pip install 'blumeops\[keyring\]'"):
        age.into_keyring(key.path)
