"""What must be there before a unit's program is started: what it needs, the program itself, its folders.

In: a unit. Out: its program, where whoever runs it can get to it. Each is safe to repeat, and nothing is stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from blumeops.base.errors import Unavailable
from blumeops.engines.local import health, samples, shares
from blumeops.engines.local.folders import SLOTS, check_reachable, give
from blumeops.engines.local.programs import Program
from blumeops.engines.local.programs.found import copied
from blumeops.engines.local.resolve import Resolver, shares_of
from blumeops.engines.local.site import Site
from blumeops.render.local_unit import LocalUnit

HINT = "put it where others may read it"


def missing_need(site: Site, unit: LocalUnit) -> str:
    """The first unit that this one needs and that is not healthy now; empty when all are."""
    for need in unit.needs:
        record = site.records.read(need)
        if record is None:
            return need
        if record.wanted.provided or record.wanted.kind == "job":
            continue
        if record.serving is None or site.process(record.serving.process).state not in ("running", "starting"):
            return need
        probe = site.probe(record.serving)
        if probe is None or health.ask(probe):
            return need
    return ""


def program(site: Site, unit: LocalUnit, say: Callable[[str], None]) -> Program:
    """The unit's program, with the tools that it calls. Raises Unavailable `BLU701`, and `BLU706` where those who run
    it cannot get to it."""
    own = _within_reach(site, unit.unit, site.programs.obtain(unit.sources, unit.version, say))
    tools = [
        _within_reach(site, unit.unit, site.programs.obtain(each.sources, each.version, say)) for each in unit.tools
    ]
    libraries = (*own.libraries, *(folder for tool in tools for folder in tool.libraries))
    return replace(own, tools=tuple(tool.folder for tool in tools), libraries=libraries) if tools else own


def folders(site: Site, unit: LocalUnit, program: Program, first: bool) -> None:
    """Make the unit's folders. `first`: it has never run."""
    folders, name = site.folders, unit.unit
    folders.of_service(folders.home(name))
    folders.of_service(folders.sockets(name))
    folders.listed(folders.state / "data" / name)  # Borg reads the folder above what it reads
    for each in unit.state:
        if first or not folders.data(name, each).exists():
            give_state(site, unit, site.resolver(unit, SLOTS[0], {}, program.image), each)
    if first:
        samples.put(site.resolver(unit, SLOTS[0], {}, program.image).owned, unit)
    to = site.resolver(unit, SLOTS[0], {}, program.image).owned.account
    for share in sorted(shares_of(unit, contained=program.image is not None)):
        folders.make_share(share)
        shares.require(folders, unit.unit, share, to, contained=program.image is not None)


def give_state(site: Site, unit: LocalUnit, to: Resolver, *names: str) -> None:
    """These state folders shall be of whoever runs so: a container is another user than a process."""
    for name in names:
        give(site.folders.data(unit.unit, name), to.owned.account, site.folders.account)


def _within_reach(site: Site, unit: str, program: Program) -> Program:
    """The program where the services' user can run it: below the state, if it lies in a closed folder."""
    folders = site.folders
    if folders.account.user is None or program.image:
        return program
    try:
        check_reachable(program.folder, folders.account, HINT)
        if program.interpreter:
            check_reachable(program.interpreter.parent, folders.account, HINT)
    except Unavailable:
        program = copied(program, folders.shared(folders.state / "programs"))
        try:
            check_reachable(program.folder, folders.account, HINT)
        except Unavailable as error:
            why = f"its program is in {program.folder}, and {error.subject} {error.message}"
            raise Unavailable(error.code, unit, why, HINT) from error
    return program
