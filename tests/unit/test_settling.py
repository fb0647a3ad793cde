"""Waiting until a site has settled: what wakes it, what it says, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blumeops.loop.settling import settling
from blumeops.status import records
from blumeops.status.database import Database, open_database

SITE = records.Site("here", "new", "new")
WELL = records.Unit("web", "web", "box", "running", "healthy", "", "new", 1.0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A site's status, with one service that is well."""
    made = open_database(tmp_path)
    records.put_site(made, SITE)
    records.put_unit(made, WELL)
    yield made
    made.close()


class Fake:
    """A controller, as far as this concerns it: nothing happens but what a test does."""

    def __init__(self, database: Database) -> None:
        self.site = SimpleNamespace(database=database)
        self.news, self.busy, self.ending = asyncio.Event(), False, False

    def happens(self, **what: object) -> None:
        """Something that can be seen in the status."""
        self.__dict__.update(what)
        before, self.news = self.news, asyncio.Event()
        before.set()


async def told(fake: Any, within: float | None = None) -> list[str | bool]:
    """All that is said, to the end."""
    return [each async for each in settling(fake, within)]


def test_what_has_settled_is_not_waited_for(database: Database) -> None:
    """One word, at once."""
    assert asyncio.run(told(Fake(database))) == [True]


def test_it_ends_in_the_moment_in_which_the_last_service_is_well(database: Database) -> None:
    """Each thing that is waited for is said once, and the end follows the news without a poll."""
    records.put_unit(database, replace(WELL, state="starting", health="unknown"))
    records.put_unit(database, replace(WELL, id="feed", state="waiting", health="unknown"))

    async def day() -> tuple[list[str | bool], float]:
        fake = Fake(database)
        waiting = asyncio.create_task(told(fake))
        await asyncio.sleep(0.05)
        fake.happens()
        await asyncio.sleep(0.05)
        records.put_unit(database, WELL)
        fake.happens()
        await asyncio.sleep(0.05)
        assert not waiting.done()
        records.put_unit(database, replace(WELL, id="feed"))
        began = asyncio.get_running_loop().time()
        fake.happens()
        return await waiting, asyncio.get_running_loop().time() - began

    lines, seconds = asyncio.run(day())
    assert lines == ["waits for feed (waiting), web (starting)", "waits for feed (waiting)", True]
    assert seconds < 1


@pytest.mark.parametrize("problem", ["", "web: failed: it ended by itself"])
def test_a_sync_is_waited_for_whatever_the_one_before_came_to(database: Database, problem: str) -> None:
    """An old problem is no answer while a sync is under way; that of the last sync is."""
    records.put_site(database, replace(SITE, problem="an old one"))

    async def day() -> list[str | bool]:
        fake = Fake(database)
        fake.busy = True
        waiting = asyncio.create_task(told(fake))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        records.put_site(database, replace(SITE, problem=problem, revision="old" if problem else "new"))
        fake.happens(busy=False)
        return await waiting

    assert asyncio.run(day()) == ["waits for the end of a sync", not problem]


def test_it_does_not_wait_longer_than_it_may(database: Database) -> None:
    """The time is told, and nothing is said to be well."""
    records.put_unit(database, replace(WELL, health="unhealthy"))
    assert asyncio.run(told(Fake(database), 0.1)) == ["waits for web (unhealthy)", False]


def test_a_controller_that_ends_says_nothing_of_the_end(database: Database) -> None:
    """Whoever waits asks its successor."""
    records.put_unit(database, replace(WELL, state="starting"))

    async def day() -> list[str | bool]:
        fake = Fake(database)
        waiting = asyncio.create_task(told(fake))
        await asyncio.sleep(0.05)
        fake.happens(ending=True)
        return await waiting

    assert asyncio.run(day()) == ["waits for web (starting)"]
