"""Files written whole, folders that are ours alone, and locks that only we can take."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from blumeops.base.errors import EngineError

PRIVATE = 0o600
PUBLIC = 0o644


def write_whole(
    path: Path, data: bytes | str, mode: int = PUBLIC, owner: tuple[int, int] | None = None, *, flushed: bool = True
) -> None:
    """Write beside `path`, flush to disk, then rename: a reader sees the old file or the new one, never half.

    `owner`: the user and group that it belongs to, from the moment at which it can be seen under its name.
    `flushed`: that it survives a loss of power, which takes a few milliseconds; not for what can be derived again.
    Raises EngineError `BLU903` that names the path when the disk is full or the folder is read-only.
    """
    with _beside(path, data, mode, owner, flushed) as temporary:
        os.replace(temporary, path)


def make_whole(path: Path, data: bytes | str, mode: int = PUBLIC) -> None:
    """The same for a file that nobody has made yet: one that is there stays, also if it came to be meanwhile."""
    with _beside(path, data, mode) as temporary, suppress(FileExistsError):
        os.link(temporary, path)


@contextmanager
def _beside(
    path: Path, data: bytes | str, mode: int, owner: tuple[int, int] | None = None, flushed: bool = True
) -> Iterator[str]:
    """A file beside `path` that holds `data`, on the disk; afterwards it is gone from there."""
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            if owner:
                os.fchown(descriptor, *owner)
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            if flushed:
                os.fsync(descriptor)
        yield temporary
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if os.path.lexists(temporary):
            Path(temporary).unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> EngineError:
    """The one clear error for a file that could not be written."""
    hints = {errno.ENOSPC: "free some space there", errno.EROFS: "choose another folder with --state"}
    return EngineError(
        "BLU903", str(path), f"cannot be written: {error.strerror or error}", hints.get(error.errno or 0, "")
    )


def private_folder(path: Path) -> Path:
    """Make the folder, for its owner only (0700), and return it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file, made where it is not there; True if we have it (`wait`: always). It goes with the process
    that holds it. Private (0600), since whoever can open it can hold it. Raises EngineError `BLU903`."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        os.fchmod(descriptor, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = True
        except BlockingIOError:
            ours = False
        yield ours
    finally:
        os.close(descriptor)


@contextmanager
def scratch(folder: Path, prefix: str) -> Iterator[Path]:
    """A folder of its own in `folder`, taken away at the end of the block. One that a killed process left is nobody's:
    `clear_scratch` takes it away. Raises EngineError `BLU903`."""
    with ExitStack() as held:
        with locked(private_folder(folder) / _DOOR):  # nobody clears between the two
            try:
                path = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
            except OSError as error:
                raise cannot_write(folder, error) from error
            held.callback(shutil.rmtree, path, ignore_errors=True)
            held.enter_context(locked(path / _IN_USE))
        yield path


def clear_scratch(folder: Path) -> None:
    """Take away every scratch folder in `folder` that no living process uses."""
    if not folder.is_dir():
        return
    with locked(folder / _DOOR):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                with locked(path / _IN_USE, wait=False) as ours:
                    if ours:
                        shutil.rmtree(path, ignore_errors=True)


_DOOR, _IN_USE = ".lock", ".in-use"
