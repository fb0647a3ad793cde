"""Conditions, the site's record, history, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from blumeops.base.errors import Bug
from blumeops.status import audience, records
from blumeops.status.database import Database, open_database
from blumeops.status.records import Site, Unit
from blumeops.status.shown import history_as_json, status_as_json

FEED = Unit(
    "miniflux", "service", "minikube", "starting", "unknown", "waits for its database", "r1", 100.0, "https://feed"
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new one."""
    opened = open_database(tmp_path)
    yield opened
    opened.close()


def test_since_changes_only_with_state_or_health(database: Database) -> None:
    """Each look brings its own time, and the stored one is that of the last change."""
    looks: list[tuple[Unit, float]] = [
        (FEED, 100.0),
        (replace(FEED, since=110.0, reason="still waits", revision="r2", url="", place="indri"), 100.0),
        (replace(FEED, since=120.0, state="running"), 120.0),
        (replace(FEED, since=130.0, state="running", health="healthy"), 130.0),
        (replace(FEED, since=140.0, state="running", health="healthy"), 130.0),
        (replace(FEED, since=150.0), 150.0),
    ]
    for seen, since in looks:
        records.put_unit(database, seen)
        assert records.units(database) == [replace(seen, since=since)]


def test_a_forgotten_unit_is_gone_and_starts_afresh(database: Database) -> None:
    """Others stay, forgetting twice is well, and a unit that comes back has a new `since`."""
    records.put_units(database, [FEED, replace(FEED, id="caddy")])
    records.forget(database, "miniflux")
    records.forget(database, "miniflux")
    assert [unit.id for unit in records.units(database)] == ["caddy"]
    records.put_unit(database, replace(FEED, since=500.0))
    assert [unit.since for unit in records.units(database)] == [100.0, 500.0]


def test_the_site_is_kept_whole(database: Database) -> None:
    """Empty at first; the last one put is the one read."""
    assert records.site(database) == Site()
    records.put_site(database, Site("here", "r1", "r2", "r2: miniflux is unhealthy"))
    records.put_site(database, replace(records.site(database), revision="r2", problem=""))
    assert records.site(database) == Site("here", "r2", "r2", "")


GOOD = replace(FEED, state="running", health="healthy")


@pytest.mark.parametrize(
    ("site", "units", "answer"),
    [
        (Site("here", "r1", "r1"), [GOOD], True),
        (Site("here", "r1", "r1"), [], True),
        (Site("here", "r1", "r2"), [GOOD], False),
        (Site("here", "", "r1"), [GOOD], False),
        (Site("here", "", ""), [GOOD], False),
        (Site("here", "r1", "r1"), [GOOD, replace(GOOD, health="unknown")], False),
        (Site("here", "r1", "r1"), [GOOD, replace(GOOD, health="unhealthy")], False),
        *[
            (Site("here", "r1", "r1"), [replace(GOOD, state=state)], False)
            for state in ("starting", "stopped", "failed", "waiting")
        ],
        *[
            (Site("here", "r1", "r1"), [GOOD, replace(FEED, state=state, health="unknown")], True)
            for state in ("provided", "scheduled", "unavailable")
        ],
    ],
)
def test_settled(site: Site, units: list[Unit], answer: bool) -> None:
    """The wanted revision is applied, and all that should run does, in health."""
    assert records.settled(site, units) is answer


def test_history_tells_what_was_done(database: Database) -> None:
    """Newest first, with changes and steps in order; an open run has no end."""
    first = records.begin(database, "r1", 10.0, ["+ miniflux", "members can reach feed"])
    records.step(database, first, "postgresql", "start", 1.5, "done", "")
    records.step(database, first, "miniflux", "start", 0.5, "failed", "port 8080 is taken by caddy")
    records.end(database, first, "failed", "miniflux did not start", 12.0)
    second = records.begin(database, "r2", 20.0)
    newest, oldest = records.history(database)
    assert (newest.id, newest.outcome, newest.ended, newest.steps, newest.changes) == (second, "running", None, (), ())
    assert (oldest.outcome, oldest.message, oldest.ended) == ("failed", "miniflux did not start", 12.0)
    assert oldest.changes == ("+ miniflux", "members can reach feed")
    assert [step.unit for step in oldest.steps] == ["postgresql", "miniflux"]
    assert oldest.steps[1].message == "port 8080 is taken by caddy"
    assert records.history(database, 1) == [newest]


def test_a_run_ends_once(database: Database) -> None:
    """A second end, or the end of a run that never began, is our bug."""
    run = records.begin(database, "r1", 10.0)
    records.end(database, run, "applied", "", 11.0)
    for number in (run, run + 1):
        with pytest.raises(Bug):
            records.end(database, number, "failed", "", 12.0)
    assert records.history(database)[0].outcome == "applied"


def test_a_run_that_was_left_open_is_interrupted(database: Database) -> None:
    """Found at the start, marked once, and told with the steps that were done; ended ones stay as they are."""
    records.end(database, records.begin(database, "r1", 10.0), "applied", "", 11.0)
    run = records.begin(database, "r2", 20.0)
    records.step(database, run, "caddy", "reload", 0.1, "done", "")
    (found,) = records.mark_interrupted(database, 30.0)
    assert (found.id, found.revision, found.outcome, found.ended) == (run, "r2", "interrupted", 30.0)
    assert [step.unit for step in found.steps] == ["caddy"]
    assert records.mark_interrupted(database, 40.0) == []
    assert [run.outcome for run in records.history(database)] == ["interrupted", "applied"]


def test_history_does_not_grow_without_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old runs go with their steps, and ids are not used again."""
    monkeypatch.setattr(records, "KEPT_RUNS", 3)
    for number in range(5):
        run = records.begin(database, f"r{number}", float(number))
        records.step(database, run, "caddy", "reload", 0.1, "done", "")
        records.end(database, run, "applied", "", number + 0.5)
    assert [run.revision for run in records.history(database)] == ["r4", "r3", "r2"]
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM step").fetchone()[0] == 3


def test_status_as_json(database: Database) -> None:
    """The object of `status --json`, field for field."""
    records.put_site(database, Site("here", "r1", "r2", "miniflux is unhealthy"))
    records.put_unit(database, replace(FEED, since=1767323045.5))
    assert json.loads(json.dumps(status_as_json(database))) == {
        "version": 1,
        "site": "here",
        "revision": "r1",
        "wanted_revision": "r2",
        "settled": False,
        "problem": "miniflux is unhealthy",
        "units": [
            {
                "id": "miniflux",
                "kind": "service",
                "place": "minikube",
                "state": "starting",
                "health": "unknown",
                "reason": "waits for its database",
                "revision": "r1",
                "since": "2026-01-02T03:04:05.500Z",
                "url": "https://feed",
            }
        ],
    }


def test_status_tells_who_a_service_is_exposed_to(database: Database) -> None:
    """What the controller kept beside it; a damaged file tells of nobody, and the rest is told."""
    records.put_unit(database, FEED)
    folder = database.path.parent
    audience.write(folder, {"miniflux": ("household", "machines"), "gone": ("nobody",)})
    written = (folder / audience.FILE).stat().st_ino
    audience.write(folder, {"miniflux": ("household", "machines"), "gone": ("nobody",)})
    assert (folder / audience.FILE).stat().st_ino == written
    units = json.loads(json.dumps(status_as_json(database)))["units"]
    assert units[0]["exposed_to"] == ["household", "machines"]
    for text in ("{", "[]", "7", '{"a": 1}'):
        (folder / audience.FILE).write_text(text)
        assert "exposed_to" not in json.loads(json.dumps(status_as_json(database)))["units"][0]


def test_history_as_json(database: Database) -> None:
    """The object of `history --json`, field for field; an open run ends at null."""
    run = records.begin(database, "r1", 0.0, ["+ caddy"])
    records.step(database, run, "caddy", "start", 0.25, "done", "")
    records.end(database, run, "applied", "1 change", 1.0)
    records.begin(database, "r2", 2.0)
    shown = json.loads(json.dumps(history_as_json(database)))
    assert shown["version"] == 1
    assert (shown["history"][0]["outcome"], shown["history"][0]["ended"]) == ("running", None)
    assert shown["history"][1] == {
        "id": run,
        "revision": "r1",
        "started": "1970-01-01T00:00:00.000Z",
        "ended": "1970-01-01T00:00:01.000Z",
        "outcome": "applied",
        "message": "1 change",
        "changes": ["+ caddy"],
        "steps": [{"unit": "caddy", "action": "start", "seconds": 0.25, "outcome": "done", "message": ""}],
    }
