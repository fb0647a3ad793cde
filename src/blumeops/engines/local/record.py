"""What the engine remembers of each unit: `STATE/units/UNIT/record.json`, private, without secret values.

Intent is written before an act (`pending`, `reloading`, `init`), the outcome after it (`serving`). So whoever
comes after a killed controller knows what runs, what was meant, and what to take back.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from blumeops.base.files import PRIVATE, write_whole
from blumeops.render.local_unit import LocalUnit

SLOTS = ("a", "b")
"""A unit has two places to run in; an update moves to the other one, so the way back is always there."""


class Instance(BaseModel):
    """One run of a unit: which form of it, where, on which ports, with which version of the program."""

    model_config = ConfigDict(frozen=True)

    slot: str
    unit: LocalUnit
    ports: dict[str, int] = {}
    program: str = ""
    written: dict[str, str] = {}
    """Configuration files and their keyed digests: tells a change by hand without keeping the content."""

    @property
    def process(self) -> str:
        """Its name at the process manager."""
        return process_name(self.unit.unit, self.slot)


class Refusal(BaseModel):
    """The last form of the unit that did not get healthy."""

    model_config = ConfigDict(frozen=True)

    digest: str
    reason: str
    at: float
    code: str = ""


class Record(BaseModel):
    """All that is known of one unit."""

    model_config = ConfigDict(frozen=True)

    wanted: LocalUnit
    """As it was last asked for."""
    serving: Instance | None = None
    pending: Instance | None = None
    reloading: bool = False
    init: tuple[str, ...] | None = None
    """State folders that were empty before an initialisation that has not ended yet."""
    ports: dict[str, tuple[int, ...]] = {}
    """Numbers that this unit used: it gets them again."""
    refused: Refusal | None = None
    waits_for: str = ""

    def with_(self, **changes: object) -> Record:
        """A copy with these fields changed."""
        return self.model_copy(update=changes)


def digest_of(unit: LocalUnit) -> str:
    """SHA-256, hex, of the rendered unit: equal means nothing to do."""
    return hashlib.sha256(unit.model_dump_json().encode()).hexdigest()


def process_name(unit: str, slot: str) -> str:
    """A unit's program, as the process manager knows it."""
    return f"{unit}.{slot}"


class Records:
    """The records below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, unit: str) -> Record | None:
        """One record, or None."""
        try:
            return Record.model_validate_json((self.folder / unit / "record.json").read_bytes())
        except FileNotFoundError:
            return None

    def write(self, record: Record) -> Record:
        """Keep it, whole; returns it."""
        write_whole(self.folder / record.wanted.unit / "record.json", record.model_dump_json(), PRIVATE)
        return record

    def forget(self, unit: str) -> None:
        """The unit is no more."""
        (self.folder / unit / "record.json").unlink(missing_ok=True)

    def all(self) -> dict[str, Record]:
        """By unit."""
        found = (self.read(file.parent.name) for file in sorted(self.folder.glob("*/record.json")))
        return {record.wanted.unit: record for record in found if record}

    @contextmanager
    def locked(self, unit: str) -> Iterator[None]:
        """One process at a time acts on a unit. The lock goes with the process that holds it."""
        (self.folder / unit).mkdir(parents=True, exist_ok=True)
        with (self.folder / unit / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
