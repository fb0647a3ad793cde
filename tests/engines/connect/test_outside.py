"""`op` in front of a lab whose secrets are in no SOPS file: it asks the store that the lab names, and never itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engines.connect.server import Server
from tests.engines.op.store import BLUMEOPS, SECRETS, make_store

APP = Path(__file__).parents[2] / "e2e" / "apps" / "picky"


def make_lab(folder: Path, setting: str) -> list[str]:
    """A lab that was never up, with two secrets of SECRETS; the options that name it."""
    shutil.copytree(APP, folder / "lab" / "apps" / "picky")
    (folder / "lab" / "lab.yaml").write_text(
        f"lab: box\nhosts: {{server: {{os: linux, role: compute}}}}\nsecrets: {{{setting}}}\n"
    )
    (folder / "lab" / "services").mkdir()
    (folder / "lab" / "services" / "services.yaml").write_text(
        "picky: {host: server, secrets: {word: op://lab/gandi/api/pat, token: op://lab/miniflux/username}}\n"
    )
    (folder / "state").mkdir(mode=0o700)
    return ["--lab", str(folder / "lab"), "--state", str(folder / "state")]


def called(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command, and how it ended."""
    return subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=60)


def test_op_asks_the_connect_server_that_the_lab_names(server: Server, tmp_path: Path) -> None:
    """What the lab names of it, and nothing else, though the token sees more; a server that is away is said."""
    place = make_lab(tmp_path / "own", f"here: connect, vault: lab, connect: '{server.url}'")
    token = tmp_path / "own" / "state" / "connect-token"
    token.write_text(server.token("--vault", "lab"))
    token.chmod(0o600)
    read = (str(BLUMEOPS), "op", "read", *place, "op://lab/gandi/api/pat")
    assert called(*read).stdout == "canary-pat\n"
    assert called(str(BLUMEOPS), "op", "shim", *place, str(tmp_path / "shim")).returncode == 0
    shim = str(tmp_path / "shim" / "op")
    assert called(shim, "read", "op://lab/miniflux/username").stdout == "erich\n"
    assert "isn't a field" in called(shim, "read", "op://lab/miniflux/password").stderr
    server.process.terminate()
    server.process.wait(20)
    done = called(shim, "read", "op://lab/gandi/api/pat")
    assert (done.returncode, done.stdout) == (1, "")
    assert "BLU524" in done.stderr


@pytest.mark.parametrize("command", [("read", "op://lab/gandi/api/pat"), ("account", "list")])
def test_a_program_op_never_asks_itself(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A lab whose secrets are in 1Password, and our `op` first on the path: an error instead of ever more processes."""
    place = make_lab(tmp_path, "here: op, vault: lab")
    assert called(str(BLUMEOPS), "op", "shim", *place, str(tmp_path / "shim")).returncode == 0
    path = f"{tmp_path / 'shim'}{os.pathsep}{os.environ['PATH']}"
    done = called(str(tmp_path / "shim" / "op"), *command, PATH=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "call 1Password's own op" in done.stderr
    assert called(str(BLUMEOPS), "op", "read", *place, "op://lab/gandi/api/pat", PATH=path).returncode != 0
    store = make_store(tmp_path, SECRETS)
    path = f"{store.path}{os.pathsep}{os.environ['PATH']}"
    found = called(str(BLUMEOPS), "op", "read", *place, "op://lab/gandi/api/pat", PATH=path)
    assert found.stdout == "canary-pat\n", "an op of another store is asked as 1Password's would be"
