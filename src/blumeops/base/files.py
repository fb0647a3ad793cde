"""Files written whole, and folders that are ours alone."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from blumeops.base.errors import EngineError

PRIVATE = 0o600
PUBLIC = 0o644


def write_whole(path: Path, data: bytes | str, mode: int = PUBLIC) -> None:
    """Write beside `path`, flush to disk, then rename: a reader sees the old file or the new one, never half.

    Raises EngineError `BLU903` that names the path when the disk is full or the folder is read-only.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise cannot_write(path, error) from error


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
