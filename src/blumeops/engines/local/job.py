"""A run of a job: the program of a unit, started once, followed by its token.

In: a unit of kind `job`, and a token that nobody used before. Out: a process under the manager, which neither restarts
it nor starts it with itself; and what became of it, for whoever comes with the token. The token is in the process's
environment and in the manager's definition, which is made anew for each run: so a controller that was killed between
two lines of `start` finds either no run of that token, or this one. Promised: a token is started once.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from blumeops.base.errors import BlumeError, EngineError, Unavailable
from blumeops.engines.local import health, instance, leftovers, ready
from blumeops.engines.local.folders import SLOTS
from blumeops.engines.local.observe import over_limit
from blumeops.engines.local.programs import Program
from blumeops.engines.local.record import Record, process_name
from blumeops.engines.local.resolve import others_folders, references_of
from blumeops.engines.local.site import Outcome, Site
from blumeops.render.local_unit import LocalUnit

TOKEN = "BLUMEOPS_RUN"  # noqa: S105  # the name of a variable, and no secret's
SLOT = SLOTS[0]
TELLING = re.compile(r"\b(error|fatal|no space|denied|incorrect)\b", re.IGNORECASE)
UNKNOWN = "(not shown: the store cannot tell the secrets in it)"
NO_IMAGE = "runs at its time, and here only programs of this machine do so"
REAPED = 5.0
"""Seconds within which the manager knows of an end that the kernel told."""


@dataclass(frozen=True, slots=True)
class JobSeen:
    """One run. `absent`: it was never started; `lost`: it was, and was ended together with its manager or by somebody
    else; `ended`: by itself, with `code`. `words`: what it said last, without secrets."""

    state: Literal["absent", "running", "ended", "lost"]
    process: str
    pid: int = 0
    since: float = 0.0
    code: int | None = None
    words: str = ""
    lacks: tuple[str, ...] = ()
    """Units whose state it was to read, and may not."""
    gone: tuple[str, ...] = ()
    """Units that run, and whose state it was to read is not there: it was given nothing of it."""


def note(site: Site, unit: LocalUnit, say: Callable[[str], None]) -> Outcome:
    """Know the job from now on; its program is got, so that it is known whether it can be. A run that goes on is left
    alone. Raises Unavailable `BLU701`, `BLU706`."""
    before = site.records.read(unit.unit)
    _program(site, unit, say)
    site.records.write(Record(wanted=unit))
    same = before is not None and before.wanted == unit and not before.failed
    return Outcome(unit.unit, "unchanged" if same else "scheduled")


def start(site: Site, unit: LocalUnit, token: str, say: Callable[[str], None]) -> JobSeen:
    """Start the run, unless it was started already. The caller holds the unit's lock. Raises EngineError, Unavailable:
    then nothing of it runs."""
    now = seen(site, unit.unit, token)
    if now.state != "absent":
        return now
    missing = ready.missing_need(site, unit)
    if missing:
        raise Unavailable("BLU715", unit.unit, f"needs {missing}, which is not healthy", f"blumeops logs {missing}")
    program = _with_providers(site, unit, _program(site, unit, say))
    ready.folders(site, unit, program, first=False)
    resolver = site.resolver(unit, SLOT, {})
    ready.give_state(site, unit, resolver, *unit.state)
    resolved = resolver.whole(program)
    instance.write(resolver.owned, site.folders.instance(unit.unit, SLOT), resolved)
    spec = replace(resolved.spec, restart=False, env=resolved.spec.env | {TOKEN: token})
    site.manager.remove(spec.name)
    site.manager.define(spec)
    site.manager.start(spec.name)
    now = seen(site, unit.unit, token)
    if now.state == "absent":
        raise EngineError("BLU721", spec.name, "supervisor does not start it")
    return now


def seen(site: Site, unit: str, token: str) -> JobSeen:
    """What became of the run with this token."""
    name = process_name(unit, SLOT)
    spec = site.manager.defined(name)
    if spec is None or spec.env.get(TOKEN) != token:
        return JobSeen("absent", name)
    process = site.process(name)
    if process.pid:
        return JobSeen("running", name, process.pid, process.since)
    if process.code is not None:
        return JobSeen("ended", name, 0, process.since, process.code)
    return JobSeen("lost" if site.manager.has_begun(name) else "absent", name)


def running_token(site: Site, unit: str) -> str:
    """The token of the run that goes on; empty where none does."""
    name = process_name(unit, SLOT)
    spec = site.manager.defined(name) if site.process(name).pid else None
    return spec.env.get(TOKEN, "") if spec else ""


def result(site: Site, unit: LocalUnit, token: str, since: int) -> JobSeen:
    """What became of a run that the kernel says has ended: the manager is given a moment to notice. What it left
    running is ended. `since`: where its log began."""
    deadline = time.monotonic() + REAPED
    while (now := seen(site, unit.unit, token)).state == "running" and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    leftovers.end_marked(site.folders.state / "manager" / "programs" / now.process)
    words = ""
    if now.code == -1 and site.manager.out_of_memory(now.process):
        words = over_limit(unit)
    elif now.code or now.state == "lost":
        words = _last_words(site, unit, since)
    return replace(now, words=words, lacks=tuple(_lacking(site, unit)), gone=tuple(_gone(site, unit)))


def _lacking(site: Site, unit: LocalUnit) -> Iterator[str]:
    """The units whose state the job is to read and cannot: a container's belongs to another user. Borg only warns."""
    spec = site.manager.defined(process_name(unit.unit, SLOT))
    if spec and spec.reads_all:
        return
    for part in sorted(others_folders(unit), key=lambda part: (part.unit, part.name)):
        folder, user = site.folders.data(part.unit, part.name), site.folders.account.user
        if folder.exists() and not (os.access(folder, os.R_OK) if user is None else folder.lstat().st_uid == user):
            yield part.unit


def _gone(site: Site, unit: LocalUnit) -> Iterator[str]:
    """The units of which a folder is missing though they keep something in it. One that never ran has none."""
    missing = {each.unit for each in others_folders(unit) if not site.folders.data(each.unit, each.name).exists()}
    for name in sorted(missing):
        record = site.records.read(name)
        if record and record.serving:
            yield name


def stop(site: Site, unit: str) -> None:
    """End the run that goes on."""
    if running_token(site, unit):
        site.manager.stop(process_name(unit, SLOT))


def _program(site: Site, unit: LocalUnit, say: Callable[[str], None]) -> Program:
    program = ready.program(site, unit, say)
    if program.image:
        raise Unavailable("BLU701", unit.unit, NO_IMAGE)
    return program


def _with_providers(site: Site, unit: LocalUnit, program: Program) -> Program:
    """The program, with those of the units that it uses on its PATH. Raises Unavailable `BLU709` while one of them does
    not run, or where it is a container."""
    tools, libraries = [*program.tools], [*program.libraries]
    for name in unit.uses:
        provider, spec = site.provider(name)
        if provider.image:
            raise Unavailable("BLU709", name, f"runs as a container, and {unit.unit} needs its programs here")
        tools.append(Path(spec.argv[0]).parent)
        libraries += [Path(each) for each in spec.env.get("LD_LIBRARY_PATH", "").split(":") if each]
    return replace(program, tools=tuple(tools), libraries=tuple(libraries))


def mask(site: Site, unit: LocalUnit) -> Callable[[str], str]:
    """Takes the secrets that it was given out of a whole line that it printed."""
    return site.secrets.mask if _known(site, unit) else lambda _: UNKNOWN


def _last_words(site: Site, unit: LocalUnit, since: int) -> str:
    """Of the lines of this run the first that speaks of an error, with what stands around it, else the last: a tool
    that drives another prints what that said, then what failed, and at the end help. Without the secrets that it was
    given; nothing while the store cannot tell them."""
    if not _known(site, unit):
        return ""
    lines = health.last_lines(site.folders.log(unit.unit, SLOT), since, 1000, site.secrets.mask).split(" | ")
    at = next((number for number, line in enumerate(lines) if TELLING.search(line)), None)
    return " | ".join(lines[-3:] if at is None else lines[max(0, at - 1) : at + 2])


def _known(site: Site, unit: LocalUnit) -> bool:
    """Whether the masks know its secrets."""
    try:
        for reference in references_of(unit):
            site.secrets(reference)
    except BlumeError:
        return False
    return True
