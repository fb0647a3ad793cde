"""When a job is due: once on each local calendar date, at its time of day. Pure: the clock and its zone are passed in.

A due time is a local date with a time of day ("2026-11-25T02:00"), and nothing else: so it is the same whatever the
clock did meanwhile, it comes once on a day whose 02:00 is there twice, and at 03:00 on one that goes from 01:59 there.
Of due times that passed while nobody looked, the last one counts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container
from datetime import datetime, timedelta, tzinfo

DAY = timedelta(days=1)


def due(at: str, now: float, since: float, done: Container[str], zone: tzinfo | None = None) -> str:
    """The due time for which a run is owed; empty where none is.

    `at`: "02:00"; `since`: from when on the job is there; `done`: the due times that had their run, or were passed over
    for a reason. `zone`: None is this machine's.
    """
    today = _wall(now, zone)
    last = _on(today, at)
    if last > today:
        last = _on(last - DAY, at)
    owed = name(last)
    return "" if owed in done or moment(last, zone) < since else owed


def coming(at: str, now: float, done: Container[str], zone: tzinfo | None = None) -> float:
    """When the next due time is that had no run yet, in seconds since 1970."""
    today = _wall(now, zone)
    then = _on(today, at)
    while then <= today or name(then) in done:
        then = _on(then + DAY, at)
    return moment(then, zone)


def name(wall: datetime) -> str:
    """How a due time is remembered."""
    return wall.isoformat(timespec="minutes")


def moment(wall: datetime, zone: tzinfo | None = None) -> float:
    """The first second at which a clock on the wall shows at least this."""
    first = wall.replace(tzinfo=zone, fold=0).timestamp()
    if _wall(first, zone) == wall:
        return first
    # The clock jumps over it: somewhere between what it would have been by the time before and by the time after.
    begin = int(wall.replace(tzinfo=zone, fold=1).timestamp())
    return float(begin + bisect_left(range(begin, int(first)), wall, key=lambda second: _wall(second, zone)))


def _wall(seconds: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(seconds, zone).replace(tzinfo=None, fold=0)


def _on(day: datetime, at: str) -> datetime:
    hour, minute = map(int, at.split(":"))
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)
