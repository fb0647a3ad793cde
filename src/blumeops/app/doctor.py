"""What this machine lacks to run a lab at site `here`: everything is looked at, nothing is made, fetched or asked for
on the network. Each answer says whether it is well, why, and the command that mends it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.base.site import SiteFolder
from blumeops.checks.check import CheckedLab
from blumeops.engines.local import leftovers, limits, ports
from blumeops.engines.local.folders import check_reachable, service_account
from blumeops.engines.local.job import NO_IMAGE
from blumeops.engines.local.programs import cache_folder
from blumeops.engines.local.programs.foresee import first_of
from blumeops.render import local
from blumeops.render.local_unit import LocalUnit, Source
from blumeops.secrets import age, scan, sops

LEAST_FREE = 500 << 20
"""Bytes of disk below which even the smallest lab gets into trouble."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`what` was looked at, whether it is `ok`, `why`, and the `command` that gets what lacks (empty: none)."""

    what: str
    ok: bool
    why: str
    command: str = ""

    def as_json(self) -> dict[str, object]:
        """The object of `doctor --json`."""
        return {"what": self.what, "ok": self.ok, "why": self.why, "command": self.command}


def examine(checked: CheckedLab, folder: Path, site: SiteFolder, age_key: Path | None) -> Iterator[Answer]:
    """Every answer about the lab in `folder` and the state of `site`."""
    settings = checked.lab.settings
    units = local.units(local.render(checked))
    yield from _tools()
    for unit in units.values():
        yield from _programs(unit)
    if any(port.fixed for unit in units.values() for port in unit.ports.values()):
        yield _port("here.https", settings.here.https, site)
    yield _port("here.forge", settings.here.forge, site)
    yield _port("here.dns", settings.here.dns, site, ("tcp", "udp"))
    yield _state(site, settings.lab)
    yield _writable("programs' cache", cache_folder(), "export BLUMEOPS_CACHE=DIR")
    yield from _space({"state": site.path, "programs' cache": cache_folder()})
    yield _key(site, folder, age_key)
    yield _limits(site, units.values())


def _tools() -> Iterator[Answer]:
    found = shutil.which("git")
    command = "xcode-select --install" if sys.platform == "darwin" else "sudo apt-get install git"
    yield Answer("git", bool(found), found or "is not on this machine", "" if found else command)
    try:
        yield Answer("sops", True, sops.program())
    except BlumeError as error:
        yield Answer("sops", False, error.message, error.hint)
    # Without it all else works: no reason to call a machine unfit.
    yield Answer("betterleaks", True, scan.program() or "is not here: pushes are not looked through for secrets")


def _programs(unit: LocalUnit) -> Iterator[Answer]:
    """The one that the unit is, and those that it calls itself."""
    what = f"program of {unit.unit}"
    if unit.provided:
        yield Answer(what, True, f"{unit.provided} stands in for it")
    elif unit.unavailable:
        yield Answer(what, False, f"unavailable: {unit.unavailable}")
    else:
        yield _had(what, unit.sources, unit.version, unit.kind == "job")
        for tool in unit.tools:
            named = tool.sources[0].name if tool.sources else "without a source"
            yield _had(f"tool {named} of {unit.unit}", tool.sources, tool.version, plain=True)


def _had(what: str, sources: Sequence[Source], version: str, plain: bool) -> Answer:
    """Whether one of the sources has it. `plain`: an image will not do."""
    found = first_of(sources, version, cache_folder())
    if isinstance(found, tuple):
        source, how = found
        words = f"{source.kind} {source.name} {source.version or version}"
        if plain and source.kind == "container":
            return Answer(what, False, f"unavailable: {words}: {NO_IMAGE}")
        return Answer(what, True, f"{words}: {getattr(how, 'words', 'is here')}")
    reasons = "; ".join(f"{source.kind} {source.name}: {missing.reason}" for source, missing in found)
    command = next((missing.command for _, missing in found if missing.command), "")
    return Answer(what, False, f"unavailable: {reasons or 'no source is named'}", command)


def _limits(site: SiteFolder, units: Iterable[LocalUnit]) -> Answer:
    """A lab runs without limits too: nothing lacks."""
    count = sum(unit.memory is not None for unit in units)
    found = limits.limits_for(site.path / "manager")
    how = "are enforced by control groups" if found.base else f"are not enforced: {found.why}"
    return Answer("limits of memory", True, f"those of {count} services {how}")


def _port(field: str, number: int, site: SiteFolder, protocols: Iterable[str] = ("tcp",)) -> Answer:
    try:
        if all(ports.is_free(number, protocol) for protocol in protocols):
            return Answer(field, True, f"port {number} is free")
    except BlumeError as error:
        return Answer(field, False, f"port {number} {error.message}; {error.hint}")
    holder = ports.holder(number)
    if holder and holder.pid in {process.pid for process in leftovers.marked(site.path)}:
        return Answer(field, True, f"port {number} is held by this lab, which is up")
    who = f"{holder.name()} (pid {holder.pid})" if holder else "another program"
    other = f"`{field.replace('.', ': {')}: …}}`"
    return Answer(field, False, f"port {number} is taken by {who}; stop that, or write {other} in lab.yaml")


def _state(site: SiteFolder, lab: str) -> Answer:
    """Ours, of this lab, and one that services can get to."""
    command = f"sudo install -d -o {os.geteuid()} {shlex.quote(str(site.path))}"
    answer = _writable("state", site.path, command)
    if not answer.ok:
        return answer
    account, hint = service_account(), "choose another folder with --state"
    if site.lab_name.is_file() and (owner := site.lab_name.read_text().strip()) != lab:
        return Answer("state", False, f"{site.path} holds the lab {owner!r}; {hint}")
    try:
        if account.user is not None:
            check_reachable(_nearest(site.path), account, hint)
    except BlumeError as error:
        return Answer("state", False, f"{error.subject} {error.message}; {hint}")
    return answer


def _writable(what: str, folder: Path, command: str) -> Answer:
    at = _nearest(folder)
    if not at.is_dir():
        return Answer(what, False, f"{at} is not a folder")
    if folder.is_dir() and what == "state" and folder.stat().st_uid != os.geteuid():
        return Answer(what, False, f"{folder} belongs to somebody else", command)
    if not os.access(at, os.W_OK | os.X_OK):
        return Answer(what, False, f"{at} cannot be written to", command)
    return Answer(what, True, f"{folder} {'is ours' if folder.is_dir() else 'can be made'}")


def _space(folders: Mapping[str, Path]) -> Iterator[Answer]:
    """Of each disk once."""
    seen = set()
    for what, folder in folders.items():
        at = _nearest(folder)
        if at.stat().st_dev not in seen:
            seen.add(at.stat().st_dev)
            free = shutil.disk_usage(at).free
            why = f"{free >> 20:,} MiB are free at {at}; {LEAST_FREE >> 20} are wanted"
            yield Answer(f"disk of the {what}", free >= LEAST_FREE, why)


def _key(site: SiteFolder, folder: Path, age_key: Path | None) -> Answer:
    """There, and a key; or not yet needed, since there is nothing that it would have to open."""
    path = site.age_key
    needed = site.repository.is_dir() or (folder / sops.NAME).is_file()
    if not (age_key or os.environ.get(age.VARIABLE) or path.exists() or needed):
        return Answer("age key", True, f"`up` makes it: {path}")
    try:
        return Answer("age key", True, str(age.find_key(age_key, os.environ, path, create=False).path))
    except BlumeError as error:
        return Answer("age key", False, f"{error.subject} {error.message}", error.hint)


def _nearest(path: Path) -> Path:
    """The path, or the nearest above it that is there and may be looked at."""
    return next(each for each in (path, *path.parents) if os.path.exists(each))  # noqa: PTH110 - Path's raises
