"""The three services of the slice, as real processes."""

from __future__ import annotations

import base64
from pathlib import Path

from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.instance import GRANTS
from blumeops.render.local_unit import SecretPart
from tests.engines.local import units
from tests.engines.local.conftest import CANARY, apply, get, processes_below, secret

TALKATIVE = {"log_statement": "all", "log_min_error_statement": "debug5", "log_min_duration_statement": "0"}


def test_caddy_postgresql_and_miniflux_serve(engine: LocalEngine, state: Path) -> None:
    """Miniflux, with its role and database granted, answers through Caddy, and its administrator can log in."""
    order = [units.postgresql(), units.miniflux(), units.caddy(upstream="feed")]
    for unit in order:
        apply(engine, unit, "started")
    seen = engine.observe()
    assert seen.keys() == {"caddy", "miniflux", "postgresql"}
    assert {(each.state, each.health, each.drift) for each in seen.values()} == {("running", "healthy", ())}
    token = base64.b64encode(f"admin:{secret(units.ADMIN_PASSWORD)}".encode()).decode()
    status, body = get(seen["caddy"].ports["http"], "/v1/me", {"Authorization": f"Basic {token}"})
    assert (status, '"is_admin":true' in body) == (200, True)

    for unit in order:
        apply(engine, unit, "unchanged")
    assert {name: each.pid for name, each in engine.observe().items()} == {n: e.pid for n, e in seen.items()}

    assert CANARY not in " ".join(processes_below(state).values())
    for file in state.rglob("*"):
        if file.is_file() and CANARY.encode() in file.read_bytes():
            assert file.stat().st_mode & 0o077 == 0
            assert file.parent.name in ("programs", "secrets") or file.name == GRANTS, file


def test_no_password_is_in_the_log_of_postgresql(engine: LocalEngine, state: Path) -> None:
    """Also where it logs each statement, each failed one and each slow one, as people let it to find out something."""
    provider = units.postgresql()
    words = [f"{name}={value}" for name, value in TALKATIVE.items()]
    command = (*provider.command, *(part for word in words for part in (("-c",), (word,))))
    apply(engine, provider.model_copy(update={"command": command}), "started")
    (given,) = units.miniflux().grants
    password = {"NEW_PASSWORD": (SecretPart(secret=units.MINIFLUX_PASSWORD),)}
    ours = given.model_copy(update={"stdin": units.catalogue_grant().stdin, "env": {**given.env, **password}})
    apply(engine, units.miniflux().model_copy(update={"grants": (ours,)}), "started")
    log = (state / "logs" / "postgresql.a.log").read_text()
    assert "INSERT INTO" in log, "it logs statements"
    assert CANARY not in log
