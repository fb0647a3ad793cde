"""What `Programs.obtain` would answer, said in advance: nothing is fetched, nothing is made, no network is asked."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blumeops.engines.local.programs import apt, deb, images, installed, release, runtime
from blumeops.engines.local.programs.found import Missing, Program
from blumeops.engines.local.programs.progress import megabytes
from blumeops.render.local_unit import Source

APT_TOOLS = ("apt-get", "apt-cache", "dpkg-deb")


@dataclass(frozen=True, slots=True)
class Fetchable:
    """Would be fetched. Whether the version is there, only the archive knows."""

    words: str


def would_provide(source: Source, version: str, cache: Path) -> Program | Fetchable | Missing:
    """What one source would answer when it is asked for `version`. `cache`: the folder for what is fetched."""
    fetched: dict[str, Callable[[Source, str], Fetchable | Missing]] = {
        "deb": lambda each, of: _deb(each, of, cache),
        "release": lambda each, of: _release(each, of, cache),
        "container": _image,
    }
    return installed.ask(source, source.version or version, fetched)


def first_of(
    sources: Sequence[Source], version: str, cache: Path
) -> tuple[Source, Program | Fetchable] | list[tuple[Source, Missing]]:
    """The first source that would provide it, or why each one would not."""
    missing = []
    for source in sources:
        found = would_provide(source, version, cache)
        if not isinstance(found, Missing):
            return source, found
        missing.append((source, found))
    return missing


def _image(source: Source, version: str) -> Fetchable | Missing:
    found = runtime.find()
    if isinstance(found, Missing):
        return found
    name = images.reference(source, version)
    here = found.ask("image", "inspect", "--format", "{{.Id}}", name).code == 0
    return Fetchable(
        f"{found.dialect} has it" if here else f"`up` pulls it with {found.dialect}, if its registry has it"
    )


def _release(source: Source, version: str, cache: Path) -> Fetchable | Missing:
    found = release.chosen(source, version)
    if isinstance(found, Missing):
        return found
    if release.home(cache, source, version, found).is_dir():
        return Fetchable("fetched already")
    if release.kept(cache, found).is_file():
        return Fetchable("downloaded already; `up` unpacks it")
    return Fetchable(f"`up` downloads {found.url}; how large it is, only its server knows")


def _deb(source: Source, version: str, cache: Path) -> Fetchable | Missing:
    distribution, suite = apt.release()
    home = f"deb-{source.name}-{version}"  # and perhaps the suite
    fetched = (cache / "programs").glob(f"deb-*/{deb.VERSION_FILE}")
    if any(f"{file.parent.name}-".startswith(f"{home}-") for file in fetched):
        return Fetchable("fetched already")
    if not suite:
        return Missing("this is no Debian-like Linux")
    for tool in APT_TOOLS:
        if not shutil.which(tool):
            package = "dpkg" if tool == "dpkg-deb" else "apt"
            return Missing(f"{tool} is not on this machine", f"sudo apt-get install {package}")
    if not apt.archives(apt.machine_entries(), distribution, suite):
        return Missing(f"apt has no archive of {distribution} in its sources")
    size = deb.size_of(source.name, source.suite or suite, cache)
    how = f"{megabytes(size)} and the libraries that it needs" if size else "how large it is, apt's lists will tell"
    return Fetchable(
        f"`up` fetches it from {distribution}'s {source.suite or suite}, if it is there in this version; {how}"
    )
