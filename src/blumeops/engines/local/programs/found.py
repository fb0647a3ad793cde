"""What a source answers, and how versions are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import Unavailable
from blumeops.render.local_unit import Source


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is there. `folder` holds the binaries; `libraries`: where its own shared libraries lie."""

    folder: Path
    version: str
    source: Source
    libraries: tuple[Path, ...] = ()

    def binary(self, name: str) -> Path:
        """The absolute path of a binary. Raises Unavailable `BLU702` when this program has none of that name."""
        path = self.folder / name
        if not path.is_file():
            raise Unavailable("BLU702", name, f"is not among the programs of {self.source.kind} {self.source.name}")
        return path


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a source does not have it, and the command that would get it (empty: there is none)."""

    reason: str
    command: str = ""


def matches(wanted: str, have: str) -> bool:
    """Whether `have` is the version wanted, or one of it: "18.6" is 18.6 and 18.6.3, but not 18.60."""
    left, right = wanted.lstrip("v").split("."), have.lstrip("v").split(".")
    return right[: len(left)] == left


def version_in(text: str) -> str:
    """The first version number that a program prints about itself; empty when there is none."""
    found = re.search(r"\b[vV]?(\d+(?:\.\d+)+)", text)
    return found.group(1) if found else ""


def upstream(debian: str) -> str:
    """The upstream part of a Debian version: "1:2.2.6-1+b4" is 2.2.6."""
    after_epoch = debian.rpartition(":")[2]
    return after_epoch.rpartition("-")[0] or after_epoch
