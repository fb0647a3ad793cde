"""A folder of the lab, file by file, as hostile as the rest: links, names, numbers and sizes are bounded.

In: a path below the lab's folder, as a person writes it. Out: the bytes of each file by its path below that folder;
findings for what is no plain file. Promised: no link is followed, and nothing outside of the folder is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from blumeops.base.findings import Finding, Place
from blumeops.lab import yaml
from blumeops.lab.files import Files
from blumeops.lab.marks import shown

MOST_FILES = 500
MOST_FOLDERS = 100
DERIVED = ("ansible", "argocd")
"""Folders that are rendered: what is brought from there would be written over."""
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_PATH = re.compile(rf"{_PART}(/{_PART})*")
_FILE = re.compile(r"[A-Za-z0-9._@+-]+")


def wrong_path(path: str) -> str:
    """Why `path` cannot be a file or folder that a lab brings; empty when it can."""
    if not _PATH.fullmatch(path):
        return "must be a path below the lab's folder, of letters, digits, - _ and ."
    if path.split("/")[0] in DERIVED:
        return f"lies in {path.split('/')[0]}/, where rendered files are written"
    return ""


def read_folder(files: Files, path: str, place: Place, subject: str) -> dict[str, bytes]:
    """The files below `path`; none, with a finding, when it is no folder of the lab. `place`: where it is named."""
    root = files.folder
    for part in path.split("/"):
        root /= part
        if root.is_symlink() or not root.is_dir():
            hint = "put the folder itself there" if root.is_symlink() else "make it, or mend the path"
            files.findings.append(Finding("BLU150", place, subject, f"{path} is no folder of the lab", hint))
            return {}
    found: dict[str, bytes] = {}
    for number, entry in enumerate(_entries(files, root, path)):
        if number == MOST_FILES:
            files.findings.append(Finding("BLU150", place, subject, f"{path} has more than {MOST_FILES} files"))
            break
        below = entry.relative_to(root).as_posix()
        file = f"{path}/{below}"
        text = _plain(files, entry, file)
        if isinstance(text, Finding):
            files.findings.append(text)
        else:
            found[below] = text
    return found


def _entries(files: Files, root: Path, path: str) -> Iterator[Path]:
    """What lies in the folder, in the order of names: files, and the folders that are not looked into."""

    def refused(error: OSError) -> None:
        message = f"cannot be read: {error.strerror or error}"
        files.findings.append(Finding("BLU006", Place(path, 1, 1), path, message))

    for number, (folder, folders, names) in enumerate(os.walk(root, onerror=refused)):
        if number == MOST_FOLDERS:
            message = f"has more than {MOST_FOLDERS} folders"
            files.findings.append(Finding("BLU150", Place(path, 1, 1), path, message))
            return
        here = Path(folder)
        folders[:] = sorted(name for name in folders if name != ".git")
        odd = [name for name in folders if not _FILE.fullmatch(name) or (here / name).is_symlink()]
        folders[:] = [name for name in folders if name not in odd]
        yield from (here / name for name in sorted([*names, *odd]))


def _plain(files: Files, entry: Path, file: str) -> bytes | Finding:
    place = Place(shown(file), 1, 1)
    if not _FILE.fullmatch(entry.name):
        hint = "use letters, digits and . _ - @ +"
        return Finding("BLU150", place, shown(file), "has a name that cannot be copied everywhere", hint)
    if entry.is_symlink():
        return Finding("BLU006", place, file, "is a link", "put the file itself there")
    text = files.bytes(entry, file)
    if isinstance(text, bytes) and len(text) > yaml.MOST_BYTES:
        return Finding("BLU002", place, file, f"is larger than {yaml.MOST_BYTES // 2**20} MiB")
    return text
