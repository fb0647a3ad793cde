"""Jobs at site `here`, as a person meets them: asked for, at their time, failing, and after a killed controller."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import BLUMEOPS, Clone, Site
from tests.e2e.test_first import eventually
from tests.ports import free_port

pytestmark = pytest.mark.timeout(120)

APP = Path(__file__).with_name("apps") / "tick"
LAB = """\
lab: ticks
hosts:
  server: {{os: linux, role: compute}}
  nas: {{os: linux, role: storage, shares: {{backups: {{path: /backups, by: [ssh]}}}}}}
backup: {{to: nas/backups, at: "{at}"}}
here: {{https: {https}, forge: {forge}, dns: {dns}}}
"""


def far() -> str:
    """A time of day that does not come while the tests run."""
    return (datetime.now().astimezone() + timedelta(hours=6)).strftime("%H:%M")


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    """A lab of nothing but a job, up."""
    folder, state = place / "lab", place / "state"
    shutil.copytree(APP, folder / "apps" / "tick")
    (folder / "services").mkdir()
    https, forge, dns = free_port(), free_port(), free_port()
    (folder / "lab.yaml").write_text(LAB.format(at=far(), https=https, forge=forge, dns=dns))
    (folder / "services" / "services.yaml").write_text(
        'tick: {host: server, options: {seconds: "0", code: "0"}}\n'
        'tock: {app: tick, host: server, options: {seconds: "0", code: "0"}}\n'
    )
    state.mkdir(mode=0o711)
    made = Site(folder, state, https, forge, "ticks", dns)
    made.run("up")
    yield made
    made.run("down", code=None)


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Clone:
    """A clone that every test pushes from, one after another."""
    return site.clone(place / "clone")


def job(site: Site, name: str = "tick") -> dict[str, Any]:
    """The unit of `status --json`."""
    return site.units()[name]


def runs(site: Site, name: str = "tick") -> list[str]:
    """What the program itself noted: user and pid of each run."""
    file = site.state / "data" / name / "data" / "runs"
    return file.read_text().splitlines() if file.exists() else []


def test_up_does_not_wait_for_a_job(site: Site) -> None:
    """It is scheduled, says when it runs next, and has not run."""
    unit = job(site)
    assert (unit["state"], unit["job"]["runs"], runs(site)) == ("scheduled", [], [])
    assert unit["reason"].startswith("next ")
    assert site.json("status")["settled"]


def test_a_run_that_is_asked_for(site: Site) -> None:
    """Its lines are the result, to the last one without an end; it runs as the services' user, and ends with 0."""
    done = site.run("run", "tick")
    assert done.stdout == "tick 1\nthe end\n"
    assert "tick: ok in " in done.stderr
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    assert [line.split()[0] for line in runs(site)] == [str(user)]
    unit = job(site)
    assert (unit["state"], unit["job"]["runs"][0]["outcome"]) == ("scheduled", "ok")
    assert "last ok: " in unit["reason"]
    assert "tick 1" in site.run("logs", "tick").stdout


def test_as_json(site: Site) -> None:
    """The object says how it ended; its lines are progress then."""
    done = site.run("run", "tick", "--json")
    assert "tick 2" in done.stderr
    run = site.json("run", "tick")["run"]
    assert (run["outcome"], run["code"], run["due"], run["message"]) == ("ok", 0, None, "")
    assert run["seconds"] < 10


def test_what_cannot_be_run(site: Site) -> None:
    """One line with a code, and 1."""
    for name, words in (("tik", "did you mean tick"), ("nothing-like-it", "tick or tock")):
        done = site.run("run", name, code=1)
        assert "BLU717" in done.stderr
        assert words in done.stderr
    assert site.json("run", "tik", code=1)["error"]["code"] == "BLU717"


def test_a_failed_run_is_an_error_state(site: Site, clone: Clone) -> None:
    """`run` and `status` exit with 1 and say why, without the secret; the next good run makes it well again."""
    clone.change('tick: {host: server, options: {seconds: "0", code: "0"}}',
                 'tick: {host: server, options: {seconds: "0", code: "3"}}', "Fail")  # fmt: skip
    assert "applied" in clone.push()
    done = site.run("run", "tick", code=1)
    assert "tick: failed in " in done.stderr
    unit = job(site)
    assert (unit["state"], unit["health"]) == ("failed", "unhealthy")
    assert unit["reason"].startswith("failed: exit code 3: tick")
    assert "as if the key were ***" in unit["reason"]
    key = site.run("op", "read", "op://lab/tick/key").stdout.strip()
    assert key not in str(site.json("status", code=1))
    site.run("status", code=1)
    assert not site.json("status", "--wait", code=1)["settled"]
    clone.change('code: "3"', 'code: "0"', "Mend")
    clone.push()
    site.run("run", "tick")
    site.run("status")


def slow(clone: Clone, seconds: str = "60") -> None:
    """Let a run of `tick` take so long."""
    clone.rewrite(f'tick: {{host: server, options: {{seconds: "{seconds}", code: "0"}}}}\n', r"(?m)^tick: .*\n", "Slow")
    clone.push()


def test_one_run_at_a_time(site: Site, clone: Clone) -> None:
    """A second one is refused while the first goes on, which status shows; and a push does not end it."""
    slow(clone)
    running = subprocess.Popen(
        [str(BLUMEOPS), "run", "tick", "--lab", str(site.folder), "--state", str(site.state)], stdout=subprocess.PIPE
    )
    try:
        assert running.stdout
        assert running.stdout.readline().startswith(b"tick")
        assert "BLU716" in site.run("run", "tick", code=1).stderr
        unit = job(site)
        assert (unit["state"], unit["health"]) == ("running", "healthy")
        assert site.json("status")["settled"]
        before = runs(site)
        slow(clone, "1")
        (process,) = site.processes_of("tick.py")
        assert before == runs(site)
        assert str(process.pid) == before[-1].split()[1]
        process.kill()
        running.communicate(timeout=20)
        assert running.returncode == 1
        assert "was ended by a signal" in job(site)["reason"]
    finally:
        running.kill()
        running.wait()


def test_a_killed_controller_finds_the_run_again(site: Site, clone: Clone) -> None:
    """Killed in the middle of a run: its successor neither starts it again nor loses how it ends."""
    slow(clone, "4")
    running = subprocess.Popen(
        [str(BLUMEOPS), "run", "tick", "--lab", str(site.folder), "--state", str(site.state)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout
    running.stdout.readline()
    before = runs(site)
    controller = site.controller()
    assert controller
    controller.send_signal(signal.SIGKILL)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 1
    assert b"BLU791" in said
    assert eventually(lambda: site.controller() not in (None, controller))
    assert eventually(lambda: job(site)["job"]["runs"][0]["outcome"] == "ok")
    assert runs(site) == before
    slow(clone, "0")


@pytest.mark.timeout(240)
def test_at_its_time_both_jobs_run_once(site: Site, clone: Clone) -> None:
    """Two jobs that are due at once run; each once, and `status` says for which time."""
    site.run("run", "tock")
    before = {name: len(runs(site, name)) for name in ("tick", "tock")}
    soon = (datetime.now().astimezone() + timedelta(seconds=80)).strftime("%H:%M")
    clone.rewrite(f'at: "{soon}"', r'at: "[0-9:]*"', "Soon", file="lab.yaml")
    clone.push()
    assert eventually(lambda: all(job(site, name)["job"]["runs"][0]["due"] for name in before), 95)
    assert eventually(lambda: all(job(site, name)["state"] == "scheduled" for name in before))
    for name, count in before.items():
        newest = job(site, name)["job"]["runs"][0]
        assert newest["outcome"] == "ok"
        assert newest["due"].endswith(soon)
        assert len(runs(site, name)) == count + 1


def test_without_a_controller(site: Site) -> None:
    """A site that is down says so."""
    site.run("down")
    assert "BLU794" in site.run("run", "tick", code=4).stderr
