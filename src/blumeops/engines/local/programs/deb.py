"""Programs of a Debian package, unpacked into the cache: no installation, no root.

The shared libraries that it depends on come with it, from the same suite; the C and C++ runtimes are the machine's.
The folder in the cache is complete once it has its name: it is unpacked beside it and renamed, under a lock. Then no
apt is asked.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from blumeops.base.errors import BlumeError, EngineError
from blumeops.base.files import cannot_write, locked
from blumeops.base.processes import Completed, must, run
from blumeops.engines.local.programs import apt
from blumeops.engines.local.programs.found import Missing, Program, matches, upstream
from blumeops.engines.local.programs.progress import Progress, megabytes, watched
from blumeops.render.local_unit import Source

VERSION_FILE = ".version"
OF_THE_MACHINE = {"libc6", "libgcc-s1", "libstdc++6"}
"""They belong to the machine's dynamic linker; apt itself cannot be without them."""
NAME = r"[a-z0-9][a-z0-9.+-]+"
"""Of packages and suites: part of a path, and a word that is no option."""
SECONDS = 600
PYTHON = """\
#!/bin/sh
usr=$(dirname -- "$(dirname -- "$(realpath -- "$0")")")
for folder in "$usr"/lib/*-linux-gnu "$usr"/../lib/*-linux-gnu; do
  [ -d "$folder" ] && LD_LIBRARY_PATH="${{LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}}$folder"
done
export LD_LIBRARY_PATH PYTHONPATH="$usr/lib/python3/dist-packages" PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$usr/lib/scripts/{name}" "$@"
"""
"""A Python program of a package that is not installed."""


def unpacked(source: Source, version: str, cache: Path, say: Callable[[str], None]) -> Program | Missing:
    """The package's programs, fetched when they are not in `cache`."""
    suite = source.suite or apt.release()[1]
    if not all(re.fullmatch(NAME, word) for word in (source.name, source.suite or "own")):
        return Missing("is no name of a package or of a suite")
    home = cache / "programs" / f"deb-{source.name}-{version}-{suite}"
    if not (home / VERSION_FILE).exists():
        missing = _fetch(source.name, version, suite, home, cache, say)
        if missing:
            return missing
    return _program(source, home)


def _fetch(
    package: str, version: str, suite: str, home: Path, cache: Path, say: Callable[[str], None]
) -> Missing | None:
    distribution, own_suite = apt.release()
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb") or not own_suite:
        return Missing("this is no Debian-like Linux")
    uris = apt.archives(apt.machine_entries(), distribution, own_suite)
    if not uris:
        return Missing(f"apt has no archive of {distribution} in its sources")
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
                return _download(package, version, home, apt.configure(root, uris, suite, distribution), say)
            except EngineError as error:
                return Missing(f"{suite}: {error.message}")
    except OSError as error:
        raise cannot_write(home.parent, error) from error


def _download(package: str, version: str, home: Path, conf: Path, say: Callable[[str], None]) -> Missing | None:
    suite = conf.parent.name
    say(f"{package} {version}: asking {suite} for it")
    candidate = _candidate(package, conf)
    if not candidate or not matches(version, upstream(candidate)):
        must(_apt(conf, "update"), "BLU703", "apt-get update")
        candidate = _candidate(package, conf)
    if not candidate:
        return Missing(f"{suite} has no such package")
    if not matches(version, upstream(candidate)):
        return Missing(f"{suite} has {upstream(candidate)}, {version} is wanted")
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=home.parent) as folder:
        downloads, tree = Path(folder, "deb"), Path(folder, "tree")
        downloads.mkdir()
        wanted = needed(package, conf)
        what, count = f"{package} {version}", len(wanted)
        say(f"{what}: downloading {megabytes(sum(wanted.values()))} in {_packages(count)}: {', '.join(wanted)}")
        libraries = [name for name in wanted if name != package]
        with watched(downloads, count, Progress(what, sum(wanted.values()), say)):
            done = _apt(conf, "download", f"{package}={candidate}", *libraries, cwd=downloads)
            if done.code:
                # The lists may be older than the archive.
                must(_apt(conf, "update"), "BLU703", "apt-get update")
                must(_apt(conf, "download", package, *libraries, cwd=downloads), "BLU703", "apt-get download")
        say(f"{what}: unpacking {_packages(count)}")
        for file in sorted(downloads.glob("*.deb")):
            must(run(["dpkg-deb", "-x", str(file), str(tree)], seconds=SECONDS), "BLU703", file.name)
        _find_modules(tree)
        (tree / VERSION_FILE).write_text(upstream(candidate))
        tree.chmod(0o755)
        shutil.rmtree(home, ignore_errors=True)
        tree.rename(home)
    return None


def size_of(package: str, suite: str, cache: Path) -> int:
    """The package's own size in bytes, as far as the suite's lists were fetched before; 0: not known yet."""
    conf = cache / "apt" / suite / "apt.conf"
    try:
        size = _shown([package], conf).get(package, {}).get("Size", "") if conf.is_file() else ""
    except BlumeError:
        return 0
    return int(size) if size.isdigit() else 0


def _candidate(package: str, conf: Path) -> str:
    """The version that the private apt would download; empty when it knows none."""
    return _shown([package], conf).get(package, {}).get("Version", "")


def needed(package: str, conf: Path) -> dict[str, int]:
    """The package and those of shared libraries and of Python modules that it needs, and that they need in turn, each
    with its size in bytes. Python itself is the machine's. What apt's lists do not know is not among them."""
    found: dict[str, int] = {}
    asked, ask = set(OF_THE_MACHINE), {package}
    while ask:
        asked |= ask
        more = set()
        for name, fields in _shown(sorted(ask), conf).items():
            section = fields.get("Section", "").rpartition("/")[2]
            if name == package or section == "libs" or (section == "python" and name.startswith("python3-")):
                size = fields.get("Size", "")
                found[name] = int(size) if size.isdigit() else 0
                # "libssl3 (>= 3.0.0), libdb5.3 | libdb5.4": of alternatives the first
                more |= set(re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9.+-]+)", fields.get("Depends", "")))
        ask = more - asked
    return {name: found[name] for name in sorted(found, key=lambda name: (name != package, name))}


def _shown(packages: list[str], conf: Path) -> dict[str, dict[str, str]]:
    """What the private apt knows of each package, by field."""
    # Nothing is written for that: who only asks what would be, makes nothing.
    quiet = ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]
    done = run(["apt-cache", "-c", str(conf), *quiet, "show", "--no-all-versions", *packages], seconds=SECONDS)
    stanzas = done.stdout.decode(errors="replace").split("\n\n")
    fields = (dict(re.findall(r"(?m)^([A-Za-z-]+): *(.*)$", stanza)) for stanza in stanzas)
    return {each["Package"]: each for each in fields if "Package" in each}


def _apt(conf: Path, *words: str, cwd: Path | None = None) -> Completed:
    env = {name: value for name, value in os.environ.items() if not name.startswith("APT_")}
    return run(["apt-get", "-q", "-y", "-c", str(conf), *words], env=env | {"LC_ALL": "C"}, cwd=cwd, seconds=SECONDS)


def _program(source: Source, home: Path) -> Program:
    folders = [home / source.bin] if source.bin else [home / name for name in ("usr/bin", "usr/sbin", "usr/games")]
    folder = next((each for each in folders if each.is_dir()), home)
    libraries = [*home.glob("usr/lib/*-linux-gnu*"), *home.glob("lib/*-linux-gnu*"), home / "usr/lib"]
    return Program(
        folder,
        (home / VERSION_FILE).read_text(),
        source,
        tuple(each for each in libraries if each.is_dir() and _shared(each)),
        contents=(home,),
    )


def _find_modules(tree: Path) -> None:
    """Let the package's Python programs find the modules and libraries that came with them, and nobody else."""
    modules, scripts = tree / "usr/lib/python3/dist-packages", tree / "usr/lib/scripts"
    if not modules.is_dir():
        return
    scripts.mkdir()
    scripts.chmod(0o755)  # whatever our umask makes of it: services of root run as another user
    for path in [path for path in (tree / "usr/bin").iterdir() if path.is_file() and not path.is_symlink()]:
        if path.read_bytes().startswith(b"#!/usr/bin/python3"):
            path.rename(scripts / path.name)
            path.write_text(PYTHON.format(name=path.name))
            path.chmod(0o755)


def _shared(folder: Path) -> bool:
    return any(folder.glob("*.so*"))


def _packages(count: int) -> str:
    return "1 package" if count == 1 else f"{count} packages"
