"""What a program runs with, changed past its files: Caddy's routes by its admin API."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.loaded import NAME
from blumeops.render.local_unit import LocalUnit, SecretPart
from tests.engines.local import units
from tests.engines.local.conftest import CANARY, apply, engine_for, get, until

KEY = "op://blumeops/caddy/key"


def by_hand(engine: LocalEngine, change: Callable[[str], str]) -> None:
    """Somebody loads another configuration: the present one, changed as text."""
    path = str(engine.folders.sockets("caddy") / "admin.sock")
    with closing(http.client.HTTPConnection("localhost", timeout=5)) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(path)
        connection.request("GET", "/config/")
        text = connection.getresponse().read().decode()
        changed = change(text)
        assert changed != text
        connection.request("POST", "/load", changed, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200


def said(engine: LocalEngine) -> str:
    """What people get."""
    return get(engine.observe()["caddy"].ports["http"], "/ok")[1]


def test_another_configuration_is_seen_shown_and_put_back(engine: LocalEngine) -> None:
    """An answer is another one: drift with its diff, and the next apply has it read its files."""
    apply(engine, units.caddy("one"), "started")
    before = engine.observe()["caddy"]
    assert before.drift == ()
    by_hand(engine, lambda text: text.replace('"one"', '"two"'))
    assert said(engine) == "two"
    seen = engine.observe()["caddy"]
    assert (seen.drift, seen.reason) == ((NAME,), f"{NAME} changed by hand")
    lines = [line.strip() for line in engine.drift("caddy").splitlines()]
    assert lines[:2] == [f"--- a/{NAME}", f"+++ b/{NAME}"]
    assert [line.split() for line in lines if "body" in line] == [
        ["-", '"body":', '"one",'],
        ["+", '"body":', '"two",'],
    ]
    apply(engine, units.caddy("one"), "reloaded")
    after = engine.observe()["caddy"]
    assert (said(engine), after.drift, after.pid) == ("one", (), before.pid)
    assert engine.drift("caddy") == ""


def test_a_route_that_was_taken_away_comes_back(engine: LocalEngine) -> None:
    """Nothing answers any more, so it is ill as well; it is not restarted for that."""
    apply(engine, units.caddy("one"), "started")
    pid = engine.observe()["caddy"].pid

    def without_routes(text: str) -> str:
        found = json.loads(text)
        for server in found["apps"]["http"]["servers"].values():
            server["routes"] = []
        return json.dumps(found)

    by_hand(engine, without_routes)
    assert engine.observe()["caddy"].drift == (NAME,)
    apply(engine, units.caddy("one"), "reloaded")
    assert (said(engine), engine.observe()["caddy"].pid) == ("one", pid)


def test_what_it_reads_from_its_files_is_right(engine: LocalEngine, state: Path) -> None:
    """Reloads, another form, a crash, another controller: none of them is a change by hand."""
    for word, action in (("one", "started"), ("two", "reloaded"), ("two", "unchanged")):
        apply(engine, units.caddy(word), action)
        assert engine.observe()["caddy"].drift == ()
    apply(engine, units.caddy("two").model_copy(update={"env": {"A": ("b",)}}), "restarted")
    seen = engine.observe()["caddy"]
    assert seen.drift == ()
    os.kill(seen.pid, signal.SIGKILL)
    until(lambda: (now := engine.observe()["caddy"]).health == "healthy" and now.pid != seen.pid)
    assert engine_for(state).observe()["caddy"].drift == ()


@pytest.mark.parametrize("made", [
    lambda unit: unit.model_copy(update={"loaded": unit.loaded.model_copy(update={"socket": "none.sock"})}),
    lambda unit: unit.model_copy(update={"loaded": unit.loaded.model_copy(update={"path": "/none"})}),
    lambda unit: unit.model_copy(update={"loaded": None}),
])  # fmt: skip
def test_what_does_not_answer_has_no_drift(engine: LocalEngine, made: Callable[[LocalUnit], LocalUnit]) -> None:
    """Nobody listens, it is not found, or nobody says where to ask."""
    unit = made(units.caddy("one"))
    apply(engine, unit, "started")
    by_hand(engine, lambda text: text.replace('"one"', '"two"'))
    assert engine.observe()["caddy"].drift == ()
    apply(engine, unit, "unchanged")


def test_what_was_never_asked_is_taken_as_it_is(engine: LocalEngine, state: Path) -> None:
    """An instance of an earlier version of ours: from the next apply on it is compared."""
    apply(engine, units.caddy("one"), "started")
    (kept,) = state.glob("units/caddy/*/loaded")
    assert kept.stat().st_mode & 0o077 == 0
    kept.unlink()
    assert engine.observe()["caddy"].drift == ()
    apply(engine, units.caddy("one"), "unchanged")
    by_hand(engine, lambda text: text.replace('"one"', '"two"'))
    assert engine.observe()["caddy"].drift == (NAME,)


def test_only_told_where_it_is_not_to_be_healed(engine: LocalEngine) -> None:
    """The condition says that it is left so."""
    apply(engine, units.caddy("one").model_copy(update={"heal": False}), "started")
    by_hand(engine, lambda text: text.replace('"one"', '"two"'))
    assert engine.observe()["caddy"].reason == f"{NAME} changed by hand; left so: heal: false"


def test_no_secret_is_in_the_diff(engine: LocalEngine, state: Path) -> None:
    """Neither the one that stood there nor what came into its place; nor in what is kept of what it said."""
    unit = units.caddy("one")
    text = tuple(SecretPart(secret=KEY) if part == "one" else part for part in unit.files["Caddyfile"])
    unit = unit.model_copy(update={"files": {"Caddyfile": text}})
    apply(engine, unit, "started")
    (kept,) = state.glob("units/caddy/*/loaded")
    assert CANARY not in kept.read_text()
    assert engine_for(state).observe()["caddy"].drift == (), "also where the secret is not known yet"
    by_hand(engine, lambda text: text.replace(f"{CANARY}-key", "another-secret"))
    diff = engine.drift("caddy")
    assert "body" in diff
    assert CANARY not in diff
    assert "another-secret" not in diff
