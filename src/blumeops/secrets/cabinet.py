"""A whole store at once: every value leaves, and changes enter by one replacement that happens or does not.

`store.Store` answers for single references; this is for those who show and change items: the `op` command and the
Connect API. A change is computed from what is there, under a lock: two at once are one after the other.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from blumeops.base.errors import UserError
from blumeops.base.files import PRIVATE, locked, write_whole
from blumeops.secrets import sops
from blumeops.secrets.age import Key
from blumeops.secrets.references import Reference

_MODIFIED = re.compile(rb'^ +"?lastmodified"?: "?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"?', re.MULTILINE)
NEVER = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Contents:
    """Every value, and when the store was last changed (RFC 3339, UTC). `repr` shows no value."""

    values: Mapping[Reference, str] = field(default_factory=dict, repr=False)
    seals: Mapping[Reference, str] = field(default_factory=dict, repr=False)
    """What stands in the store for each value: another text when the value changes."""
    modified: str = NEVER


@dataclass(frozen=True, slots=True)
class Edit:
    """Values that are new or change, and what goes: the path of a field, or of a whole item."""

    values: Mapping[Reference, str] = field(default_factory=dict, repr=False)
    gone: tuple[tuple[str, ...], ...] = ()


class Cabinet(Protocol):
    """A store that can be read as a whole, and perhaps be changed."""

    def read(self) -> Contents:
        """All that is in it now."""
        ...

    def change(self, edit: Callable[[Contents], Edit], message: str) -> Contents:
        """Replace the store by one with the edit that `edit` makes of what is there; `message` says why, for whoever
        reads its history. Returns what is in it then. Raises as `sops.updated` does; then nothing was changed."""
        ...


@dataclass(frozen=True, slots=True)
class FileCabinet:
    """A SOPS file on disk."""

    path: Path
    key: Key

    def read(self) -> Contents:
        """As Cabinet says; a file that is not there yet is empty. Raises what `sops.decrypt` does."""
        try:
            return opened(self.path.read_bytes(), self.key, str(self.path))
        except FileNotFoundError:
            return Contents()
        except OSError as error:
            raise UserError("BLU504", str(self.path), f"cannot be read: {error.strerror}") from error

    def change(self, edit: Callable[[Contents], Edit], message: str) -> Contents:  # a file has no history
        """As Cabinet says: written beside the file, then renamed."""
        with locked(self.path.with_name(f".{self.path.name}.lock")):
            clear_beside(self.path)
            data = self.path.read_bytes() if self.path.exists() else None
            before = opened(data, self.key, str(self.path))
            changed = edited(data, edit(before), self.key, str(self.path))
            if changed != data:
                write_whole(self.path, changed, PRIVATE if data is None else self.path.stat().st_mode & 0o777)
            return opened(changed, self.key, str(self.path))


def clear_beside(path: Path, age: float = 60) -> None:
    """Take away what writers of `path` that were killed left beside it, which may be as secret as the file. `age`:
    seconds since it was written; who writes now is younger."""
    name = re.compile(re.escape(f".{path.name}.") + r"\w{8}")  # as mkstemp has them
    for left in path.parent.iterdir():
        with suppress(OSError):
            if name.fullmatch(left.name) and time.time() - left.lstat().st_mtime > age:
                left.unlink()


@lru_cache(maxsize=4)
def opened(data: bytes | None, key: Key, name: str = sops.NAME) -> Contents:
    """What a SOPS file holds; nothing where there is none. The last few stay in memory. Raises what `sops.decrypt`
    does."""
    if data is None:
        return Contents()
    values = sops.decrypt(data, key.path, name)
    said = _MODIFIED.search(data)  # authenticated: SOPS seals the values together with this date
    return Contents(values, sops.stored(data, name), said[1].decode() if said else NEVER)


def edited(data: bytes | None, edit: Edit, key: Key, name: str = sops.NAME) -> bytes:
    """The file with an edit in it. Raises what `sops.updated` does."""
    if data is not None and edit.gone:
        data = sops.without(data, edit.gone, key, name)
    return sops.updated(data, edit.values, key, name)
