"""Programs of a release: downloaded, verified, unpacked into the cache that the labs share.

In: a source `release` with its downloads by platform. Out: the program, or why not and the command that helps.
Promised: one download, however many ask at once; a folder in the cache is complete once it has its name; one that was
killed half-way is taken up again; without the SHA-256 of this very version nothing is asked for.
"""

from __future__ import annotations

import hashlib
import os
import platform as machine
import re
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from blumeops.base.errors import EngineError
from blumeops.base.files import cannot_write, clear_scratch, locked, private_folder, scratch
from blumeops.engines.local.programs import archive, download
from blumeops.engines.local.programs.download import USUAL, Limits
from blumeops.engines.local.programs.found import Missing, Program
from blumeops.render.local_unit import Download, Source

ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
"""Of programs and versions: part of a path."""
FORGET = 60.0
"""Seconds for which a server that did not answer is not asked again: ten services would wait ten times."""
_away: dict[str, float] = {}


def platform() -> str:
    """This machine's: `linux-amd64`."""
    system = "darwin" if sys.platform == "darwin" else "linux"
    return f"{system}-{ARCHITECTURES.get(machine.machine().lower(), machine.machine().lower())}"


def chosen(source: Source, version: str) -> Download | Missing:
    """The download for this machine, or why there is none."""
    found = source.downloads.get(platform())
    if not found:
        return Missing(f"names no download for {platform()}")
    if version != source.known:
        command = (
            f"curl -fsSL {shlex.quote(found.url)} | {'shasum -a 256' if sys.platform == 'darwin' else 'sha256sum'}"
        )
        return Missing(f"the app's `sha256` are those of {source.known}, and {version} is wanted", command)
    if not NAME.fullmatch(version) or not NAME.fullmatch(source.name) or "/" in found.name:
        return Missing("has no name for a folder")
    return found


def kept(cache: Path, found: Download) -> Path:
    """Where its file lies until it is unpacked: whoever has no network may put it there."""
    return cache / "downloads" / found.sha256


def home(cache: Path, source: Source, version: str, found: Download) -> Path:
    """Its folder in the cache: another one when it would be unpacked in another way."""
    key = hashlib.sha256(found.model_dump_json(exclude={"url"}).encode()).hexdigest()[:16]
    return cache / "programs" / f"release-{source.name}-{version}-{key}"


def unpacked(
    source: Source, version: str, cache: Path, say: Callable[[str], None],
    limits: Limits = USUAL,
) -> Program | Missing:  # fmt: skip
    """The program, fetched when it is not in `cache`. Raises EngineError `BLU734`, `BLU735`, `BLU903`."""
    found = chosen(source, version)
    if isinstance(found, Missing):
        return found
    at = home(cache, source, version, found)
    if not at.is_dir():
        try:
            at.parent.mkdir(parents=True, exist_ok=True)
            for folder in (cache, at.parent):  # services of root run as another user, who must get there
                folder.chmod(0o755)
            private_folder(kept(cache, found).parent)
        except OSError as error:
            raise cannot_write(at.parent, error) from error
        lock = at.parent / f".release-{found.sha256}.lock"
        with ExitStack() as held:
            if not held.enter_context(locked(lock, wait=False)):
                say(f"{source.name} {version}: somebody else is downloading it, and is waited for")
                held.enter_context(locked(lock))
            missing = _fetch(source, version, found, at, cache, say, limits)
        if missing:
            return missing
    return Program(at / found.folder, version, source, contents=(at,))


def _fetch(
    source: Source, version: str, found: Download, at: Path, cache: Path, say: Callable[[str], None],
    limits: Limits,
) -> Missing | None:  # fmt: skip
    if at.is_dir():
        return None
    file, what, server = kept(cache, found), f"{source.name} {version}", urlsplit(found.url).netloc
    command = f"curl -fL -o {shlex.quote(str(file))} {shlex.quote(found.url)}"
    if not file.exists():
        if time.monotonic() < _away.get(server, 0.0):
            return Missing(f"{found.url}: {server} did not answer a moment ago", command)
        say(f"{what}: downloading {found.url}")
    try:
        download.fetch(found.url, found.sha256, file, what, say, limits)
    except download.Failed as error:
        if isinstance(error, download.Away):
            _away[server] = time.monotonic() + FORGET
        return Missing(f"{found.url}: {error}", command)
    say(f"{what}: unpacking it")
    unpacking = cache / "unpacking"
    try:
        clear_scratch(unpacking)
        with scratch(unpacking, "release-") as folder:
            tree = folder / "tree"
            tree.mkdir(mode=0o755)
            _unpack(file, found, tree)
            os.sync()  # a name that survives a power loss stands for files that do
            tree.chmod(0o755)
            tree.rename(at)
    except OSError as error:
        raise cannot_write(at, error) from error
    finally:
        file.unlink(missing_ok=True)
    return None


def _unpack(file: Path, found: Download, tree: Path) -> None:
    """The tree, in which the command's program has the command's name."""
    if found.archive == "none":
        shutil.copyfile(file, tree / found.name)
        (tree / found.name).chmod(0o755)
        return
    archive.unpack(file, found.archive, tree)
    folder = tree / found.folder
    program = folder / (found.program or found.name)
    if not folder.is_dir() or (found.program and not program.is_file()):
        lacking = "/".join(part for part in (found.folder, found.program) if part)
        raise EngineError("BLU735", found.url, f"has no {lacking} in it", f"it has {_some(tree)}")
    if found.program:
        called = folder / found.name
        if program != called and os.path.lexists(called):
            raise EngineError("BLU735", found.url, f"has {found.name} too, beside {found.program}")
        if program != called:
            called.symlink_to(found.program)
        program.chmod(stat.S_IMODE(program.stat().st_mode) | 0o555)  # a zip may not know


def _some(tree: Path) -> str:
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
