"""What the engine remembers of each unit: `STATE/units/UNIT/record.json`, private, without secret values.

Intent is written before an act (`pending`, `snapshot`, `reloading`, `init`), the outcome after it (`serving`). So
whoever comes after a killed controller knows what runs, what was meant, and what to take back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from blumeops.base.errors import BlumeError, EngineError
from blumeops.base.files import PRIVATE, cannot_write, locked, write_whole
from blumeops.engines.local import remains
from blumeops.engines.local.programs.image import Image
from blumeops.render.local_unit import LocalUnit


class Instance(BaseModel):
    """One run of a unit: which form of it, where, on which ports, with which version of the program."""

    model_config = ConfigDict(frozen=True)

    slot: str
    unit: LocalUnit
    ports: dict[str, int] = {}
    program: str = ""
    image: Image | None = None
    """Where it runs as a container."""
    written: dict[str, str] = {}
    """Configuration files and their keyed digests: tells a change by hand without keeping the content."""

    @property
    def process(self) -> str:
        """Its name at the process manager."""
        return process_name(self.unit.unit, self.slot)


class Failure(BaseModel):
    """Why the last change was not made, though nothing is known against the form: a taken port, a full disk."""

    model_config = ConfigDict(frozen=True)

    reason: str
    at: float
    code: str = ""
    hint: str = ""
    """What to do, where it is known."""


class Refusal(Failure):
    """The last form of the unit that did not get healthy, or whose program cannot be had."""

    digest: str
    inputs: str = ""
    """A keyed digest of what the form is given (secrets, addresses); empty: it could not be told."""


class Snapshot(BaseModel):
    """What was put aside before a new form started: state folders, and databases by their providers."""

    model_config = ConfigDict(frozen=True)

    folders: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    at: float


class Record(BaseModel):
    """All that is known of one unit."""

    model_config = ConfigDict(frozen=True)

    wanted: LocalUnit
    """As it was last asked for."""
    serving: Instance | None = None
    pending: Instance | None = None
    snapshot: Snapshot | None = None
    """The state of `serving`, put aside for `pending`, which may have begun to change it."""
    reloading: bool = False
    init: tuple[str, ...] | None = None
    """State folders that were empty before an initialisation that has not ended yet."""
    ports: dict[str, tuple[int, ...]] = {}
    """Numbers that this unit used: it gets them again."""
    refused: Refusal | None = None
    failed: Failure | None = None
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
        """One record, or None. Raises EngineError `BLU713` that names the file when it cannot be understood."""
        file = self._file(unit)
        try:
            return Record.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            hint = "the next sync sets it aside and starts the unit anew"
            raise EngineError("BLU713", str(file), "is damaged", hint) from error
        except OSError as error:
            raise EngineError("BLU713", str(file), f"cannot be read: {error.strerror or error}") from error

    def write(self, record: Record) -> Record:
        """Keep it, whole; returns it."""
        write_whole(self._file(record.wanted.unit), record.model_dump_json(), PRIVATE)
        return record

    def forget(self, unit: str) -> None:
        """The unit is no more."""
        file = self._file(unit)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(file, error) from error

    def all(self) -> dict[str, Record]:
        """By unit. Never raises: a record that cannot be understood is set aside."""
        found: dict[str, Record] = {}
        for file in sorted(self.folder.glob("*/record.json")):
            with suppress(BlumeError):
                record = self._sound(file.parent.name)
                if record:
                    found[record.wanted.unit] = record
        return found

    def known(self) -> set[str]:
        """Every unit that left something to take away."""
        return remains.known(self.folder)

    def mend(self, unit: str) -> None:
        """Set the unit's record aside, as `record.json.damaged-N`, if it cannot be understood. The caller has the
        unit's lock."""
        try:
            self.read(unit)
        except EngineError:
            file = self._file(unit)
            number = 1 + len(list(file.parent.glob(f"{file.name}.damaged-*")))
            try:
                file.rename(file.with_name(f"{file.name}.damaged-{number}"))
            except OSError as error:
                raise cannot_write(file, error) from error

    def _sound(self, unit: str) -> Record | None:
        try:
            return self.read(unit)
        except EngineError:
            with locked(self.folder / unit / "lock", wait=False) as ours:
                if ours:  # else somebody is at work there, who mends it
                    self.mend(unit)
            return None

    def _file(self, unit: str) -> Path:
        return self.folder / unit / "record.json"

    def busy(self, unit: str) -> bool:
        """Whether a process acts on the unit now."""
        with locked(self.folder / unit / "lock", wait=False) as ours:
            return not ours

    @contextmanager
    def locked(self, unit: str) -> Iterator[None]:
        """One process at a time acts on a unit. The lock goes with the process that holds it."""
        (self.folder / unit).mkdir(parents=True, exist_ok=True)
        with locked(self.folder / unit / "lock"):
            yield
