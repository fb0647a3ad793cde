"""When a job is due, whatever the clock does."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from blumeops.loop.schedule import coming, due

BERLIN = ZoneInfo("Europe/Berlin")
AT = "02:30"


def at(text: str, fold: int = 0) -> float:
    """Seconds since 1970 of a time on a wall in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


def owed(now: str, done: set[str] | None = None, since: str = "2026-01-01T00:00", fold: int = 0) -> str:
    """What is due in Berlin at this time of its clocks."""
    return due(AT, at(now, fold), at(since), done or set(), BERLIN)


@pytest.mark.parametrize(
    ("now", "done", "expected"),
    [
        ("2026-11-25T02:29:59", {"2026-11-24T02:30"}, ""),
        ("2026-11-25T02:30:00", {"2026-11-24T02:30"}, "2026-11-25T02:30"),
        ("2026-11-25T23:59:59", {"2026-11-24T02:30"}, "2026-11-25T02:30"),
        ("2026-11-25T02:30:00", {"2026-11-25T02:30"}, ""),
        ("2026-11-26T01:00:00", {"2026-11-25T02:30"}, ""),
    ],
    ids=["before", "at its time", "late on the day", "once", "not again after midnight"],
)
def test_once_a_day_from_its_time_on(now: str, done: set[str], expected: str) -> None:
    """A run is owed from its time on, until it had one."""
    assert owed(now, done) == expected


def test_of_what_was_missed_the_last_counts() -> None:
    """After a week without a controller one run is owed, also before the time of that day."""
    assert owed("2026-11-25T01:00", {"2026-11-18T02:30"}) == "2026-11-24T02:30"
    assert owed("2026-11-25T12:00", {"2026-11-18T02:30"}) == "2026-11-25T02:30"


def test_a_new_job_owes_nothing_of_the_past() -> None:
    """What was due before the job was there is nobody's."""
    assert owed("2026-11-25T12:00", since="2026-11-25T11:00") == ""
    assert owed("2026-11-26T02:30", since="2026-11-25T11:00") == "2026-11-26T02:30"


def test_a_clock_that_was_set_forward_and_back() -> None:
    """It runs once for the day that the clock jumps to, and for no day twice when it comes back."""
    done = {"2026-11-25T02:30"}
    assert owed("2026-11-28T12:00", done) == "2026-11-28T02:30"
    done.add("2026-11-28T02:30")
    assert owed("2026-11-25T13:00", done) == ""
    assert owed("2026-11-26T03:00", done) == "2026-11-26T02:30"
    assert owed("2026-11-28T03:00", done | {"2026-11-27T02:30"}) == ""
    assert coming(AT, at("2026-11-27T12:00"), done, BERLIN) == at("2026-11-29T02:30")


def test_a_day_that_has_no_such_time() -> None:
    """On 29 March 2026 the clock goes from 01:59:59 to 03:00: then it is due, once, and never before."""
    yesterday = {"2026-03-28T02:30"}
    assert owed("2026-03-29T01:59:59", yesterday) == ""
    assert owed("2026-03-29T03:00:00", yesterday) == "2026-03-29T02:30"
    assert owed("2026-03-29T03:00:01", {"2026-03-29T02:30"}) == ""
    assert coming(AT, at("2026-03-29T01:00"), yesterday, BERLIN) == at("2026-03-29T03:00")


def test_a_day_that_has_the_time_twice() -> None:
    """On 25 October 2026 it is 02:30 in summer time and again an hour later: the first one counts, alone."""
    yesterday = {"2026-10-24T02:30"}
    assert owed("2026-10-25T02:30", yesterday, fold=0) == "2026-10-25T02:30"
    assert owed("2026-10-25T02:30", {"2026-10-25T02:30"}, fold=1) == ""
    assert coming(AT, at("2026-10-25T02:00", fold=0), yesterday, BERLIN) == at("2026-10-25T02:30", fold=0)


def test_another_time_on_the_same_day_is_another_due_time() -> None:
    """Whoever moves the time to later today sees it run then."""
    done = {"2026-11-25T02:30"}
    assert due("14:00", at("2026-11-25T14:00"), at("2026-11-25T13:50"), done, BERLIN) == "2026-11-25T14:00"
    assert due("11:00", at("2026-11-25T13:51"), at("2026-11-25T13:50"), done, BERLIN) == ""


def test_the_zone_of_this_machine() -> None:
    """Without a zone the local clock counts."""
    now = datetime(2026, 11, 25, 12, 0).timestamp()  # noqa: DTZ001  # the local clock is meant
    assert due("11:59", now, 0.0, set()) == "2026-11-25T11:59"
    assert coming("12:01", now, set()) == now + 60
