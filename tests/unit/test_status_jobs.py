"""Jobs in the status file: a due time has one run, an older file gets the tables, a killed controller's run is open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.base.errors import EngineError
from blumeops.status import database as module
from blumeops.status import jobs
from blumeops.status.database import FILE, Database, open_database, read_database
from blumeops.status.records import Site, put_site, site

DUE = "2026-11-25T02:00"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new one."""
    opened = open_database(tmp_path)
    yield opened
    opened.close()


def test_a_run_is_open_until_its_end_is_known(database: Database) -> None:
    """It is written before the start; its end counts once."""
    run = jobs.begin(database, "borgmatic", "t1", DUE, 10.0)
    assert jobs.unfinished(database) == [run]
    assert jobs.end(database, run, "failed", 2, "no space", 14.5)
    assert not jobs.end(database, run, "ok", 0, "", 20.0)
    (found,) = jobs.runs(database, "borgmatic")
    assert (found.outcome, found.code, found.message, found.seconds) == ("failed", 2, "no space", 4.5)
    assert jobs.unfinished(database) == []


def test_a_due_time_has_one_run(database: Database) -> None:
    """A second one is refused by the database itself; runs that somebody asked for are as many as they like."""
    jobs.begin(database, "borgmatic", "t1", DUE, 10.0)
    with pytest.raises(EngineError, match="BLU910"):
        jobs.begin(database, "borgmatic", "t2", DUE, 11.0)
    with pytest.raises(EngineError, match="BLU910"):
        jobs.skip(database, "borgmatic", DUE, 11.0, "busy")
    jobs.begin(database, "other", "t3", DUE, 12.0)
    for token in ("t4", "t5"):
        jobs.begin(database, "borgmatic", token, "", 13.0)
    assert jobs.done(database, "borgmatic") == {DUE}


def test_the_last_run_is_one_that_ran(database: Database) -> None:
    """What was skipped stands among the runs, and is not the last result."""
    run = jobs.begin(database, "borgmatic", "t1", "", 10.0)
    jobs.skip(database, "borgmatic", DUE, 11.0, "the run before still goes on")
    last = jobs.last(database, "borgmatic")
    assert last is not None
    assert last.id == run.id
    assert [each.outcome for each in jobs.runs(database, "borgmatic")] == ["skipped", "running"]


def test_a_job_is_known_with_its_last_success(database: Database) -> None:
    """What failed or goes on since then does not count; a job that never ran is there without one."""
    assert jobs.planned(database) == []
    for unit in ("borgmatic", "never"):
        jobs.schedule(database, unit, "02:00", 5.0)
    ends: tuple[tuple[float, jobs.Outcome], ...] = ((20.0, "ok"), (30.0, "ok"), (40.0, "failed"))
    for ended, outcome in ends:
        jobs.end(database, jobs.begin(database, "borgmatic", f"t{ended}", "", 10.0), outcome, 0, "", ended)
    jobs.begin(database, "borgmatic", "open", "", 50.0)
    assert jobs.planned(database) == [jobs.Planned("borgmatic", 5.0, 30.0), jobs.Planned("never", 5.0, None)]


def test_runs_are_kept_for_a_year_of_days(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones go, of this job alone."""
    monkeypatch.setattr(jobs, "KEPT", 3)
    jobs.begin(database, "other", "t", "", 1.0)
    for number in range(5):
        jobs.begin(database, "borgmatic", f"t{number}", "", float(number))
    assert [run.token for run in jobs.runs(database, "borgmatic")] == ["t4", "t3", "t2"]
    assert len(jobs.runs(database, "other")) == 1


def test_a_schedule_begins_when_the_job_is_seen_and_again_with_another_time(database: Database) -> None:
    """A job that is known keeps its beginning, unless that lies in a future that never was."""
    assert jobs.schedule(database, "borgmatic", "02:00", 100.0).since == 100.0
    jobs.put_coming(database, "borgmatic", 150.0)
    assert jobs.schedule(database, "borgmatic", "02:00", 200.0) == jobs.Scheduled("borgmatic", "02:00", 100.0, 150.0)
    assert jobs.schedule(database, "borgmatic", "04:00", 300.0).since == 300.0
    assert jobs.schedule(database, "borgmatic", "04:00", 50.0).since == 50.0
    jobs.forget(database, ["borgmatic"])
    assert jobs.scheduled(database) == {}


def test_a_file_of_the_version_before_gets_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as it is until a controller opens it, and what is in it stays."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "VERSION", 1)
        old = open_database(tmp_path)
        put_site(old, Site(name="here", revision="r1"))
        old.close()
    reader = read_database(tmp_path)
    assert reader is not None
    assert (jobs.scheduled(reader), jobs.last(reader, "borgmatic")) == ({}, None)
    reader.close()
    new = open_database(tmp_path)
    jobs.begin(new, "borgmatic", "t1", DUE, 1.0)
    assert site(new).revision == "r1"
    new.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()
