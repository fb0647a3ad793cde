"""What the local engine writes: nobody else can put a link in its way, hold its locks, or read parts of a secret."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from blumeops.base.errors import EngineError, UserError
from blumeops.base.files import PRIVATE, locked, write_whole
from blumeops.base.processes import Completed
from blumeops.engines.local import health, helpers, instance, ports
from blumeops.engines.local.folders import Account, Folders, service_account
from blumeops.engines.local.programs import Program, cache_folder
from blumeops.engines.local.programs.found import copied
from blumeops.engines.local.record import Record, Records
from blumeops.engines.local.resolve import Secrets
from blumeops.engines.local.supervisor import Supervisor
from blumeops.render.local_unit import LocalUnit, Port, Source

UNIT = LocalUnit(unit="web", app="web", version="1", place="here")
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs services as another user")


def mode(path: Path) -> int:
    """Its permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_its_owners_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner is set on what was just made, never on whatever lies under the name."""
    owned: list[tuple[bool, int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, *ids: owned.append(((tmp_path / "a").exists(), *ids)))
    write_whole(tmp_path / "a", "x", PRIVATE, (7, 8))
    assert owned == [(False, 7, 8)]


@root
def test_services_cannot_replace_what_root_writes(state: Path) -> None:
    """Their files are theirs, but the folders of those are root's: no link can be put there, nor be followed."""
    folders = Folders(state, service_account())
    folders.prepare()
    slot = folders.shared(folders.shared(folders.unit("web")) / "a")
    config = slot / "config"
    instance.write_files(folders, config, {"main.conf": b"1", "sub/part.conf": b"2"})
    for folder in (config, config / "sub"):
        assert (folder.stat().st_uid, mode(folder)) == (0, 0o750)
        assert folder.stat().st_gid == folders.account.group
    for file in (config / "main.conf", config / "sub" / "part.conf"):
        assert (file.stat().st_uid, mode(file)) == (folders.account.user, 0o600)


@root
def test_a_folder_that_services_owned_before_is_taken_back(state: Path) -> None:
    """A state of before: the folder was theirs, and one of them left a link to a file of root's in it."""
    folders = Folders(state, service_account())
    folders.prepare()
    victim = state / "victim"
    victim.write_text("root's")
    config = folders.of_service(folders.shared(state / "a") / "config")
    (config / "main.conf").symlink_to(victim)
    instance.write_files(folders, config, {"main.conf": b"1"})
    assert (config.stat().st_uid, victim.stat().st_uid, victim.read_text()) == (0, 0, "root's")
    assert (config / "main.conf").read_bytes() == b"1"


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    """A link to a folder is not that folder, and what it leads to stays as it is."""
    (tmp_path / "theirs").mkdir(mode=0o755)
    if kind == "link":
        (tmp_path / "ours").symlink_to("theirs")
    else:
        (tmp_path / "ours").write_text("")
    with pytest.raises(EngineError, match="is not a folder of ours"):
        Folders(tmp_path, Account()).of_service(tmp_path / "ours")
    assert mode(tmp_path / "theirs") == 0o755


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_parents_do_not_follow_the_umask(state: Path, umask: int) -> None:
    """Services can walk down to a new state folder, and nobody else can write above it."""
    before = os.umask(umask)
    try:
        Folders(state / "new" / "deep" / "state", service_account()).prepare()
    finally:
        os.umask(before)
    assert {mode(state / "new"), mode(state / "new" / "deep")} == {0o755 if os.geteuid() == 0 else 0o700}


def test_a_lock_is_ours_alone(tmp_path: Path) -> None:
    """Whoever can open a lock can hold it for ever: it is private, whatever it was before and the umask is."""
    (tmp_path / "old").touch(0o666)
    for name in ("old", "new"):
        with locked(tmp_path / name) as ours, locked(tmp_path / name, wait=False) as again:
            assert (ours, again, mode(tmp_path / name)) == (True, False, 0o600)
        with (tmp_path / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("name", ["semi ;x", "hash #1", "br[a]cket", "per%cent", "st*r", "wh?t", "new\nline"])
def test_paths_that_the_manager_cannot_name(tmp_path: Path, name: str) -> None:
    """One clear error before anything starts."""
    with pytest.raises(UserError, match="with which services cannot be run") as error:
        Supervisor(tmp_path / name, Folders(tmp_path, Account()))
    assert error.value.code == "BLU714"
    assert "\n" not in str(error.value)
    Supervisor(tmp_path / "a space ünï $HOME 'x\"", Folders(tmp_path, Account()))


def test_naming_the_short_folder_makes_nothing(state: Path) -> None:
    """It is there while something runs. Meanwhile nobody else's is taken for it, and while it is not, we knock at our
    own state: what another makes in its place is never connected to."""
    folders = Folders(state / ("x" * 100), Account())
    assert not folders.short().is_relative_to(folders.state)
    assert folders.door() == folders.state / "run"
    folders.clear_short()
    assert not folders.short().exists()
    try:
        assert folders.make_short() == folders.door() == folders.short()
        assert mode(folders.short()) == 0o700
    finally:
        folders.clear_short()
    assert not folders.short().exists()
    folders.short().symlink_to(state)
    try:
        for refused in (folders.door, folders.make_short, folders.clear_short):
            with pytest.raises(EngineError, match="is not a folder of ours"):
                refused()
    finally:
        folders.short().unlink()


def test_a_damaged_record_is_told_and_set_aside(tmp_path: Path) -> None:
    """Reading it names the file; looking at all goes on with the others, and keeps what was there."""
    records = Records(tmp_path)
    for name in ("web", "other"):
        (tmp_path / name).mkdir()
        records.write(Record(wanted=UNIT.model_copy(update={"unit": name})))
    file = tmp_path / "web" / "record.json"
    for number, text in enumerate(("{half", "{}", "\x00"), 1):
        file.write_text(text)
        with pytest.raises(EngineError, match="is damaged") as error:
            records.read("web")
        assert (error.value.code, error.value.subject) == ("BLU713", str(file))
        assert isinstance(error.value.__cause__, ValidationError)
        with records.locked("web"):
            assert records.all().keys() == {"other"}
            assert file.exists()  # who has the lock mends it
        assert records.all().keys() == {"other"}
        assert (tmp_path / "web" / f"record.json.damaged-{number}").read_text() == text
        assert records.read("web") is None


def test_known_units_have_a_record_or_files(tmp_path: Path) -> None:
    """Also one whose record was set aside; not one that was removed, of which the lock and the home stay."""
    records = Records(tmp_path)
    for path in ("recorded", "orphan/b", "removed/home"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "recorded" / "record.json").write_text("{}")
    (tmp_path / "removed" / "record.json.damaged-1").write_text("{}")
    assert records.known() == {"recorded", "orphan"}


def test_secrets_are_masked_before_lines_are_cut(tmp_path: Path) -> None:
    """A secret at the place of the cut, one of several lines, and one as JSON or a URL shows it."""
    values = {"long": "s3cret" * 20, "key": "BEGIN\nfirst-line\nsecond-line\n}\n", "odd": 'a/"b" c&d'}
    secrets = Secrets(values.__getitem__)
    for name in values:
        secrets(name)
    log = tmp_path / "log"
    log.write_text("x" * 290 + values["long"] + "\n" + values["key"] + 'a%2F%22b%22%20c%26d and "a/\\"b\\" c&d" }\n')
    shown = health.last_lines(log, count=9, mask=secrets.mask)
    assert shown.startswith("x" * 290 + "***")
    assert [word for word in ("s3c", "first", "second", "%2F", "b\\") if word in shown] == []
    assert shown.endswith('*** and "***" }')
    assert secrets.mask("only the second-line of it") == "only the *** of it"


def test_the_beginning_of_a_long_log_is_left_out_by_whole_lines(tmp_path: Path) -> None:
    """What is cut off in front is no half of a secret."""
    secrets = Secrets(lambda _: "s3cret" * 20)
    secrets("x")
    log = tmp_path / "log"
    end = "\nlast\n"
    log.write_text("s3cret" * 20 + "y" * (health.TAIL - len(end) - 10) + end)
    assert health.last_lines(log, mask=secrets.mask) == "last"


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("initdb: error: could not write: No space left on device\ninitdb: removing contents of data directory\n",
         "initdb: error: could not write: No space left on device"),
        ("creating files\nFATAL:  it is so\nHINT: x\n", "FATAL:  it is so"),
        ("one\nlast words\n", "last words"),
    ],
)  # fmt: skip
def test_the_line_that_says_why(printed: str, told: str) -> None:
    """Tools tidy up after they failed: the first line of an error counts, else the last one."""
    assert helpers.telling(Completed(1, b"", printed.encode())) == told


def test_ports_of_root_for_services_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may listen on 443 and so thinks it free; the service may not, and that is told before anything stops."""
    monkeypatch.setattr(ports, "first_open", lambda: 1024)
    monkeypatch.setattr(ports, "is_free", lambda *_: True)
    with pytest.raises(EngineError, match=r"port 443 \(https\) needs root, and services run as nobody") as error:
        ports.require_free("caddy", "https", Port(fixed=443), (), "nobody")
    assert error.value.code == "BLU704"
    ports.require_free("caddy", "https", Port(fixed=443), ())
    ports.require_free("caddy", "https", Port(fixed=8443), (), "nobody")


def test_the_cache_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller starts in another folder than the person who named the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUMEOPS_CACHE", "some/cache")
    assert cache_folder() == tmp_path / "some" / "cache"


@pytest.mark.parametrize("whole", [True, False])
def test_a_copied_program_can_be_run_by_others(tmp_path: Path, whole: bool) -> None:
    """Whatever the umask is, services that run as another user can enter every folder of the copy."""
    package = tmp_path / "closed" / "package"
    (package / "bin").mkdir(parents=True)
    (package / "lib" / "deep").mkdir(parents=True)
    for file in ("bin/tool", "lib/deep/data"):
        (package / file).write_text("#!/bin/sh\n")
        (package / file).chmod(0o755)
    contents = (package,) if whole else (package / "bin/tool", package / "lib/deep/data")
    source = Source(kind="wheel", name="package")
    program = Program(package / "bin", "1.0", source, (package / "lib",), contents)
    into = tmp_path / "into"
    into.mkdir()
    before = os.umask(0o077)
    try:
        copy = copied(program, into)
    finally:
        os.umask(before)
    assert copy.binary("tool").read_text() == "#!/bin/sh\n"
    assert copy.libraries == (into / "wheel-package-1.0" / "lib",)
    for path in (into / "wheel-package-1.0").rglob("*"):
        assert path.stat().st_mode & 0o055 == 0o055, path
    assert (into / "wheel-package-1.0").stat().st_mode & 0o055 == 0o055


@pytest.mark.parametrize(
    ("lines", "printed", "shown"),
    [
        ("listening\nno more memory\n", 1000.0, "listening | no more memory"),
        ("listening\nGET /\n", 900.0, ""),
        ("time=1970-01-01T00:15:00Z listening\n", 1000.0, ""),
        ("time=1970-01-01T00:15:00Z one\npanic: disk\n  full\n", 1000.0, "panic: disk | full"),
        ("time=1970-01-01T00:15:00Z one\ntime=1970-01-01T00:16:39Z no room\n", 1000.0,
         "time=1970-01-01T00:16:39Z no room"),
    ],
)  # fmt: skip
def test_only_what_was_printed_at_its_end_is_a_reason(tmp_path: Path, lines: str, printed: float, shown: str) -> None:
    """Neither the lines of a log that was silent then, nor those that say that they are older."""
    log = tmp_path / "web.log"
    log.write_text(lines)
    os.utime(log, (printed, printed))
    assert health.last_lines(log, ended=1000.0) == shown
    assert health.last_lines(log) != ""
