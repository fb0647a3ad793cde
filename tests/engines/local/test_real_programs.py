"""The three services of the slice, as real processes."""

from __future__ import annotations

import base64
from pathlib import Path

from blumeops.engines.local.engine import LocalEngine
from blumeops.engines.local.instance import GRANTS
from tests.engines.local import units
from tests.engines.local.conftest import CANARY, apply, get, processes_below, secret


def test_caddy_postgresql_and_miniflux_serve(engine: LocalEngine, state: Path) -> None:
    """Miniflux, with its role and database granted, answers through Caddy, and its administrator can log in."""
    order = [units.postgresql(), units.miniflux(), units.caddy(upstream="miniflux.http")]
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
