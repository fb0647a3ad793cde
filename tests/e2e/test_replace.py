"""A service that may run twice, updated again and again by pushes: nobody who uses it notices anything."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.e2e.load import load, websocket
from tests.e2e.site import Clone, Site
from tests.e2e.test_first import eventually

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]

KILLS = int(os.environ.get("BLUMEOPS_KILLS", "24"))
"""How often the controller is killed; `make chaos` asks for hundreds."""
APP = Path(__file__).with_name("apps") / "web"


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Clone:
    """labs/first with one more service, of an app that was dropped into the lab: it is up."""
    shutil.copytree(APP, site.folder / "apps" / "web")
    with (site.folder / "services" / "services.yaml").open("a") as file:
        file.write("web: {cluster: cluster, options: {word: w0}}\n")
    site.run("up")
    return site.clone(place / "clone")


def test_an_app_of_the_labs_own_serves(site: Site, clone: Clone) -> None:
    """Its folder below `apps/` is all that it needs."""
    assert clone.path.joinpath("apps/web/app.yaml").is_file()
    assert site.ask("web").stdout == "w0"


def test_ten_replacements_under_load_fail_no_request(site: Site, clone: Clone) -> None:
    """50 requests a second through Caddy, long ones and POSTs among them, while ten pushes change the service."""
    began = time.monotonic()
    with load(site, "web", rate=50) as seen:
        for number in range(1, 11):
            clone.change(f"word: w{number - 1}", f"word: w{number}", f"Say w{number}")
            assert "web: replaced" in clone.push()
            assert site.ask("web").stdout == f"w{number}"
        seconds = time.monotonic() - began
    assert seen.failed == []
    assert {text for _, text in seen.answers} == {f"w{number}" for number in range(11)}
    assert len(seen.answers) > 20 * seconds


def test_names_come_and_go_without_a_reload(site: Site, clone: Clone) -> None:
    """Pushes that add a service, give it another name and take it away, under load: not one request fails, a WebSocket
    lives on, and the proxy does not notice anything."""
    pid = site.process("caddy").pid
    with load(site, "web", rate=50) as seen, websocket(site, "web") as echo:
        clone.rewrite("more: {app: web, cluster: cluster, name: more9, options: {word: m}}\n", r"\Z", "One more")
        for number in range(4):
            label = f"more{number}"
            clone.rewrite(f"name: {label}", r"name: more\d", f"Call it {label}")
            printed = clone.push()
            assert "more: started" in printed if number == 0 else "more: recorded" in printed, printed
            assert "caddy" not in printed
            assert site.ask(label).stdout == "m"
            assert echo(b"still here") == b"still here"
        assert "Nothing has this name" in site.ask("more0").stdout
        clone.rewrite("", r"more: .*\n\Z", "Take it away")
        assert "more: removed" in clone.push()
        assert "Nothing has this name" in site.ask("more3").stdout
        assert echo(b"still here") == b"still here"
    assert seen.failed == []
    assert len(seen.answers) > 100
    assert site.process("caddy").pid == pid


def test_a_replacement_that_ends_at_once_is_not_noticed(site: Site, clone: Clone) -> None:
    """The new one never gets healthy: the old one serves on, every request of it."""
    with load(site, "web", rate=50) as seen:
        clone.change("{word: w10}", "{word: w11, exit: true}", "End at once")
        printed = clone.push()
        assert "rolled back" in printed
        assert "ends at once, as it was told" in printed
        clone.git("revert", "--no-edit", "HEAD")
        assert "applied" in clone.push()
    assert seen.failed == []
    assert {text for _, text in seen.answers} == {"w10"}


def test_routes_changed_by_hand_are_put_back(site: Site, clone: Clone) -> None:
    """Somebody gives all routes to another name by Caddy's admin API: within 30 seconds they are back, without a
    restart, and the history shows what was changed."""
    before, serving = site.ask("web").stdout, site.process("caddy")
    assert before
    path = next(each.laddr for each in serving.net_connections("unix") if str(each.laddr).endswith("admin.sock"))
    argv = ["curl", "-sS", "--unix-socket", str(path)]
    seen = subprocess.run([*argv, "http://localhost/config/"], capture_output=True, check=True).stdout
    changed = seen.replace(b'{"host":["*.ops.localhost"]}', b'{"host":["other.ops.localhost"]}')
    text = ["-H", "Content-Type: application/json", "-d", changed.decode(), "-f"]
    subprocess.run([*argv, *text, "http://localhost/load"], check=True, capture_output=True)
    assert site.ask("web").stdout == ""
    assert eventually(lambda: site.ask("web").stdout == before, seconds=30)
    assert eventually(lambda: site.json("history")["history"][0]["outcome"] == "healed", seconds=10)
    run = site.json("history")["history"][0]
    assert run["changes"][0] == "caddy: running configuration changed by hand"
    words = [line.split() for line in run["changes"]]
    assert ["-", '"*.ops.localhost"'] in words
    assert ["+", '"other.ops.localhost"'] in words
    assert [(step["unit"], step["action"]) for step in run["steps"]] == [("caddy", "reloaded")]
    assert site.process("caddy").pid == serving.pid
    assert subprocess.run([*argv, "http://localhost/config/"], capture_output=True, check=True).stdout == seen


def test_a_newer_revision_takes_over(site: Site, clone: Clone) -> None:
    """Three pushes, each while the one before is being applied: the second is never applied, the third settles."""
    told: list[subprocess.Popen[bytes]] = []
    revisions = []
    for number in (1, 2, 3):
        clone.rewrite(f"word: n{number}", r"word: \w+", f"Say n{number}")
        revisions.append(clone.git("rev-parse", "HEAD").strip())
        told.append(clone.start_push())
        assert eventually(lambda: site.head() == revisions[-1]), number
    words = [each.communicate(timeout=60)[0].decode() for each in told]
    assert f"applied {revisions[0][:8]}" in words[0]
    assert f"superseded by {revisions[2][:8]}" in words[1]
    assert f"applied {revisions[2][:8]}" in words[2]
    assert site.is_settled(revisions[2])
    assert site.ask("web").stdout == "n3"
    applied = [run["revision"] for run in site.json("history")["history"] if run["outcome"] == "applied"]
    assert revisions[1] not in applied


def lands(site: Site, clone: Clone, head: str) -> bool:
    """A gate that is killed says no: then the person pushes again, once the controller is back."""
    return site.head() == head or clone.pushes()


@pytest.mark.timeout(60 + 30 * KILLS)
def test_a_controller_killed_at_random_moments_converges(site: Site, clone: Clone) -> None:
    """SIGKILL somewhere in each of many syncs: requests are answered meanwhile, the revision is applied in the end,
    each program runs once, and nothing is left over."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    with load(site, "web", rate=20) as seen:
        for number in range(1, KILLS + 1):
            what = f"seed {seed}, kill {number}"
            polling = chance.choice(("30m", "60m"))
            clone.rewrite(f"word: k{number}", r"word: \w+", what)
            clone.rewrite(f"polling: {polling}", r"polling: \w+", what)
            head = clone.git("rev-parse", "HEAD").strip()
            pushing = clone.start_push()
            time.sleep(chance.uniform(0, 1.5))
            if killed := site.controller():
                with suppress(psutil.NoSuchProcess):
                    killed.kill()
            pushing.communicate(timeout=60)
            assert eventually(partial(lands, site, clone, head), 60), what
            assert eventually(partial(site.is_settled, head), 60), what
            assert site.ask("web").stdout == f"k{number}", what
            assert site.process("miniflux").environ()["POLLING_FREQUENCY"] == polling.rstrip("m"), what
    assert seen.failed == []
    by_hand = [
        run for run in site.json("history", "--limit", "200")["history"] if "changed by hand" in str(run["changes"])
    ]
    assert len(by_hand) <= 1, "nobody changed anything, but for the routes of an earlier test"
    programs = sorted(path.stem for path in (site.state / "manager/conf.d").glob("*.conf"))
    assert [name.partition(".")[0] for name in programs] == ["caddy", "controller", "miniflux", "postgresql", "web"]
    for unit in ("caddy", "miniflux", "postgresql", "web"):
        assert len(list((site.state / "units" / unit).glob("*/config"))) == 1
    for name in ("caddy", "miniflux", "postgres"):
        site.process(name)  # exactly one
    assert len(site.processes_of("units/web")) == 1
    assert [path.name for path in (site.state / "work").iterdir()] in ([], [".lock"])
    assert not list(site.state.glob("forge/*/blumeops-indexes/index-*"))
