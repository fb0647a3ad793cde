"""What a unit keeps is what it was when its new form is taken back, and stays when that is healthy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.engines.local import snapshots
from blumeops.engines.local.engine import LocalEngine
from blumeops.render.local_unit import Health, LocalUnit, Source
from tests.engines.local import units
from tests.engines.local.conftest import apply, engine_for, get, led_to, secret, until
from tests.engines.local.test_survival import dies, servers


def tree(folder: Path) -> dict[str, tuple[int, int, int, int, bytes]]:
    """All that a folder is: names, modes, owners, times of files, content."""
    found = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        stat = path.lstat()
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        time = stat.st_mtime_ns if path.is_file() else 0
        found[str(path.relative_to(folder))] = (stat.st_mode, stat.st_uid, stat.st_gid, time, content)
    return found


def data(state: Path) -> Path:
    """What the keeper keeps."""
    return state / "data" / "keeper" / "data"


def fill(engine: LocalEngine, folder: Path) -> None:
    """Files of several kinds, of the services' user."""
    folder.joinpath("old").write_text("of the old one")
    folder.joinpath("old").chmod(0o640)
    folder.joinpath("sub").mkdir(mode=0o750)
    folder.joinpath("sub", "-n; odd\nname").write_bytes(os.urandom(5000))
    folder.joinpath("link").symlink_to("/etc/passwd")
    for path in folder.rglob("*"):
        if engine.folders.owner:
            os.chown(path, *engine.folders.owner, follow_symlinks=False)


def test_files_come_back(engine: LocalEngine, state: Path) -> None:
    """A new form that rewrites, removes and adds files and then stays ill: every byte, owner, mode and time is back."""
    apply(engine, units.keeper(1), "started")
    fill(engine, data(state))
    before = tree(data(state))
    said: list[str] = []
    outcome = engine.apply(units.keeper(2, ill=True), said.append)
    assert outcome.action == "rolled back", outcome
    assert "not healthy within 1 s" in outcome.reason
    assert tree(data(state)) == before
    assert said[-2:] == ["keeper: bringing back its state", "keeper: bringing back 3"]
    assert engine.observe()["keeper"].health == "healthy"
    assert not (state / "snapshots" / "keeper").exists()
    apply(engine, units.keeper(1), "unchanged")


def test_what_a_healthy_form_wrote_stays(engine: LocalEngine, state: Path) -> None:
    """After an update that worked nothing is put aside any more, and the next failure goes back to what it wrote."""
    apply(engine, units.keeper(1), "started")
    apply(engine, units.keeper(2), "restarted")
    get(engine.observe()["keeper"].ports["http"], "/write")
    assert not (state / "snapshots" / "keeper").exists()
    assert engine.apply(units.keeper(3, ill=True), lambda line: None).action == "rolled back"
    assert (data(state) / "written").read_text() == "2\n"
    assert (data(state) / "form").read_text() == "000000002"


def test_two_that_run_at_once_share_their_state(
    engine: LocalEngine, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `replace` nothing is put aside: the old one goes on writing while the new one starts."""
    monkeypatch.setattr(snapshots, "take", None)
    apply(engine, units.keeper(1, update="replace"), "started")
    apply(engine, units.keeper(2, update="replace"), "replaced")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("ill", [False, True])
def test_controller_killed_at_any_act(engine: LocalEngine, state: Path, ill: bool) -> None:
    """A controller that dies at any act of an update of a service with state. The new form counts once it is
    healthy, and else the old one has its state back; never does one form run on what a later one made."""
    apply(engine, units.web("provider"), "started")
    base = engine.folders.data("keeper", "data").parent / "base"
    engine.folders.shared(base.parent.parent)
    engine.folders.shared(base.parent)
    base.write_text("")
    if engine.folders.owner:
        os.chown(base, *engine.folders.owner)
    apply(engine, units.keeper(1, database=str(base)), "started")
    fill(engine, data(state))
    number, act = 1, 0
    while True:
        act += 1
        new = units.keeper(number + 1, ill=ill, database=str(base))
        get(engine.observe()["keeper"].ports["http"], "/write")
        before = tree(data(state))
        died = dies(state, new, act, fails=ill)
        late = engine_for(state, drain=0)
        outcome = late.apply(units.keeper(number, database=str(base)) if ill else new, lambda line: None)
        assert (outcome.ok, outcome.reason) == (True, ""), act
        (pid,) = servers(state, "keeper.py")
        seen = late.observe()["keeper"]
        assert (seen.health, seen.pid, seen.drift) == ("healthy", pid, ()), act
        if ill:
            assert (tree(data(state)), base.read_text()) == (before, str(number)), act
        else:
            number += 1
            assert base.read_text() == str(number)
            after = tree(data(state))
            assert (data(state) / "form").read_text() == f"{number:09}"
            assert {n: f for n, f in after.items() if n != "form"} == {n: f for n, f in before.items() if n != "form"}
        assert not (state / "snapshots" / "keeper").exists(), act
        assert len(list(state.glob("units/keeper/*/config"))) == 1
        if not died:
            break
    assert act > 15


def test_healthy_while_nobody_looked(engine: LocalEngine, state: Path) -> None:
    """The controller died while it waited; the new form got healthy and was used: nothing of that is taken back."""
    apply(engine, units.keeper(1), "started")
    act = 1
    while dies(state, units.keeper(2), act):  # until it dies with the new one started
        if servers(state, "keeper.py 2"):
            break
        act += 1
    until(lambda: servers(state, "keeper.py 2"))
    port = led_to(state, "keeper")
    until(lambda: get_or_nothing(port) == 200)
    get(port, "/write")
    outcome = engine_for(state).apply(units.keeper(2), lambda line: None)
    assert outcome.ok, outcome
    assert (data(state) / "written").read_text() == "2\n"
    assert len(servers(state, "keeper.py")) == 1


def get_or_nothing(port: int) -> int:
    """The status of an answer, 0 when there is none."""
    try:
        return get(port)[0]
    except OSError:
        return 0


@pytest.fixture
def small(state: Path) -> Iterator[Path]:
    """A state folder on a disk of 100 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    folder = state / "small"
    folder.mkdir(mode=0o711)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m,mode=0711", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_no_room_stops_nothing(small: Path) -> None:
    """The copy would not fit: one error that names the folder, before anything is stopped; the old one serves on."""
    engine = engine_for(small)
    try:
        apply(engine, units.keeper(1), "started")
        (data(small) / "large").write_bytes(bytes(30_000_000))
        pid = engine.observe()["keeper"].pid
        outcome = engine.apply(units.keeper(2), lambda line: None)
        assert (outcome.action, outcome.error and outcome.error.code) == ("failed", "BLU740")
        assert f"{small}/snapshots/keeper: its state is 30 MB" in outcome.reason
        assert engine.observe()["keeper"].pid == pid
        assert not engine.refuses(units.keeper(2))
    finally:
        engine.stop_all(["keeper"])


def test_disk_full_while_copying(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else filled the disk meanwhile: the error names the path, and the old one is back, untouched."""
    engine = engine_for(small)
    try:
        apply(engine, units.keeper(1), "started")
        (data(small) / "large").write_bytes(bytes(60_000_000))
        before = tree(data(small))
        monkeypatch.setattr(snapshots, "SPARE", -100_000_000)
        outcome = engine.apply(units.keeper(2), lambda line: None)
        assert (outcome.action, outcome.error and outcome.error.code) == ("rolled back", "BLU741")
        assert f"{small}/snapshots/keeper" in outcome.reason
        assert "No space left on device" in outcome.reason
        assert engine.observe()["keeper"].health == "healthy"
        assert tree(data(small)) == before
        assert not engine.refuses(units.keeper(2))
        (data(small) / "large").unlink()
        apply(engine, units.keeper(2), "restarted")
    finally:
        engine.stop_all(["keeper"])


def psql(engine: LocalEngine, query: str) -> tuple[list[str], dict[str, str]]:
    """The words and the environment of a query to Miniflux' database."""
    port = engine.observe()["postgresql"].ports["postgres"]
    spec = engine.manager.defined("postgresql.a") or engine.manager.defined("postgresql.b")
    assert spec
    env = {"PATH": spec.env["PATH"], "PGPASSWORD": secret(units.MINIFLUX_PASSWORD)}
    where = ["-h", "127.0.0.1", "-p", str(port), "-U", "miniflux", "-d", "miniflux"]
    return ["psql", "-X", "-A", "-t", *where, "-c", query], env


def sql(engine: LocalEngine, query: str) -> str:
    """What Miniflux' database answers."""
    words, env = psql(engine, query)
    return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.strip()


def migrating(ill: bool = True) -> LocalUnit:
    """A newer Miniflux, which migrates the database, and then does not get healthy."""
    health = Health(kind="http", port="http", path="/v1/me" if ill else "/healthcheck", within=6)
    sources = (Source(kind="deb", name="miniflux", suite="sid", version="2.3"),)
    return units.miniflux().model_copy(update={"version": "2.3", "sources": sources, "health": health})


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_migrated_database_comes_back(engine: LocalEngine, state: Path) -> None:
    """Miniflux 2.2.6, then 2.3, which migrates its database and stays ill: version, schema and content are as before,
    also when a session holds the database; and then the newer one that works migrates it for good."""
    apply(engine, units.postgresql(), "started")
    apply(engine, units.miniflux(), "started")
    sql(engine, "INSERT INTO categories (user_id, title) VALUES (1, 'kept')")
    schema = sql(engine, "SELECT version FROM schema_version")
    seen: list[str] = []

    def say(line: str) -> None:
        if line == "miniflux: bringing back its state":
            seen.append(sql(engine, "SELECT version FROM schema_version"))
            sql(engine, "UPDATE categories SET title = 'lost' WHERE title = 'kept'")

    words, env = psql(engine, "SELECT pg_sleep(100)")
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as session:
        outcome = engine.apply(migrating(), say)
        assert b"terminating connection" in session.communicate(timeout=10)[1]
    assert outcome.action == "rolled back", outcome
    assert int(seen[0]) > int(schema)
    assert sql(engine, "SELECT version FROM schema_version") == schema
    assert sql(engine, "SELECT title FROM categories ORDER BY id") == "All\nkept"
    assert engine.observe()["miniflux"].health == "healthy"
    apply(engine, units.miniflux(), "unchanged")
    apply(engine, migrating(ill=False), "restarted")
    assert sql(engine, "SELECT version FROM schema_version") == seen[0]
    assert sql(engine, "SELECT title FROM categories ORDER BY id") == "All\nkept"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_old_form_waits_for_its_database(engine: LocalEngine, state: Path) -> None:
    """The database cannot be brought back yet: the old form is not started on it, and is once it can."""
    apply(engine, units.postgresql(), "started")
    apply(engine, units.miniflux(), "started")
    sql(engine, "INSERT INTO categories (user_id, title) VALUES (1, 'kept')")
    ill = units.miniflux().model_copy(
        update={"health": migrating().health, "env": {**units.miniflux().env, "A": ("1",)}}
    )

    def say(line: str) -> None:
        if line == "miniflux: bringing back its state":
            sql(engine, "UPDATE categories SET title = 'lost' WHERE title = 'kept'")
            engine.stop("postgresql")

    outcome = engine.apply(ill, say)
    assert (outcome.action, outcome.error and outcome.error.code) == ("failed", "BLU742"), outcome
    assert "so it stays stopped" in outcome.reason
    seen = engine.observe()["miniflux"]
    assert (seen.state, seen.pid, engine.refuses(ill)) == ("waiting", 0, False) or seen.state == "stopped"
    assert engine.apply(units.miniflux(), lambda line: None).action == "waiting"
    apply(engine, units.postgresql(), "started")
    apply(engine, units.miniflux(), "started")
    assert sql(engine, "SELECT title FROM categories ORDER BY id") == "All\nkept"
