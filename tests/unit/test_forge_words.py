"""The forge's small pure functions: hosts, names, links, credentials, the token's file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from blumeops.forge import tokens
from blumeops.forge.credential import answer
from blumeops.forge.git import printable
from blumeops.forge.hosts import is_loopback
from blumeops.forge.inspect import is_git_folder


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True), ("localhost:8480", True), ("LocalHost", True), ("a.ops.localhost:1", True),
        ("127.0.0.1", True), ("127.9.9.9:80", True), ("[::1]:80", True),
        ("", False), ("localhost.", False), ("localhost:", False), ("localhost:1\n", False), ("xlocalhost", False),
        ("127.0.0.1.nip.io", False), ("evil.example", False), ("u@localhost", False), ("localhost/x", False),
        ("10.0.0.1", False), ("::1", False), (".localhost", False), ("128.0.0.1", False),
    ],
)  # fmt: skip
def test_loopback(host: str, ours: bool) -> None:
    """Only names and addresses that can mean nothing but this machine are ours."""
    assert is_loopback(host) is ours


@pytest.mark.parametrize(
    ("name", "reserved"),
    [(".git", True), (".GiT", True), (".git. .", True), ("GIT~1", True), (".github", False), (".gitignore", False)],
)
def test_git_folder(name: str, reserved: bool) -> None:
    """What any file system takes for `.git` is; its neighbours are not."""
    assert is_git_folder(name) is reserved


def test_printable() -> None:
    """Nothing that a terminal would obey is left, and text in any alphabet stays."""
    assert printable("ärger 日本\x1b[2J\r\n\udcff") == "ärger 日本\\x1b[2J\\r\\n\\udcff"


def test_credentials(tmp_path: Path) -> None:
    """The token goes to http on loopback only, with the user's name where one is given."""
    file = tmp_path / "token"
    asked = "protocol=http\nhost=localhost:8480\n\n"
    assert answer(asked, file) == ""
    file.write_text("secret=1\n")
    assert answer(asked, file) == "username=blumeops\npassword=secret=1\n"
    assert answer("username=me\n" + asked, file) == "username=me\npassword=secret=1\n"
    for other in ("protocol=http\nhost=evil.example\n", "protocol=https\nhost=localhost\n", "", "host=localhost\n"):
        assert answer(other, file) == ""


def test_token_is_made_once_and_private(tmp_path: Path) -> None:
    """The token is long, stays the same, and its file is for its owner only, also when it was opened up."""
    token = tokens.read_or_make(tmp_path / "state")
    file = tokens.token_file(tmp_path / "state")
    assert len(token) >= 43
    file.chmod(0o644)
    assert tokens.read_or_make(tmp_path / "state") == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
