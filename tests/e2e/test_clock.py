"""The wall clock is set, by days, while a site runs: nothing waits for it, nothing is started or ended for it.

The process manager and the controller run with a wall clock that the test moves (`shifted.c`, by LD_PRELOAD); the
monotonic clock, which all waiting goes by, stays as it is, as it does when a real clock is set.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from blumeops.engines.local.folders import Folders, service_account
from tests.e2e.site import Clone, Site, running_below
from tests.e2e.small import make_small_site, pids, started, web
from tests.e2e.test_first import eventually

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

SECONDS = {"h": 3600, "d": 86400}
WHOLE = {"manager": 1, "controller": 1, "web": 1}


@dataclass
class Clock:
    """The clock of a site that is up."""

    site: Site
    file: Path

    def jump(self, by: str) -> None:
        """From now on it is `by` beside the real one: `+3d`, `-1h`."""
        shift(self.file, int(by[:-1]) * SECONDS[by[-1]])

    def now_in_status(self) -> datetime:
        """When the last run of the history began, by the site's clock."""
        text = self.site.json("history")["history"][0]["started"]
        return datetime.fromisoformat(text)

    def healed(self) -> int:
        """How often something was put back."""
        return sum(run["outcome"] == "healed" for run in self.site.json("history", "-n", "50")["history"])


def shift(file: Path, seconds: int) -> None:
    """Write it whole: the clock is asked at any moment."""
    new = file.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(file)


def _shifted(process: psutil.Process | None) -> bool:
    return process is not None and "SHIFTED_CLOCK" in process.environ()


@pytest.fixture(scope="module")
def clock(place: Path) -> Iterator[Clock]:
    """The smallest lab, up, with manager and controller under a clock of their own."""
    if not sys.platform.startswith("linux") or not shutil.which("cc"):
        pytest.skip("a clock of its own is compiled for Linux, and there is no cc here")
    site, file, library = make_small_site(place), place / "clock", place / "shifted.so"
    source = Path(__file__).with_name("shifted.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    shift(file, 0)
    env = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(file)}
    site.run("up")
    site.run("down")  # what the manager needs is written: here it is started by us
    Folders(site.state, service_account()).make_short()
    argv = [sys.executable, "-I", "-m", "supervisor.supervisord", "-c", str(site.state / "manager/supervisord.conf")]
    subprocess.run(argv, env={"PATH": os.environ["PATH"], **env}, check=True)
    try:
        site.run("up")
        form = site.state / "manager/programs/controller.json"
        words = ", ".join(f'"{name}": "{value}"' for name, value in env.items())
        form.write_text(form.read_text().replace('"env": {', f'"env": {{{words}, ', 1))
        controller = site.controller()
        assert controller
        controller.kill()
        assert eventually(lambda: _shifted(site.controller()))
        assert eventually(lambda: site.run("status", code=None).returncode == 0)
        assert "LD_PRELOAD" in site.manager().environ()
        yield Clock(site, file)
    finally:
        site.run("down", code=None)
        shutil.rmtree(site.state)


@pytest.fixture(scope="module")
def clone(clock: Clock, place: Path) -> Clone:
    """A clone that pushes."""
    return clock.site.clone(place / "clone")


@pytest.mark.parametrize("offset", ["+3d", "-3d", "+400d", "-1h", "+0h"])
def test_a_jump_changes_nothing(clock: Clock, clone: Clone, offset: str) -> None:
    """Nobody is started anew; and afterwards a death, a change by hand and a push are met as fast as ever."""
    site = clock.site
    pid, word = web(site)
    controller = site.controller()
    assert controller
    clock.jump(offset)
    time.sleep(2)
    assert web(site) == (pid, word)
    assert site.controller() == controller
    assert site.json("status")["settled"]

    psutil.Process(pid).kill()
    assert eventually(lambda: started(site) == WHOLE and pid not in pids(site), seconds=15)
    assert eventually(lambda: site.json("status", code=None)["settled"], seconds=15)

    (file,) = [
        path
        for path in site.state.glob("units/web/*/config/server.py")
        if str(path) in " ".join(running_below(site.state))
    ]
    before = clock.healed()
    file.write_text(file.read_text() + "# by hand\n")
    assert eventually(lambda: clock.healed() == before + 1, seconds=30)
    assert eventually(lambda: started(site) == WHOLE and site.json("status", code=None)["settled"], seconds=15)

    new = f"w{abs(hash(offset)) % 1000}"
    clone.git("pull", "-q")
    clone.rewrite(f"word: {new}", r"word: \w+", f"Say {new}")
    said = clone.push()
    took = re.search(r"applied \w+ in ([\d.]+) s", said)
    assert took, said
    assert float(took[1]) < 20
    assert web(site)[1] == new
    days = re.fullmatch(r"([+-]\d+)d", offset)
    expected = datetime.now(UTC) + timedelta(days=int(days[1]) if days else 0)
    assert abs(clock.now_in_status() - expected) < timedelta(hours=2), "the clock was really another one"
    assert not re.search(r"in -|in \d{4,}", site.run("history").stdout)


@pytest.mark.parametrize("offset", ["-2d", "+2d"])
def test_a_jump_while_a_service_waits_for_its_next_start(clock: Clock, offset: str) -> None:
    """A service that ended again and again is started later and later: not days later, when the clock is put back."""
    site = clock.site
    for _ in range(4):
        for pid in pids(site):
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        time.sleep(0.4)
    clock.jump(offset)
    assert eventually(lambda: started(site) == WHOLE, seconds=25)
    assert eventually(lambda: site.json("status", code=None)["settled"], seconds=25)


def test_a_jump_during_a_sync_does_not_spoil_the_history(clock: Clock, clone: Clone) -> None:
    """The clock goes back while a push is being applied: the history still says how long that took, in seconds."""
    clone.git("pull", "-q")
    clone.rewrite("word: jumped", r"word: \w+", "Say jumped")
    pushing = clone.start_push()
    for offset in ("+1d", "-1d", "+5d", "-5d") * 3:
        clock.jump(offset)
        time.sleep(0.1)
    pushing.communicate(timeout=60)
    assert pushing.returncode == 0
    assert web(clock.site)[1] == "jumped"
    assert not re.search(r"in -|in \d{4,}", clock.site.run("history").stdout)


def test_down_and_up_with_the_clock_put_back(clock: Clock) -> None:
    """A site that was up in the future, seen from now: `down` ends it all, `up` brings it back, once."""
    site = clock.site
    clock.jump("+30d")
    site.run("sync")
    clock.jump("-30d")
    site.run("down")
    assert running_below(site.state) == []
    site.run("up")
    assert started(site) == WHOLE
