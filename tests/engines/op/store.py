"""A SOPS store, and the program `op` that answers from it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blumeops.secrets import sops
from blumeops.secrets.age import load_or_create
from blumeops.secrets.references import Reference

BLUMEOPS = Path(sys.executable).with_name("blumeops")
SECRETS = {
    "op://lab/miniflux/password": "canary-f1 '\"$HOME {{ 7 }}\\ \u00e9",
    "op://lab/miniflux/username": "erich",
    "op://lab/miniflux/first user/password": "in a section",
    "op://lab/gandi/api/pat": "canary-pat",
    "op://lab/certificate/document": "-----BEGIN-----\nline\n-----END-----\n",
    "op://people/miniflux/password": "of another vault",
    "op://people/My Item/a.b": "names as they come",
}


@dataclass(frozen=True)
class Store:
    """A SOPS file, its key, and the folder in which `op` lies."""

    file: Path
    key: Path
    path: Path

    def op(self, *words: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
        """Call `op` as a script does."""
        done = subprocess.run(
            ["op", *words], input=stdin, env={**os.environ, "PATH": self.search, **env}, capture_output=True,
            check=False, timeout=30,
        )  # fmt: skip
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    @property
    def search(self) -> str:
        """A PATH with `op` on it."""
        return f"{self.path}{os.pathsep}{os.environ['PATH']}"


def make_store(folder: Path, secrets: Mapping[str, str]) -> Store:
    """A store with these secrets, and the program that `blumeops op shim` writes for it."""
    key = load_or_create(folder / "age.key")
    file = folder / "secrets.sops.yaml"
    file.write_bytes(sops.encrypt({Reference.parse(name): value for name, value in secrets.items()}, key.recipients))
    words = ["op", "shim", str(folder / "bin"), "--file", str(file), "--age-key", str(key.path)]
    subprocess.run([BLUMEOPS, *words], check=True, capture_output=True, timeout=30)
    return Store(file, key.path, folder / "bin")
