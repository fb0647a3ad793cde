"""What is remembered of a failure, what is not held against a form, and what is put back after one."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from blumeops.base.errors import UserError
from blumeops.base.files import cannot_write
from blumeops.engines.local import instance, ports
from blumeops.engines.local.engine import LocalEngine, digest_of
from blumeops.render.local_unit import Health, LocalUnit, Source
from tests.engines.local import units
from tests.engines.local.conftest import CANARY, apply, engine_for, processes_below, until
from tests.engines.local.test_survival import dies, servers

VALUES = "tests.engines.local.conftest.VALUES"


def refuse(engine: LocalEngine, unit: LocalUnit, action: str = "failed") -> str:
    """Apply, expect that it comes to this, and return the error's code."""
    outcome = engine.apply(unit, lambda line: None)
    assert outcome.action == action, outcome
    assert outcome.error
    return outcome.error.code


def test_a_state_path_with_a_space(state: Path) -> None:
    """As the default one of macOS has."""
    engine = engine_for(state / "Application Support ünï")
    try:
        apply(engine, units.web("one"), "started")
    finally:
        engine.stop_all(["web"])


def test_a_state_path_that_cannot_be(state: Path) -> None:
    """The error names the folder, and nothing is made there."""
    with pytest.raises(UserError, match="has '%' in it") as error:
        engine_for(state / "100%")
    assert (error.value.subject, (state / "100%").exists()) == (repr(str(state / "100%")), False)


def test_only_an_ill_form_is_refused(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that does not get healthy is, until a secret of it changes; another form never was."""
    apply(engine, units.web("one"), "started")
    bad = units.web("exit")
    assert not engine.refuses(bad)
    assert refuse(engine, bad, "rolled back") == "BLU700"
    assert engine.refuses(bad)
    assert not engine.refuses(units.web("one"))
    assert engine.observe()["web"].refused == digest_of(bad)
    monkeypatch.setattr(VALUES, {"op://blumeops/web/key": "another"})
    assert not engine.refuses(bad)
    assert engine.observe()["web"].refused == ""
    monkeypatch.undo()
    apply(engine, units.web("one"), "unchanged")
    assert not engine.refuses(bad)


def test_a_full_disk_is_not_the_forms_fault(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is told, with what serves; nothing is refused, nor is anything starting for ever."""
    full = cannot_write(Path("/there"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def write(*_: object) -> None:
        raise full

    for before in (None, units.web("one")):
        if before:
            apply(engine, before, "started")
        with monkeypatch.context() as patch:
            patch.setattr(instance, "write", write)
            assert refuse(engine, units.web("two")) == "BLU903"
        seen = engine.observe()["web"]
        assert (seen.state, seen.refused) == ("running" if before else "failed", "")
        assert "No space left" in seen.reason
        assert not engine.refuses(units.web("two"))
    apply(engine, units.web("two"), "restarted")
    assert engine.observe()["web"].reason == ""


def test_a_taken_port_is_tried_again(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds it may go; a program that cannot be had is not asked for again."""
    port = ports.choose((), (), ())
    with monkeypatch.context() as patch:
        patch.setattr(ports, "is_free", lambda *_: False)
        assert refuse(engine, units.web("one", fixed=port)) == "BLU704"
    assert not engine.refuses(units.web("one", fixed=port))
    none = units.web("one").model_copy(update={"sources": (Source(kind="path", name="no-such-program"),)})
    assert refuse(engine, none, "unavailable") == "BLU701"
    assert engine.refuses(none)
    assert engine.observe()["web"].state == "unavailable"


@pytest.mark.skipif(os.geteuid() != 0 or ports.first_open() <= 443, reason="services may listen there")
def test_a_port_of_root_stops_nothing(engine: LocalEngine) -> None:
    """Root could listen there, its services cannot: one error, and the old form serves on."""
    apply(engine, units.web("one"), "started")
    before = engine.observe()["web"].pid
    assert refuse(engine, units.web("two", fixed=443)) == "BLU704"
    seen = engine.observe()["web"]
    assert (seen.pid, "port 443 (http) needs root, and services run as nobody" in seen.reason) == (before, True)


def test_a_damaged_record_stops_nothing(engine: LocalEngine, state: Path) -> None:
    """It is set aside; the unit is known, can be stopped, removed, and started anew, once."""
    apply(engine, units.web("one"), "started")
    record = state / "units" / "web" / "record.json"
    record.write_text(record.read_text()[:100])
    assert engine.observe() == {}
    assert (engine.applied(), engine.known()) == ({}, {"web"})
    assert (state / "units" / "web" / "record.json.damaged-1").exists()
    apply(engine, units.web("one"), "started")
    assert len(servers(state, "server.py")) == 1
    record.write_text("{}")
    apply(engine, units.web("one"), "started")
    assert len(servers(state, "server.py")) == 1
    record.write_text("{}")
    engine.remove("web")
    assert (engine.known(), servers(state, "server.py")) == (set(), [])
    apply(engine, units.web("one"), "started")
    record.write_text("{}")
    engine.stop_all(["web"])
    assert not processes_below(state)


def test_another_key_of_stamps_is_no_change_by_hand(engine: LocalEngine, state: Path) -> None:
    """A state folder whose key was lost says so once, and is at rest after that."""
    apply(engine, units.caddy(), "started")
    (state / "stamp.key").write_bytes(bytes(32))
    assert engine.observe()["caddy"].drift == ("config/Caddyfile", "running configuration")
    apply(engine, units.caddy(), "reloaded")
    assert engine.observe()["caddy"].drift == ()
    apply(engine, units.caddy(), "unchanged")


def test_units_that_never_served_are_known_and_removed(engine: LocalEngine, state: Path) -> None:
    """One that never got healthy, one without a program, and one whose controller was killed."""
    none = units.caddy().model_copy(update={"sources": (Source(kind="path", name="no-such-program"),)})
    assert refuse(engine, none, "unavailable") == "BLU701"
    engine.remove("caddy")
    assert engine.known() == set()
    assert refuse(engine, units.web("exit")) == "BLU700"
    assert engine.known() == {"web"}
    engine.remove("web")
    assert engine.known() == set()
    act = 1
    while dies(state, units.web("one"), act):
        assert engine.observe().get("web") is None or engine.observe()["web"].state == "stopped"
        if servers(state, "server.py"):
            break
        engine.remove("web")  # so that each time the acts are the same
        act += 1
    assert (engine.known(), engine.applied()) == ({"web"}, {})
    engine.remove("web")
    assert (engine.known(), servers(state, "server.py")) == (set(), [])
    assert engine.observe() == {}


def test_a_refused_password_is_taken_back(engine: LocalEngine, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update with another database password fails: the old form starts again, with the password that it knows."""
    apply(engine, units.postgresql(), "started")
    apply(engine, units.miniflux(), "started")
    bad = units.miniflux().model_copy(update={"health": Health(kind="http", port="http", path="/nowhere", within=1)})
    with monkeypatch.context() as patch:
        patch.setattr(VALUES, {units.MINIFLUX_PASSWORD: "another"})
        outcome = engine.apply(bad, lambda line: None)
        assert outcome.action == "rolled back"
        assert "and the old one" not in outcome.reason
        assert "and what its providers" not in outcome.reason
    seen = engine.observe()["miniflux"]
    assert (seen.state, seen.health) == ("running", "healthy")
    apply(engine, units.miniflux(), "unchanged")

    class Killed(BaseException):
        """As SIGKILL, of which no controller learns."""

    def define(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(VALUES, {units.MINIFLUX_PASSWORD: "another"})
        patch.setattr(engine.manager, "define", define)
        with pytest.raises(Killed):
            engine.apply(units.miniflux(), lambda line: None)
    apply(engine, units.miniflux(), "unchanged")
    engine.stop("miniflux")
    engine.manager.start(engine.observe()["miniflux"].instance)  # it logs in with the password that it knows
    until(lambda: engine.observe()["miniflux"].health == "healthy")
    (kept,) = state.glob("units/miniflux/*/grants.json")
    assert (kept.stat().st_mode & 0o777, kept.stat().st_uid) == (0o600, os.geteuid())
    assert CANARY in kept.read_text()


def test_a_stopped_service_whose_number_is_lost_gets_another(engine: LocalEngine) -> None:
    """While it was stopped somebody took its number: the same form moves; with a number that is fixed it says who."""
    apply(engine, units.web("one"), "started")
    number = engine.observe()["web"].ports["http"]
    engine.stop("web")
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", number))
        squatter.listen()
        apply(engine, units.web("one"), "restarted")
        other = engine.observe()["web"].ports["http"]
        assert other != number
    apply(engine, units.web("one", fixed=number), "restarted")
    engine.stop("web")
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", number))
        squatter.listen()
        outcome = engine.apply(units.web("one", fixed=number), lambda line: None)
        assert (outcome.action, outcome.error and outcome.error.code) == ("failed", "BLU704")
        assert f"port {number} (http) is taken by" in outcome.reason
