"""Programs of a Debian package, unpacked into the cache: no installation, no root.

`source.name` may name several packages, the program's first and then its libraries'. The folder in the cache
is complete once it has its name: it is unpacked beside it and renamed, under a lock. Then no apt is asked.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from blumeops.base.errors import EngineError
from blumeops.base.files import cannot_write, locked
from blumeops.base.processes import Completed, must, run
from blumeops.engines.local.programs import apt
from blumeops.engines.local.programs.found import Missing, Program, matches, upstream
from blumeops.render.local_unit import Source

VERSION_FILE = ".version"
SECONDS = 600


def unpacked(source: Source, version: str, cache: Path, say: Callable[[str], None]) -> Program | Missing:
    """The package's programs, fetched when they are not in `cache`."""
    packages = source.name.split()
    home = cache / "programs" / f"deb-{packages[0]}-{version}"
    if not (home / VERSION_FILE).exists():
        missing = _fetch(source, packages, version, home, cache, say)
        if missing:
            return missing
    return _program(source, home)


def _fetch(
    source: Source, packages: list[str], version: str, home: Path, cache: Path, say: Callable[[str], None]
) -> Missing | None:
    distribution, own_suite = apt.release()
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb") or not own_suite:
        return Missing("this is no Debian-like Linux")
    uris = apt.archives(apt.machine_entries(), distribution, own_suite)
    if not uris:
        return Missing(f"apt has no archive of {distribution} in its sources")
    suite = source.suite or own_suite
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        root = cache / "apt" / suite
        root.mkdir(parents=True, exist_ok=True)
        for folder in (cache, home.parent):  # services of root run as another user, who must get there
            folder.chmod(0o755)
        with locked(cache / "programs" / f".{home.name}.lock"), locked(root / "lock"):
            if (home / VERSION_FILE).exists():
                return None
            try:
                return _download(packages, version, home, apt.configure(root, uris, suite, distribution), say)
            except EngineError as error:
                return Missing(f"{suite}: {error.message}")
    except OSError as error:
        raise cannot_write(home.parent, error) from error


def _download(packages: list[str], version: str, home: Path, conf: Path, say: Callable[[str], None]) -> Missing | None:
    suite = conf.parent.name
    say(f"{packages[0]} {version}: asking {suite} for it")
    candidate = _candidate(packages[0], conf)
    if not candidate or not matches(version, upstream(candidate)):
        must(_apt(conf, "update"), "BLU703", "apt-get update")
        candidate = _candidate(packages[0], conf)
    if not candidate:
        return Missing(f"{suite} has no such package")
    if not matches(version, upstream(candidate)):
        return Missing(f"{suite} has {upstream(candidate)}, {version} is wanted")
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=home.parent) as folder:
        downloads, tree = Path(folder, "deb"), Path(folder, "tree")
        downloads.mkdir()
        say(f"{packages[0]} {version}: downloading {' '.join(packages)}")
        done = _apt(conf, "download", f"{packages[0]}={candidate}", *packages[1:], cwd=downloads)
        if done.code:
            # The lists may be older than the archive.
            must(_apt(conf, "update"), "BLU703", "apt-get update")
            must(_apt(conf, "download", *packages, cwd=downloads), "BLU703", "apt-get download")
        for file in sorted(downloads.glob("*.deb")):
            must(run(["dpkg-deb", "-x", str(file), str(tree)], seconds=SECONDS), "BLU703", file.name)
        (tree / VERSION_FILE).write_text(upstream(candidate))
        tree.chmod(0o755)
        shutil.rmtree(home, ignore_errors=True)
        tree.rename(home)
    return None


def _candidate(package: str, conf: Path) -> str:
    """The version that the private apt would download; empty when it knows none."""
    done = run(["apt-cache", "-c", str(conf), "show", "--no-all-versions", package], seconds=SECONDS)
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith("Version:"):
            return line.partition(":")[2].strip()
    return ""


def _apt(conf: Path, *words: str, cwd: Path | None = None) -> Completed:
    env = {name: value for name, value in os.environ.items() if not name.startswith("APT_")}
    return run(["apt-get", "-q", "-y", "-c", str(conf), *words], env=env | {"LC_ALL": "C"}, cwd=cwd, seconds=SECONDS)


def _program(source: Source, home: Path) -> Program:
    folders = [home / source.bin] if source.bin else [home / name for name in ("usr/bin", "usr/sbin", "usr/games")]
    folder = next((each for each in folders if each.is_dir()), home)
    libraries = [each for each in (*home.glob("usr/lib/*-linux-gnu*"), home / "usr/lib") if each.is_dir()]
    return Program(
        folder,
        (home / VERSION_FILE).read_text(),
        source,
        tuple(each for each in libraries if _shared(each)),
        contents=(home,),
    )


def _shared(folder: Path) -> bool:
    return any(folder.glob("*.so*"))
