"""What a unit keeps, put aside before its new form starts, and brought back when that form is taken back.

    STATE/snapshots/UNIT/taking/    while it is made: worth nothing
    STATE/snapshots/UNIT/taken/     folders/NAME, databases/PROVIDER: whole
    STATE/snapshots/UNIT/failed/    for a moment: the folders as the form that was taken back left them

In: a unit of which nothing runs. Out: files on the disk; what counts is `Record.snapshot`, which the caller writes
when `take` has returned and takes away when `bring_back` has. Promised: each is safe to repeat, and to cut off
anywhere. A folder comes back by a rename of the copy, so byte for byte, with owners, modes and times.

A folder is copied with the rights of whom it belongs to, who could otherwise lead us elsewhere by a link; by clones
where the file system has them. (Hard links would not do: programs change files in place.)
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from blumeops.base.errors import EngineError
from blumeops.base.files import PRIVATE, cannot_write
from blumeops.engines.local import helpers
from blumeops.engines.local.folders import Account, Folders
from blumeops.engines.local.record import Snapshot
from blumeops.engines.local.resolve import SYSTEM_PATH
from blumeops.engines.local.site import Site
from blumeops.render.local_unit import Grant, LocalUnit, Text

SECONDS = 4 * 3600
"""As long as the copy of a large folder or database may take."""
SPARE = 64 * 1024 * 1024
"""Bytes that must be left on the disk beside the copy."""
FICLONE = 0x40049409
"""ioctl_ficlone(2)."""
COPY = ("cp", "-acR") if sys.platform == "darwin" else ("cp", "-a", "--reflink=auto")


def needed(old: LocalUnit, new: LocalUnit) -> Snapshot | None:
    """What must be put aside before `new` takes the place of `old`; None where neither keeps anything."""
    folders = tuple(dict.fromkeys((*old.state, *new.state)))
    databases = tuple(grant.provider for grant in new.grants if grant.dump)
    return Snapshot(folders=folders, databases=databases, at=time.time()) if folders or databases else None


def require_room(folders: Folders, unit: str, snapshot: Snapshot) -> None:
    """Raise EngineError `BLU740` when the disk is too full for a copy of the folders; nothing was touched then."""
    present = [path for name in snapshot.folders if (path := folders.data(unit, name)).is_dir()]
    if not present:
        return
    at = _place(folders, unit)
    if all(path.stat().st_dev == at.stat().st_dev for path in present) and _clones(at):
        return
    found = os.statvfs(at)
    free, size = found.f_bavail * found.f_frsize, sum(map(size_of, present))
    if size + SPARE > free:
        why = f"its state is {_megabytes(size)}, which must be put aside first, and only {_megabytes(free)} are free"
        raise EngineError("BLU740", unit, f"{at}: {why}", "free some space there; what runs was not touched")


def take(site: Site, unit: LocalUnit, snapshot: Snapshot) -> None:
    """Put it all aside. `unit`: the new form, which says how. Raises EngineError `BLU741`, Unavailable `BLU709`."""
    folders, place = site.folders, _place(site.folders, unit.unit)
    discard(folders, unit.unit)
    try:
        taking = folders.shared(place / "taking")
        folders.shared(taking / "folders")
        folders.shared(taking / "databases")
        for name in snapshot.folders:
            source = folders.data(unit.unit, name)
            if source.is_dir():
                _copy(folders, unit.unit, source, taking / "folders" / name)
        for grant in unit.grants:
            if grant.provider in snapshot.databases:
                _dump(site, unit, grant, taking / "databases" / grant.provider)
        os.sync()  # a loss of power must not leave the new form's data and half of the old
        taking.rename(place / "taken")
    except OSError as error:
        raise EngineError("BLU741", unit.unit, cannot_write(place, error).message) from error


def bring_back(site: Site, unit: LocalUnit, snapshot: Snapshot) -> None:
    """Make it all what it was. `unit`: the form that is taken back. Raises EngineError `BLU742` and what a provider
    that is away raises; then it is to be done again."""
    place = _place(site.folders, unit.unit)
    for grant in unit.grants:
        if grant.provider in snapshot.databases:
            _restore(site, unit, grant, place / "taken" / "databases" / grant.provider)
    try:
        failed = site.folders.shared(place / "failed")
        for name in snapshot.folders:
            copy, data = place / "taken" / "folders" / name, site.folders.data(unit.unit, name)
            if not copy.is_dir():
                continue  # it is back already, or was not there before
            if data.is_dir():
                shutil.rmtree(failed / name, ignore_errors=True)
                _rename(data, failed / name)
            _rename(copy, data)
    except OSError as error:
        raise EngineError("BLU742", unit.unit, f"{place}: {error.strerror or error}") from error


def discard(folders: Folders, unit: str) -> None:
    """Take away what was put aside, whole or not."""
    place = folders.snapshots(unit)
    if place.is_dir():
        for name in ("taken", "taking", "failed"):
            shutil.rmtree(place / name, ignore_errors=True)
        place.rmdir()


def _copy(folders: Folders, unit: str, source: Path, target: Path) -> None:
    owner = source.stat()
    account = Account(owner.st_uid, owner.st_gid) if folders.account.user is not None else Account()
    target.mkdir(mode=0o700)
    if account.user is not None:
        os.chown(target, owner.st_uid, owner.st_gid)
    words, env = (*COPY, f"{source}/.", f"{target}/"), {"PATH": SYSTEM_PATH, "LC_ALL": "C"}
    helpers.run_marked(folders, unit, account, words, env, SECONDS, "BLU741", f"the copy of {source} to {target}")


def _dump(site: Site, unit: LocalUnit, grant: Grant, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        what = f"the dump of its database to {target}"
        _ask(site, unit, grant, grant.dump, "BLU741", what, stdout=file)


def _restore(site: Site, unit: LocalUnit, grant: Grant, source: Path) -> None:
    with source.open("rb") as file:
        _ask(site, unit, grant, grant.restore, "BLU742", f"bringing back its database from {source}", file)


def _ask(
    site: Site, unit: LocalUnit, grant: Grant, command: tuple[Text, ...], code: str, what: str,
    stdin: bytes | BinaryIO = b"", stdout: BinaryIO | None = None,
) -> None:  # fmt: skip
    """Run a provider's command, with its addresses and secrets as they are now."""
    provider, spec = site.provider(grant.provider)
    resolver = site.resolver_of(provider)
    words, env = resolver.words(command), {name: resolver.text(text) for name, text in grant.env.items()}
    helpers.of_provider(unit.unit, words, env, spec, resolver, SECONDS, code, what, stdin, stdout)


def _place(folders: Folders, unit: str) -> Path:
    folders.shared(folders.state / "snapshots")
    return folders.shared(folders.snapshots(unit))


def _rename(path: Path, to: Path) -> None:
    path.rename(to)


def size_of(folder: Path) -> int:
    """Bytes on the disk; what has two names counts once."""
    seen, size = set(), 0
    for base, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # its program still runs
                found = Path(base, name).lstat()
                if found.st_ino not in seen:
                    seen.add(found.st_ino)
                    size += found.st_blocks * 512
    return size


def _clones(folder: Path) -> bool:
    """Whether files can be copied there without their blocks (Btrfs, XFS, APFS)."""
    if sys.platform == "darwin":
        return True
    with tempfile.TemporaryFile(dir=folder) as one, tempfile.TemporaryFile(dir=folder) as two:
        try:
            fcntl.ioctl(two.fileno(), FICLONE, one.fileno())
        except OSError:
            return False
    return True


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
