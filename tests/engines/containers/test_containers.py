"""Services as containers, by real Podman: they start, serve, keep their state, are updated, fail, die and end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from blumeops.engines.local.engine import LocalEngine, local_engine
from blumeops.engines.local.folders import FIRST_USER
from blumeops.engines.local.leftovers import MARK
from blumeops.engines.local.manager import BackOff
from blumeops.engines.local.programs import Programs
from blumeops.render import local
from blumeops.render.local_unit import (
    Container,
    FolderPart,
    Grant,
    Health,
    HostPart,
    Init,
    LocalUnit,
    PortPart,
    SecretPart,
    Source,
)
from tests.engines.containers.conftest import NAME, podman, web
from tests.engines.local import units
from tests.engines.local.conftest import (
    CANARY,
    apply,
    get,
    hasty_engine,
    led_to,
    processes_below,
    programs_cache,
    running,
    secret,
    until,
)
from tests.leaks import Seeker, Watch
from tests.written import passed

NOBODY = 65534
DATABASE = re.compile(r"(^|/)(db\.sql|bolt_state\.db)(-\w+)?$")
STATE = FolderPart(folder="state", name="data")


def port(engine: LocalEngine, unit: str = "web") -> int:
    """Where it listens now."""
    return engine.observe()[unit].ports["http"]


def inside(engine: LocalEngine, command: str) -> str:
    """What a command prints within the container."""
    return get(port(engine), f"/cgi-bin/run?{quote(command)}")[1].strip()


def test_an_image_is_a_service(engine: LocalEngine, state: Path) -> None:
    """It is healthy at a port of loopback, is nobody's user outside, and can change only what it keeps."""
    apply(engine, web(), "started")
    apply(engine, web(), "unchanged")
    seen = engine.observe()["web"]
    assert (seen.state, seen.health, seen.drift) == ("running", "healthy", ())
    assert get(seen.ports["http"])[1] == "one\n"
    assert led_to(state, "web") == seen.ports["http"]
    assert inside(engine, "id -u; id -g") == "1234\n4321"
    assert inside(engine, "echo kept > /data/file && cat /data/file") == "kept"
    kept = state / "data/web/data/file"
    assert (kept.read_text(), kept.stat().st_uid) == ("kept\n", FIRST_USER + 1234)
    assert "Read-only file system" in inside(engine, "touch /new")
    assert "CapEff:\t0000000000000000" in inside(engine, "cat /proc/self/status")


def test_a_secret_is_in_its_environment_alone(engine: LocalEngine, state: Path) -> None:
    """No argument of any process, no log and no file but the private ones shows it."""
    apply(engine, web(), "started")
    assert inside(engine, "echo $PASSWORD") == f"{CANARY}-password"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            assert CANARY not in (folder / "cmdline").read_text(errors="replace")
        except OSError:
            continue
    for path in state.rglob("*"):
        if path.is_file() and CANARY.encode() in path.read_bytes():
            assert path.parent.name == "programs"
            assert path.stat().st_mode & 0o077 == 0


def test_what_the_runtime_keeps_of_a_secret(engine: LocalEngine, state: Path, storage: Path) -> None:
    """Podman writes a container's environment down: where root alone gets to. Once it is gone, only Podman's own
    database may still have it, in pages that are free."""
    seeker = Seeker()
    seeker.know("password", f"{CANARY}-password")
    with Watch(seeker, MARK) as watch:
        apply(engine, web(), "started")
        kept = seeker.in_files(storage)
        for each in kept:
            there = ["test", "-r", str(storage / each.place)]
            assert subprocess.run(there, user=NOBODY, group=NOBODY, extra_groups=[], check=False).returncode, str(each)
        assert kept, "it keeps it nowhere: then this test has nothing to say"
        engine.stop_all(["web"])
    assert not [each for each in watch.found if each.place.startswith("arguments")]
    until(lambda: all(DATABASE.search(each.place) for each in seeker.in_files(storage)))


def test_state_is_kept_over_an_update(engine: LocalEngine, state: Path) -> None:
    """The old one gets its signal and ends before the new one starts; what was kept is there."""
    apply(engine, web(), "started")
    inside(engine, "echo kept > /data/file")
    apply(engine, web("2"), "restarted")
    assert get(port(engine))[1] == "two\n"
    assert inside(engine, "cat /data/file /data/ends") == "kept\nended"
    assert podman("ps", "--format", "{{.Names}}").count("web") == 1


def test_old_image_serves_when_the_new_one_fails(engine: LocalEngine) -> None:
    """A new image that ends by itself is taken back, and its last words are told without the secret."""
    apply(engine, web(), "started")
    outcome = engine.apply(web("bad"), print)
    assert outcome.action == "rolled back"
    assert "broken: ***" in outcome.reason
    assert get(port(engine))[1] == "one\n"
    assert podman("ps", "--format", "{{.Names}}").count("web") == 1


def test_two_stand_beside_each_other_in_a_replacement(engine: LocalEngine) -> None:
    """The new one is healthy at another port before the old one ends."""
    apply(engine, web(update="replace"), "started")
    before = port(engine)
    apply(engine, web("2", update="replace"), "replaced")
    assert port(engine) != before
    assert get(port(engine))[1] == "two\n"


def test_an_image_that_begins_as_root(engine: LocalEngine, state: Path) -> None:
    """It is root within only, may become another user and write its own files."""
    apply(engine, web("root"), "started")
    assert inside(engine, "id -u; touch /new && echo written") == "0\nwritten"
    assert inside(engine, "touch /data/mine; chown web /data/mine; stat -c %u /data/mine") == "1234"
    assert (state / "data/web/data/mine").stat().st_uid == FIRST_USER + 1234
    pid = int(podman("inspect", "--format", "{{.State.Pid}}", *podman("ps", "--quiet").split()))
    assert Path(f"/proc/{pid}").stat().st_uid == FIRST_USER


def test_a_state_folder_follows_its_user(engine: LocalEngine, state: Path) -> None:
    """An image of another user gets the files of the one before, and that one gets them back; a link is no way out."""
    outside = state / "outside"
    outside.write_text("not theirs")
    apply(engine, web("root"), "started")
    inside(engine, "mkdir /data/folder && echo kept > /data/folder/file")
    inside(engine, f"ln -s {outside} /data/link")
    apply(engine, web("1"), "restarted")
    assert inside(engine, "cat /data/folder/file && echo more >> /data/folder/file && echo written") == "kept\nwritten"
    assert outside.stat().st_uid == os.geteuid()


def test_a_container_without_its_client_is_not_doubled(engine: LocalEngine) -> None:
    """A killed client is started again, and the container that it left is ended before."""
    apply(engine, web(), "started")
    before = podman("ps", "--quiet", "--no-trunc")
    process = running(engine)
    os.kill(process, signal.SIGKILL)
    until(lambda: engine.observe()["web"].pid not in (0, process) and engine.observe()["web"].health == "healthy", 40)
    after = podman("ps", "--quiet", "--no-trunc")
    assert after.count("\n") == 1
    assert after != before


def test_a_container_without_its_keeper_is_ended(engine: LocalEngine) -> None:
    """conmon and the client are killed: the runtime knows no process any more, but we do."""
    apply(engine, web(), "started")
    told = podman("inspect", "--format", "{{.State.Pid}} {{.State.ConmonPid}}", *podman("ps", "--quiet").split())
    pid, conmon = map(int, told.split())
    client = running(engine)
    os.kill(conmon, signal.SIGKILL)
    with suppress(ProcessLookupError):  # it may have ended with that
        os.kill(client, signal.SIGKILL)
    until(lambda: engine.observe()["web"].health == "healthy" and not psutil.pid_exists(pid), 40)
    assert podman("ps", "--quiet").count("\n") == 1


def test_containers_outlive_nothing_of_a_killed_manager(engine: LocalEngine, state: Path) -> None:
    """The manager is killed: the next one ends what it left and starts it once."""
    apply(engine, web(), "started")
    os.kill(int((state / "manager/supervisord.pid").read_text()), signal.SIGKILL)
    apply(engine, web(), "unchanged")
    until(lambda: engine.observe()["web"].health == "healthy", 40)
    assert podman("ps", "--quiet").count("\n") == 1
    engine.remove("web")
    assert podman("ps", "--all", "--quiet") == ""


def test_a_share_is_mounted(state: Path, images: None) -> None:
    """One of the state, and one that is a folder of this machine's: the image reads what others may read."""
    music = state / "music"
    music.mkdir(mode=0o755)
    (music / "song").write_text("la la")
    (music / "song").chmod(0o644)
    at = {"nas/music": "/music", "nas/films": "/films"}
    form = web().container
    assert form
    unit = web(container=form.model_copy(update={"shares": at}))
    engine = local_engine(state, secret, Programs(programs_cache()), shares={"nas/music": music})
    try:
        apply(engine, unit, "started")
        assert inside(engine, "cat /music/song; ls -d /films/.") == "la la/films/."
        music.chmod(0o700)
        outcome = engine.apply(unit, print)
        assert (outcome.action, outcome.error and outcome.error.code) == ("failed", "BLU719")
        assert inside(engine, "echo still here") == "still here"
    finally:
        engine.stop_all(["web"])
        until(lambda: not processes_below(state))


def test_a_container_that_keeps_ending_backs_off(state: Path, images: None) -> None:
    """Like every other program: the third start waits, nothing of the container is there meanwhile, and its last line
    is told."""
    looping = "mkdir -p /tmp/www; httpd -p 8080 -h /tmp/www; echo ok > /tmp/www/index.html; sleep 4; echo no more"
    engine = hasty_engine(state, BackOff(young=0, window=60, first=60, longest=60))
    try:
        apply(engine, web(command=(("sh",), ("-c",), (looping,))), "started")
        until(lambda: "waits 60 s" in engine.observe()["web"].reason, 60)
        seen = engine.observe()["web"]
        assert (seen.state, seen.pid) == ("failed", 0)
        words = "ended by itself, 2 times within 1 minutes, and waits 60 s before it starts again: "
        assert seen.reason.startswith(words)
        assert seen.reason.endswith("no more")
        assert podman("ps", "--all", "--quiet") == ""
    finally:
        engine.stop_all(["web"])
        until(lambda: not processes_below(state))


def test_one_that_does_not_listen_to_its_signal_is_killed(engine: LocalEngine) -> None:
    """After its time."""
    command = (("sh",), ("-c",), ("trap '' TERM; mkdir -p /tmp/www; httpd -f -p 8080 -h /tmp/www",))
    apply(engine, web(command=command, health=None, stop_seconds=1), "started")
    began = time.monotonic()
    engine.remove("web")
    assert time.monotonic() - began < 15
    assert podman("ps", "--all", "--quiet") == ""


def test_memory_has_a_limit(engine: LocalEngine, state: Path) -> None:
    """One that eats more is killed, and started again; without a limit it would go on eating."""
    script = (
        "mkdir -p /tmp/www; echo fed > /tmp/www/index.html; httpd -p 8080 -h /tmp/www; "
        "while ! mv /data/eat /data/eaten; do sleep 0.2; done 2>/dev/null; exec tail /dev/zero"
    )
    unit = web(command=(("sh",), ("-c",), (script,)), memory=64 << 20)
    apply(engine, unit, "started")
    before = engine.observe()["web"].pid
    (state / "data/web/data/eat").touch()
    os.chown(state / "data/web/data/eat", FIRST_USER + 1234, FIRST_USER + 4321)
    until(lambda: engine.observe()["web"].pid not in (0, before) and engine.observe()["web"].health == "healthy", 40)
    assert (state / "data/web/data/eaten").exists()


def test_an_image_that_is_nowhere_is_unavailable(engine: LocalEngine) -> None:
    """At once, with the reason; nothing is left of it."""
    unit = web(sources=(Source(kind="container", name="registry.invalid/nothing"),))
    outcome = engine.apply(unit, lambda line: None)
    assert outcome.action == "unavailable"
    assert "cannot be pulled" in outcome.reason
    assert engine.observe()["web"].state == "unavailable"


def test_a_container_reaches_what_listens_on_this_machine(engine: LocalEngine) -> None:
    """PostgreSQL, a process here, makes the role; the container gets its address and its password."""
    apply(engine, units.postgresql(), "started")
    sql = PortPart(port="postgres", unit="postgresql")
    psql = (("psql",), ("-h",), ("127.0.0.1",), ("-U",), ("postgres",), ("-X",), ("-p",), (sql,))
    wish = Grant(
        provider="postgresql", command=psql, stdin="CREATE ROLE web LOGIN;",
        env={"PGPASSWORD": (SecretPart(secret=units.PASSWORD),)},
    )  # fmt: skip
    env = {"DB": (HostPart(host="reach", unit="postgresql"), " ", sql)}
    apply(engine, web(env=env, grants=(wish,), needs=("postgresql",)), "started")
    # The request for TLS, which PostgreSQL answers with one letter.
    asked = inside(engine, r"printf '\000\000\000\010\004\322\026\057' | nc -w 2 $DB | head -c 1")
    assert asked in ("N", "S")


def test_it_prepares_and_is_asked_by_its_own_commands(engine: LocalEngine, state: Path) -> None:
    """The initialisation runs once, in a container with the same folders; the health command in the one that runs."""
    unit = web(
        init=Init(command=(("sh",), ("-c",), ("echo once >> /data/init",)), creates=(STATE, "/init")),
        health=Health(kind="command", command=(("ls",), (STATE, "/init")), within=10),
    )
    apply(engine, unit, "started")
    apply(engine, unit.model_copy(update={"version": "2"}), "restarted")
    assert (state / "data/web/data/init").read_text() == "once\n"
    assert engine.observe()["web"].health == "healthy"
    (state / "data/web/data/init").unlink()
    assert "No such file" in engine.observe()["web"].reason


def test_files_are_mounted_and_followed(engine: LocalEngine) -> None:
    """Configuration and secret files are there, read-only and its user's; a change of one starts it anew."""
    form = Container(ports={"http": 8080}, state={"data": "/data"}, files={"web.conf": "/etc/web.conf"})
    unit = web(container=form, files={"web.conf": ("one",)}, secret_files={"key": "op://blumeops/web/key"})
    apply(engine, unit, "started")
    assert inside(engine, "cat /etc/web.conf; echo; cat /run/secrets/web/key") == f"one\n{CANARY}-key"
    assert "Read-only" in inside(engine, "echo x > /etc/web.conf")
    apply(engine, unit.model_copy(update={"files": {"web.conf": ("two",)}}), "restarted")
    assert inside(engine, "cat /etc/web.conf") == "two"


def test_a_compose_file_s_services_find_each_other(engine: LocalEngine, tmp_path: Path) -> None:
    """Two services of a file: each needs what it says, finds the other by its name, and no network is left."""
    compose = f"""\
services:
  front: {{image: "{NAME}:1", ports: ["80:8080"], depends_on: [back], volumes: ["kept:/data"]}}
  back: {{image: "{NAME}:2", environment: {{KEY: "${{KEY}}"}}, healthcheck: {{test: [CMD, ls, /tmp/www/index.html]}}}}
"""
    lab = "pages: {host: box, compose: compose/pages.yaml, secrets: {key: op://lab/pages/key}}\n"
    checked = passed(tmp_path, {"services/a.yaml": lab, "compose/pages.yaml": compose})
    made = local.units(local.render(checked))
    assert list(made) == ["pages-back", "pages"]
    outcome = engine.apply(made["pages"], lambda line: None)
    assert (outcome.action, outcome.reason) == ("waiting", "waits for pages-back")
    apply(engine, made["pages-back"], "started")
    apply(engine, made["pages"], "started")
    get(port(engine, "pages"))
    asked = quote(r"printf 'GET / HTTP/1.0\r\n\r\n' | nc back 8080")
    assert get(port(engine, "pages"), f"/cgi-bin/run?{asked}")[1].endswith("two\n")
    for unit in ("pages", "pages-back"):
        engine.remove(unit)
    assert "pages" not in podman("network", "ls", "--format", "{{.Name}}")


def test_a_maker_of_backups_reads_what_containers_keep(engine: LocalEngine, state: Path) -> None:
    """As nobody, with the right to read and none to write; without that right its run says whom it left out."""
    apply(engine, web(), "started")
    inside(engine, "echo kept > /data/file && chmod 600 /data/file")
    theirs = FolderPart(folder="state", name="data", unit="web")
    script = 'id -u; cat "$1/file"; touch "$1/mine"; echo x >> "$1/file"; grep -h Cap /proc/self/status'
    maker = units.job().model_copy(
        update={"command": (("sh",), ("-c",), (script,), ("sh",), (theirs,)), "reads_all": True}
    )
    assert lacking(engine, maker) == ()
    assert lacking(engine, maker.model_copy(update={"reads_all": False})) == ("web",)
    printed = (state / "logs" / "tick.a.log").read_text()
    first, second = printed.split(f"{NOBODY}\n")[1:]
    assert first.startswith("kept\n")
    assert first.count("ermission denied") == 2
    assert {int(line.split()[1], 16) for line in first.splitlines() if line.startswith(("CapEff", "CapPrm"))} == {4}
    assert "kept" not in second
    assert "CapEff:\t0000000000000000" in second
    assert inside(engine, "cat /data/file; ls /data") == "kept\nfile"


def lacking(engine: LocalEngine, unit: LocalUnit) -> tuple[str, ...]:
    """Whose state a run of it could not read."""
    engine.apply(unit, lambda line: None)
    token = f"t{unit.reads_all}"
    engine.start_job(unit, token, lambda line: None)
    until(lambda: engine.job_seen(unit.unit, token).state == "ended")
    return engine.job_result(unit, token, 0).lacks
