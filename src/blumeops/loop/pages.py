"""The pages that the proxy shows in place of services that do not answer, kept as the status says.

In: recorded conditions. Out: `pages/NAME.html`, each replaced whole when what it says changes. A page is there for a
service that is well too: it is what is seen in the moment in which it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.base.files import write_whole
from blumeops.engines.local.engine import Observed
from blumeops.render.local_unit import LocalUnit
from blumeops.render.page import Down, page
from blumeops.status import records, shown
from blumeops.status.database import Database

_WORDS: dict[records.State, tuple[str, str]] = {
    "running": ("runs, but does not answer as it should", "bad"),
    "starting": ("is starting", "wait"),
    "waiting": ("waits for what it needs", "wait"),
    "failed": ("ended, or did not start", "bad"),
    "stopped": ("is stopped", "bad"),
    "provided": ("is not run here: something built in stands in for it", "rest"),
    "scheduled": ("runs at set times only", "rest"),
    "unavailable": ("cannot be had on this machine", "rest"),
}


def keep(
    folder: Path, database: Database, units: Mapping[str, LocalUnit], seen: Mapping[str, Observed], whole: bool
) -> None:
    """Write the page of each unit that has a name at the proxy. `whole`: pages of other units are taken away. A full
    disk leaves the old page: that is not what a look should fail of."""
    with suppress(BlumeError, OSError):
        for unit in records.units(database):
            route = units[unit.id].route if unit.id in units else None
            if unit.id in seen and route:
                text = page(_words(database, unit, units[unit.id], seen[unit.id]))
                path = folder / f"{route.label}.html"
                if not path.is_file() or path.read_text() != text:
                    write_whole(path, text)
        for path in _of_others(folder, units) if whole else ():
            path.unlink(missing_ok=True)


def _words(database: Database, unit: records.Unit, described: LocalUnit, seen: Observed) -> Down:
    well = (unit.state, unit.health) == ("running", "healthy")
    state, mood = ("was well when it was last looked at", "wait") if well else _WORDS[unit.state]
    last = None if unit.state in records.AT_REST else records.last_step(database, unit.id)
    return Down(
        service=unit.id,
        about=f"{described.app} {described.version}" + (f", placed on {described.place}" if described.place else ""),
        heading=f"{unit.id} does not run here" if unit.state in records.AT_REST else f"{unit.id} is down",
        state=state,
        mood=mood,
        since=shown.time_of(unit.since),
        reason="" if well else unit.reason.replace("; ", "\n"),
        command=seen.hint.removeprefix("get it by: ").replace(" | ", "\n"),
        change=f"{last.action} with revision {last.revision[:8]}" if last else "",
        changed=shown.time_of(last.at) if last else "",
    )


def _of_others(folder: Path, units: Mapping[str, LocalUnit]) -> Iterable[Path]:
    names = {unit.route.label for unit in units.values() if unit.route}
    return [path for path in folder.glob("*.html") if path.stem not in names]
