"""One instance on disk: its configuration and secret files, all or none, and whether they were changed.

Files belong to the services' user and are private (0600): any of them may hold a secret. Their folders are ours,
so nobody else can put another file, or a link, in a file's place.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from blumeops.base.files import PRIVATE, make_whole, write_whole
from blumeops.engines.local.folders import Folders
from blumeops.engines.local.helpers import Granted
from blumeops.engines.local.resolve import Resolved

GRANTS = "grants.json"


def write(folders: Folders, folder: Path, resolved: Resolved) -> None:
    """Make `folder` hold exactly these files."""
    folders.shared(folder)
    write_files(folders, folder / "config", resolved.files)
    write_files(folders, folder / "secrets", resolved.secret_files)


def write_files(folders: Folders, folder: Path, files: Mapping[str, bytes]) -> None:
    """Make `folder` hold exactly `files`, each replaced whole: a reader never misses one that stays."""
    folders.for_service(folder)
    for name, content in files.items():
        target = folder / name
        for parent in reversed(target.relative_to(folder).parents[:-1]):
            folders.for_service(folder / parent)
        if _content(target) != content:
            write_whole(target, content, PRIVATE, folders.owner)
    for stray in read_files(folder).keys() - files.keys():
        (folder / stray).unlink()


def keep_grants(folder: Path, grants: Sequence[Granted]) -> None:
    """Keep what was granted to this instance beside its secrets, for us alone."""
    if grants or (folder / GRANTS).exists():
        write_whole(folder / GRANTS, json.dumps([each.model_dump() for each in grants]), PRIVATE)


def kept_grants(folder: Path) -> list[Granted]:
    """What was granted to the instance in `folder`; nothing where that is not known."""
    try:
        return [Granted.model_validate(each) for each in json.loads((folder / GRANTS).read_bytes())]
    except (OSError, ValueError):
        return []


def read_files(folder: Path) -> dict[str, bytes]:
    """What lies in `folder`, by relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def remove(folder: Path) -> None:
    """The instance's files; state folders are elsewhere."""
    shutil.rmtree(folder, ignore_errors=True)


def stamps(files: Mapping[str, bytes], key: bytes) -> dict[str, str]:
    """A keyed digest of each: tells a change, and nothing about the content."""
    return {name: hashlib.blake2b(content, key=key, digest_size=16).hexdigest() for name, content in files.items()}


def stamp_key(state: Path) -> bytes:
    """This state folder's own key, made at the first call."""
    path = state / "stamp.key"
    if not path.exists():
        make_whole(path, secrets.token_bytes(32), PRIVATE)  # units start at the same time, and have one key
    return path.read_bytes()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if not path.is_symlink() else None
    except (FileNotFoundError, IsADirectoryError):
        return None
