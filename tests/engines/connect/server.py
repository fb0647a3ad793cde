"""`blumeops connect serve` as a process of its own, in front of a store that may be changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from blumeops.secrets import sops
from blumeops.secrets.age import load
from blumeops.secrets.items import identifier, vault_id
from tests.engines.op.store import BLUMEOPS, SECRETS, Store, make_store

LAB = vault_id("lab")
PEOPLE = vault_id("people")
MINIFLUX = identifier("item", "lab", "miniflux")


@dataclass(frozen=True)
class Server:
    """A Connect server, its store, and its state folder."""

    url: str
    store: Store
    state: Path
    process: subprocess.Popen[str]

    def token(self, *words: str) -> str:
        """A new token."""
        return self.says("token", "create", *words).strip()

    def says(self, *words: str) -> str:
        """What a `connect` command prints."""
        argv = [str(BLUMEOPS), "connect", *words, "--state", str(self.state)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self, token: str = "") -> httpx.Client:
        """To ask it with."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=20
        )

    def log(self) -> list[dict[str, Any]]:
        """The lines of the audit log."""
        path = self.state / "connect" / "audit.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def stored(self) -> dict[str, str]:
        """What is in the store now, read with the real sops."""
        values = sops.decrypt(self.store.file.read_bytes(), load(self.store.key).path)
        return {str(reference): value for reference, value in values.items()}


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[Server]:
    """A server on a port that was free, in front of SECRETS."""
    with serving(folder, make_store(folder, SECRETS), port) as server:
        yield server


@contextmanager
def serving(folder: Path, store: Store, port: int = 0) -> Iterator[Server]:
    """A server in front of a store that is there."""
    state = folder / "state"
    argv = [
        str(BLUMEOPS), "connect", "serve", "--state", str(state), "--file", str(store.file),
        "--age-key", str(store.key), "--port", str(port),
    ]  # fmt: skip
    with (
        (folder / "stderr").open("w") as errors,
        subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
        ) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line.startswith("Connect API on "), (folder / "stderr").read_text()
            yield Server(line.split()[-1], store, state, process)
        finally:
            process.terminate()
            process.wait(20)
