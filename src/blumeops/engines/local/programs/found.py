"""What a source answers, and how versions are compared."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from blumeops.base.errors import Unavailable
from blumeops.engines.local.programs.image import Image
from blumeops.render.local_unit import Source

RELOCATABLE = """\
#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python3' "$0" "$@"
' '''
"""
"""The head of a script that is run by the Python beside it: a string to Python, a command to the shell."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is there. `folder` holds the binaries; `libraries`: where its own shared libraries lie."""

    folder: Path
    version: str
    source: Source
    libraries: tuple[Path, ...] = ()
    contents: tuple[Path, ...] = ()
    """Files and folders that make up the program; empty for one that is the machine's own."""
    image: Image | None = None
    """Where it runs as a container: then `folder` is the runtime's, and no binary is looked for."""
    interpreter: Path | None = None
    """The Python that runs it, where it is a script of an environment."""
    tools: tuple[Path, ...] = ()
    """Folders of other programs, which it calls: on PATH behind its own."""

    def binary(self, name: str) -> Path:
        """The absolute path of a binary, or of the system's shell. Raises Unavailable `BLU702` when this program has
        none of that name."""
        path = Path("/bin/sh") if name == "sh" else self.folder / name  # the one that every system has
        if not path.is_file():
            raise Unavailable("BLU702", name, f"is not among the programs of {self.source.kind} {self.source.name}")
        return path


def copied(program: Program, into: Path) -> Program:
    """The program as a copy in the folder `into`, whole or not there; itself when it is the machine's own.

    For services that run as another user, who cannot get to where the program lies.
    """
    if not program.contents:
        return program
    base = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in program.contents]))
    target = into / f"{program.source.kind}-{program.source.name.partition(' ')[0]}-{program.version}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(prefix=".copying-", dir=into) as folder:
            tree = Path(folder, "tree")
            tree.mkdir(mode=0o755)
            for path in program.contents:
                to = tree / path.relative_to(base)
                to.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir():
                    shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
                else:
                    shutil.copy2(path, to, follow_symlinks=False)
            if program.interpreter:
                _make_environment(tree, program.interpreter)
            for each in (tree, *(path for path in tree.rglob("*") if path.is_dir() and not path.is_symlink())):
                each.chmod(0o755)  # whatever our umask made of it: another user has to get in
            tree.rename(target)
    moved = tuple(target / path.relative_to(base) for path in (program.folder, *program.libraries))
    return replace(program, folder=moved[0], libraries=moved[1:], contents=(target,), interpreter=None)


def _make_environment(tree: Path, interpreter: Path) -> None:
    """Make the copy an environment of its own (https://docs.python.org/3/library/venv.html), whose scripts find its
    Python wherever it lies. Raises Unavailable `BLU706` where every Python of this version lies in a closed folder."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    places = (interpreter, *(Path(each, f"python{version}") for each in ("/usr/bin", "/usr/local/bin")))
    python = next((path for path in places if path.is_file() and _open_to_all(path)), None)
    if python is None:
        why = "cannot be entered by the user who services run as, and Python is in it"
        raise Unavailable("BLU706", str(interpreter.parent), why, f"install Python {version} for the whole machine")
    settings = tree / "pyvenv.cfg"
    settings.write_text(f"home = {python.parent}\ninclude-system-site-packages = false\n")
    settings.chmod(0o644)  # as the folders below
    (tree / "bin" / "python3").symlink_to(python)
    for script in (tree / "bin").iterdir():
        if not script.is_symlink():
            first, _, rest = script.read_bytes().partition(b"\n")
            if first.startswith(b"#!") and b"python" in first:
                script.write_bytes(RELOCATABLE.encode() + rest)


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


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
    """The upstream part of a Debian version: "1:2.2.6-1+b4" is 2.2.6, and "2.42.0+ds-5" (repacked) is 2.42.0."""
    after_epoch = debian.rpartition(":")[2]
    with_repack = after_epoch.rpartition("-")[0] or after_epoch
    return re.sub(r"[+~](ds|dfsg|repack)[\d.]*$", "", with_repack)
