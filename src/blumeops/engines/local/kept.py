"""What units that are no more leave behind: their state folders, their databases at providers, their logs.

In: the folders of a site, and a note a unit, `STATE/units/UNIT/kept.json`, written before its record goes. Out: what
is kept of whom, with its size; and nothing more of it, once a person asked for that. Promised: what belongs to a unit
that is there is never touched; a prune that was cut off anywhere may be done again, and then ends it.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from blumeops.base.errors import EngineError, UserError
from blumeops.base.files import PRIVATE, write_whole
from blumeops.engines.local import helpers, remains, snapshots
from blumeops.engines.local.folders import SLOTS, Folders
from blumeops.engines.local.site import Site
from blumeops.render.local_unit import Grant

SECONDS = 300
"""As long as a provider may take to drop one database."""


class Kept(BaseModel):
    """Of one unit: since when it is gone (0: nobody knows), the bytes in its folders, and what providers have of it."""

    model_config = ConfigDict(frozen=True)

    unit: str
    at: float = 0.0
    size: int = 0
    grants: tuple[Grant, ...] = ()

    @property
    def in_words(self) -> str:
        """What it is, for a person who is to decide on it."""
        found = [f"{self.in_bytes} in folders"] if self.size or not self.grants else []
        for grant in self.grants:
            stays = "" if grant.drop else ", which stays: its app does not say how it is dropped"
            found.append(f"its database in {grant.provider}{stays}")
        return " and ".join(found)

    @property
    def in_bytes(self) -> str:
        """Its size for people, in powers of ten as disks are sold."""
        number, unit = float(self.size), "B"
        for unit in ("B", "kB", "MB", "GB", "TB"):
            if number < 1000 or unit == "TB":
                break
            number /= 1000
        return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"


def note(site: Site, unit: str) -> None:
    """Write down what is kept of a unit whose record is about to go. Raises EngineError `BLU903`."""
    folders, record = site.folders, site.records.all().get(unit)
    with suppress(OSError):
        _data(folders, unit).rmdir()  # unless there is something in it
    forms = [at.unit for at in (record.serving, record.pending) if at] + [record.wanted] if record else []
    grants = {grant.provider: grant for grant in _read(folders, unit).grants}
    for form in reversed(forms):
        grants |= {grant.provider: grant for grant in form.grants}
    made = Kept(unit=unit, at=time.time(), size=snapshots.size_of(_data(folders, unit)), grants=tuple(grants.values()))
    if made.grants or _data(folders, unit).is_dir():
        _write(folders, made)


def kept(site: Site) -> dict[str, Kept]:
    """By unit, what is kept of those that are no more. Never raises."""
    folders, found = site.folders, {}
    for name in sorted(remains.of_gone_units(folders.state)):
        each = _read(folders, name)
        if not each.at:
            each = each.model_copy(update={"size": snapshots.size_of(_data(folders, name))})
        found[name] = each
    return found


def prune(site: Site, unit: str) -> None:
    """Delete it for good: databases first, since only the note says of them. The caller has the unit's lock.

    Raises EngineError `BLU750` when a folder cannot be deleted or the unit is there again, `BLU751` when a provider
    refuses, Unavailable `BLU709` while it does not run.
    """
    folders = site.folders
    if unit in site.records.known():
        raise EngineError("BLU750", unit, "is there again: nothing of it was deleted")
    there = _read(folders, unit)
    for grant in there.grants:
        if grant.drop and site.records.read(grant.provider):
            _drop(site, unit, grant)
        there = there.model_copy(update={"grants": tuple(each for each in there.grants if each != grant)})
        _write(folders, there)
    snapshots.discard(folders, unit)
    for path in (_data(folders, unit), folders.home(unit)):
        _delete(unit, path)
    for path in (*(folders.log(unit, slot) for slot in SLOTS), *folders.unit(unit).glob("record.json.damaged-*")):
        _delete(unit, path)
    _delete(unit, _note(folders, unit))  # the lock stays: somebody may wait for it


def _drop(site: Site, unit: str, grant: Grant) -> None:
    """Let the provider take the unit's database away."""
    provider, spec = site.provider(grant.provider)
    resolver = site.resolver_of(provider)
    env = {}
    for name, text in grant.env.items():
        with suppress(UserError):  # its own password may be gone with it; the provider's is what counts here
            env[name] = resolver.text(text)
    site.folders.of_service(site.folders.home(unit))
    what = f"dropping its database in {grant.provider}"
    helpers.of_provider(unit, resolver.words(grant.drop), env, spec, resolver, SECONDS, "BLU751", what)


def _delete(unit: str, path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise EngineError("BLU750", unit, f"{error.filename or path} cannot be deleted: {error.strerror}") from error


def _read(folders: Folders, unit: str) -> Kept:
    """The note; where there is none, or it is damaged, nothing is known but the name."""
    with suppress(OSError, ValidationError):
        return Kept.model_validate_json(_note(folders, unit).read_bytes())
    return Kept(unit=unit)


def _write(folders: Folders, kept: Kept) -> None:
    write_whole(_note(folders, kept.unit), kept.model_dump_json(), PRIVATE)


def _note(folders: Folders, unit: str) -> Path:
    return folders.unit(unit) / "kept.json"


def _data(folders: Folders, unit: str) -> Path:
    return folders.state / "data" / unit
