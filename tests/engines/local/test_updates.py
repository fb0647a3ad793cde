"""Updates that succeed, updates that fail, and what is served meanwhile."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import time
from pathlib import Path

import pytest

from blumeops.engines.local.engine import LocalEngine, digest_of
from blumeops.lab.files import CATALOGUE
from blumeops.render.local_unit import LocalUnit, Metrics, Port
from tests.engines.local import units
from tests.engines.local.conftest import CANARY, apply, get, led_to, processes_below


def served(state: Path) -> str:
    """What the unit `web` says at the address that the proxy would use."""
    return get(led_to(state, "web"))[1].partition(" ")[0]


@pytest.mark.parametrize("update", ["stop-start", "replace"])
@pytest.mark.parametrize(("word", "why"), [("exit", "it ended by itself"), ("ill", "not healthy within 1 s")])
def test_old_one_serves_when_the_new_one_fails(
    engine: LocalEngine, state: Path, word: str, why: str, update: str
) -> None:
    """An update that exits, or never gets healthy, leaves the version that worked, and its log tells why."""
    old, new = units.web("one", update), units.web(word, update, within=1 if word == "ill" else 10)
    apply(engine, old, "started")
    outcome = engine.apply(new, lambda line: None)
    assert (outcome.action, outcome.ok) == ("rolled back", False)
    assert why in outcome.reason
    if word == "exit":
        assert "bad option: exit, as if the key were ***" in outcome.reason
    assert served(state) == "one"
    seen = engine.observe()["web"]
    assert (seen.state, seen.health, seen.digest, seen.refused) == (
        "running", "healthy", digest_of(old), digest_of(new),
    )  # fmt: skip
    assert CANARY not in seen.reason + outcome.reason + str(outcome.error)
    assert engine.applied() == {"web": old}
    apply(engine, old, "unchanged")


def test_first_start_that_fails_leaves_nothing_running(engine: LocalEngine, state: Path) -> None:
    """A service that never worked is stopped, and says why; the next form of it starts."""
    outcome = engine.apply(units.web("exit"), lambda line: None)
    assert (outcome.action, outcome.error and outcome.error.code) == ("failed", "BLU700")
    assert engine.observe()["web"].state == "failed"
    assert "server.py" not in " ".join(processes_below(state).values())
    apply(engine, units.web("one"), "started")


def test_stop_start_keeps_its_port(engine: LocalEngine) -> None:
    """Who knows the port of a service that was updated need not be told a new one."""
    apply(engine, units.web("one"), "started")
    before = engine.observe()["web"].ports
    apply(engine, units.web("two"), "restarted")
    assert engine.observe()["web"].ports == before


def test_replace_loses_no_request(engine: LocalEngine, state: Path) -> None:
    """Under load through Caddy, three replacements fail no request, and both versions are seen."""
    apply(engine, units.web("w0", "replace"), "started")
    apply(engine, units.caddy(upstream="web"), "started")
    port = engine.observe()["caddy"].ports["http"]
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                answers.append(get(port))
            except (OSError, http.client.HTTPException) as error:
                answers.append((0, str(error)))
            time.sleep(0.002)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in (1, 2, 3):
            apply(engine, units.web(f"w{number}", "replace"), "replaced")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for status, _ in answers} == {200}
    assert {body.partition(" ")[0] for _, body in answers} == {"w0", "w1", "w2", "w3"}
    assert len(answers) > 100


def test_reload_keeps_the_process(engine: LocalEngine) -> None:
    """Only files differ and the program can reload: same process, new answer."""
    apply(engine, units.caddy("one"), "started")
    before = engine.observe()["caddy"]
    apply(engine, units.caddy("two"), "reloaded")
    after = engine.observe()["caddy"]
    assert (after.pid, get(after.ports["http"], "/ok")) == (before.pid, (200, "two"))


def test_refused_reload_puts_the_files_back(engine: LocalEngine) -> None:
    """Caddy refuses a bad file: the old one lies there again, and is what runs."""
    good, bad = units.caddy("one"), units.caddy('one"\n\tnosuchdirective "')
    apply(engine, good, "started")
    outcome = engine.apply(bad, lambda line: None)
    assert outcome.action == "rolled back"
    assert "nosuchdirective" in outcome.reason
    seen = engine.observe()["caddy"]
    assert (seen.digest, seen.drift, get(seen.ports["http"], "/ok")) == (digest_of(good), (), (200, "one"))
    apply(engine, good, "unchanged")


def test_change_by_hand_is_seen_and_put_back(engine: LocalEngine, state: Path) -> None:
    """A configuration file and an upstream file that somebody edits are drift, and the next apply heals both."""
    apply(engine, units.caddy("one"), "started")
    (file,) = state.glob("units/caddy/*/config/Caddyfile")
    file.write_text(file.read_text().replace("one", "two"))
    (state / "upstreams" / "caddy" / "1").touch()
    assert engine.observe()["caddy"].drift == ("config/Caddyfile", "upstreams/caddy")
    apply(engine, units.caddy("one"), "reloaded")
    seen = engine.observe()["caddy"]
    assert (seen.drift, get(seen.ports["http"], "/ok")) == ((), (200, "one"))


def test_rotated_secret_restarts_its_user(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same unit with another value behind its reference is started again; a file's unit is not touched."""
    apply(engine, units.web("one"), "started")
    apply(engine, units.caddy("one"), "started")
    monkeypatch.setattr("tests.engines.local.conftest.VALUES", {"op://blumeops/web/key": "another"})
    apply(engine, units.web("one"), "restarted")
    apply(engine, units.caddy("one"), "unchanged")


def test_taken_port_names_its_holder_before_anything_stops(engine: LocalEngine, state: Path) -> None:
    """A fixed port that another program holds: one error with its name, and the old version serves on."""
    apply(engine, units.web("one"), "started")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        number = server.server_port
        unit = units.web("two").model_copy(update={"ports": {"http": Port(fixed=number, setting="https")}})
        outcome = engine.apply(unit, lambda line: None)
        assert outcome.error is not None
        assert (outcome.action, outcome.error.code) == ("failed", "BLU704")
        assert f"port {server.server_port} (http) is taken by " in outcome.reason
        assert "(pid " in outcome.reason
        assert outcome.reason.endswith("; stop that, or choose another number: `here: {https: …}` in lab.yaml")
        assert served(state) == "one"
    apply(engine, units.web("two", fixed=number), "restarted")
    apply(engine, units.web("three", "replace", fixed=number), "replaced")
    assert served(state) == "three"


def test_provided_and_unavailable_are_only_told(engine: LocalEngine) -> None:
    """A unit for which nothing is to run ends what an earlier form of it ran, and says so."""
    apply(engine, units.web("one"), "started")
    web: LocalUnit = units.web("one").model_copy(update={"provided": "the console"})
    outcome = engine.apply(web, lambda line: None)
    assert (outcome.action, outcome.ok) == ("provided", True)
    apply(engine, web, "unchanged")
    seen = engine.observe()["web"]
    assert (seen.state, seen.pid) == ("provided", 0)


def test_prometheus_is_told_where_metrics_are(engine: LocalEngine, state: Path) -> None:
    """The file of targets says the present port, is put back when somebody edits it, and goes with the metrics."""
    watched = units.web("one", "replace").model_copy(
        update={"metrics": Metrics(port="http", path="/m", labels={"app": "web"})}
    )
    apply(engine, units.web("one", "replace"), "started")
    file = state / "targets" / "web.json"
    assert not file.exists()
    apply(engine, watched, "recorded")
    apply(engine, watched.model_copy(update={"env": {"NEW": ("1",)}}), "replaced")
    number = engine.observe()["web"].ports["http"]
    labels = {"service": "web", "app": "web", "__metrics_path__": "/m"}
    assert json.loads(file.read_text()) == [{"targets": [f"127.0.0.1:{number}"], "labels": labels}]
    file.write_text("[]")
    assert engine.observe()["web"].drift == ("targets/web.json",)
    apply(engine, watched, "replaced")
    assert engine.observe()["web"].drift == ()
    apply(engine, units.web("one", "replace"), "recorded")
    assert not file.exists()
    apply(engine, watched, "recorded")
    engine.remove("web")
    assert not file.exists()


def test_removed_unit_keeps_its_data(engine: LocalEngine, state: Path) -> None:
    """Its process, configuration and route are gone; its state folder is there."""
    apply(engine, units.caddy("one"), "started")
    engine.remove("caddy")
    assert engine.observe() == {}
    assert list((state / "upstreams").iterdir()) == []
    assert (state / "data" / "caddy" / "data").is_dir()
    assert "Caddyfile" not in " ".join(processes_below(state).values())


def test_an_empty_folder_begins_with_a_sample(engine: LocalEngine, state: Path) -> None:
    """Before the first start only: what a person put there, or took away, is never touched."""
    unit = units.web("one").model_copy(update={"state": ("books",), "samples": {"books": "kiwix/sample.zim"}})
    book = state / "data" / "web" / "books" / "sample.zim"
    apply(engine, unit, "started")
    assert book.read_bytes() == (CATALOGUE / "kiwix" / "sample.zim").read_bytes()
    assert book.stat().st_uid == book.parent.stat().st_uid
    book.unlink()
    apply(engine, unit.model_copy(update={"env": {}}), "restarted")
    assert not book.exists()
    engine.remove("web")
    book.with_name("mine.zim").write_bytes(b"mine")
    apply(engine, unit, "started")
    assert not book.exists()
