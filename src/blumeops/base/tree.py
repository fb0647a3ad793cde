"""A tree of files in memory: what a renderer returns and an engine, a plan or a test reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from blumeops.base.files import write_whole


@dataclass(frozen=True)
class FileTree:
    """Relative POSIX paths and their bytes. Equal content gives an equal digest, whatever the order."""

    files: Mapping[str, bytes]

    @cached_property
    def digest(self) -> str:
        """SHA-256, hex, over paths and contents in path order."""
        total = hashlib.sha256()
        for path in sorted(self.files):
            total.update(len(path).to_bytes(4, "big") + path.encode())
            total.update(len(self.files[path]).to_bytes(8, "big") + self.files[path])
        return total.hexdigest()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.files))

    def text(self, path: str) -> str:
        """One file as text. Raises KeyError where there is none."""
        return self.files[path].decode()

    def write(self, folder: Path, *, flushed: bool = True) -> list[Path]:
        """Write what differs below `folder`, each file whole; returns the files written. Others stay. `flushed`: they
        survive a loss of power; what can be derived again does not have to, and is found to differ then."""
        written: list[Path] = []
        made: set[Path] = set()  # what was not there: nor is anything in it
        for path in self:
            target = folder / path
            if target.parent not in made:
                if target.is_file() and target.read_bytes() == self.files[path]:
                    continue
                if not target.parent.is_dir():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.add(target.parent)
            write_whole(target, self.files[path], flushed=flushed)
            written.append(target)
        return written
