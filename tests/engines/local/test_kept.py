"""What units that are no more leave behind is told, kept, and deleted for good when that is asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from blumeops.base.errors import BlumeError, UserError
from blumeops.engines.local.engine import LocalEngine, local_engine
from blumeops.engines.local.programs import Programs
from tests.engines.local import units
from tests.engines.local.conftest import apply, programs_cache, secret
from tests.engines.local.test_snapshots import data, fill


def named_miniflux(engine: LocalEngine) -> str:
    """How many databases and roles of that name PostgreSQL has, for its superuser."""
    port = engine.observe()["postgresql"].ports["postgres"]
    spec = engine.manager.defined("postgresql.a") or engine.manager.defined("postgresql.b")
    assert spec
    names = "SELECT datname AS name FROM pg_database UNION ALL SELECT rolname FROM pg_roles"
    query = f"SELECT count(*) FROM ({names}) AS found WHERE name = 'miniflux'"
    words = ["psql", "-XAt", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d", "postgres", "-c", query]
    env = {"PATH": spec.env["PATH"], "PGPASSWORD": secret(units.PASSWORD)}
    return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_what_a_removed_unit_keeps_is_told_and_pruned(engine: LocalEngine, state: Path, tmp_path: Path) -> None:
    """Its folders and logs go, links are not followed, and nothing of a unit that is there is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("not ours")
    apply(engine, units.web("one"), "started")
    apply(engine, units.keeper(1), "started")
    fill(engine, data(state))
    (data(state) / "out").symlink_to(outside)
    assert engine.kept() == {}
    engine.remove("keeper")
    (kept,) = engine.kept().values()
    assert (kept.unit, kept.grants) == ("keeper", ())
    assert 5000 < kept.size < 100_000
    assert (data(state) / "old").read_text() == "of the old one"

    with pytest.raises(BlumeError, match="BLU750 web: is there again"):
        engine.prune("web")
    engine.prune("keeper")
    assert engine.kept() == {}
    assert not (state / "data" / "keeper").exists()
    assert list((state / "logs").glob("keeper*")) == []
    assert [path.name for path in (state / "units" / "keeper").iterdir()] == ["lock"]
    assert (outside / "precious").read_text() == "not ours"
    assert engine.observe()["web"].health == "healthy"
    apply(engine, units.keeper(1), "started")  # as if it had never been
    engine.remove("web")
    assert engine.kept() == {}, "a unit that keeps nothing leaves nothing"


def test_a_unit_that_is_back_has_its_data(engine: LocalEngine, state: Path) -> None:
    """Removed and described again, it finds what it kept, and there is nothing to prune."""
    apply(engine, units.keeper(1), "started")
    fill(engine, data(state))
    engine.remove("keeper")
    apply(engine, units.keeper(1), "started")
    assert (data(state) / "old").read_text() == "of the old one"
    assert engine.kept() == {}
    with pytest.raises(BlumeError, match="is there again"):
        engine.prune("keeper")


def test_a_prune_that_was_cut_off_is_done_again(
    engine: LocalEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it deleted, it is told still; a damaged note hides nothing of the folders."""
    apply(engine, units.keeper(1), "started")
    fill(engine, data(state))
    engine.remove("keeper")
    with monkeypatch.context() as patched:

        def breaks(path: Path) -> None:
            (path / "data" / "old").unlink()
            raise OSError(5, "Input/output error", str(path / "data"))

        patched.setattr(shutil, "rmtree", breaks)
        with pytest.raises(BlumeError, match="data/keeper/data cannot be deleted: Input/output error"):
            engine.prune("keeper")
    (state / "units" / "keeper" / "kept.json").write_text("{")
    assert engine.kept()["keeper"].size > 5000
    engine.prune("keeper")
    assert (engine.kept(), (state / "data" / "keeper").exists()) == ({}, False)


@pytest.mark.slow
def test_a_database_is_dropped_by_its_provider(engine: LocalEngine, state: Path) -> None:
    """The real PostgreSQL drops database and role, also when the user's own password is gone; not while it is away."""
    apply(engine, units.postgresql(), "started")
    apply(engine, units.miniflux(), "started")
    engine.remove("miniflux")
    assert named_miniflux(engine) == "2"
    kept = engine.kept()["miniflux"]
    assert [grant.provider for grant in kept.grants] == ["postgresql"]
    assert kept.in_words == "its database in postgresql"

    engine.stop("postgresql")
    with pytest.raises(BlumeError, match="BLU751"):
        engine.prune("miniflux")
    assert engine.kept()["miniflux"] == kept
    apply(engine, units.postgresql(), "started")

    def forgetful(reference: str) -> str:
        if reference == units.MINIFLUX_PASSWORD:
            raise UserError("BLU502", reference, "is not in the store")
        return secret(reference)

    local_engine(state, forgetful, Programs(programs_cache())).prune("miniflux")
    assert named_miniflux(engine) == "0"
    assert engine.kept() == {}
    apply(engine, units.miniflux(), "started")
    assert named_miniflux(engine) == "2"
