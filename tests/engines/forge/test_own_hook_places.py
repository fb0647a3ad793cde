"""Where the hook goes, beside what is there already, and what it does when it cannot judge: it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import blumeops as package
from blumeops.forge import own_hook
from blumeops.forge.hook_place import locate
from tests.engines.forge.hooked import Hooked, blumeops
from tests.engines.forge.live import Client
from tests.eventually import eventually

BAD = "fever: {app: miniflux, hosts: server}\n"
OWN = "#!/bin/sh\n# mine\ncat >>{seen}\n"


@pytest.fixture
def hooked(tmp_path: Path) -> Hooked:
    """An empty bare repository, without a hook."""
    return Hooked.made(tmp_path, install=False)


def write(path: Path, text: str, mode: int = 0o755) -> Path:
    """A file that may be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def with_program(hooked: Hooked, path: Path, body: str) -> Path:
    """A hook whose interpreter is this shell script, which may hand over to the real one: `exec $REAL "$@"`."""
    write(path, f"#!/bin/sh\nREAL={sys.executable}\n{body}\n")
    program = [str(path), "-I", "-m", "blumeops.app.push_gate"]
    return own_hook.install(locate(hooked.bare), "refs/heads/main", program, Path(package.__file__).parent).path


# beside what is there


def test_a_hook_of_ones_own_stays(hooked: Hooked, tmp_path: Path) -> None:
    """It is refused with the way to have both, which then works: both are asked, and only ours goes again."""
    seen = tmp_path / "seen"
    own = write(hooked.bare / "hooks/pre-receive", OWN.format(seen=seen))
    said = blumeops("hook", "install", hooked.bare, code=1)
    assert "BLU652" in said
    assert "pre-receive.d/" in said
    assert own.read_text() == OWN.format(seen=seen)
    (hooked.bare / "hooks/pre-receive.d").mkdir()
    own.rename(hooked.bare / "hooks/pre-receive.d/own")
    blumeops("hook", "install", hooked.bare)
    hooked.push()
    assert seen.read_text() == f"{'0' * 40} {hooked.at()} refs/heads/main\n"
    hooked.client.commit("services/bad.yaml", BAD.encode())
    assert "BLU101" in hooked.push(code=1)
    write(hooked.bare / "hooks/pre-receive.d/own", "#!/bin/sh\nexit 3\n")
    hooked.client.git("reset", "-q", "--hard", "HEAD~1")
    hooked.change()
    hooked.push(code=1)
    blumeops("hook", "remove", hooked.bare)
    hooks = hooked.bare / "hooks"
    assert (hooks / "pre-receive").is_file(), "what is left in the folder is still called"
    assert [path.name for path in (hooks / "pre-receive.d").iterdir()] == ["own"]
    hooked.push(code=1)


def test_installed_twice_is_installed_once(hooked: Hooked) -> None:
    """The second time it is written anew, with what is said then; removed, nothing of ours is left."""
    before = sorted((hooked.bare / "hooks").iterdir())
    blumeops("hook", "install", hooked.bare, "--branch", "other")
    blumeops("hook", "install", hooked.bare, "--fail-on-exposure")
    found = json.loads(blumeops("hook", "status", hooked.bare, "--json"))
    assert found == {
        "version": 1, "repository": str(hooked.bare), "bare": True, "hook": str(hooked.bare / "hooks/pre-receive"),
        "branch": "refs/heads/main", "fail_on_exposure": True, "problem": "",
    }  # fmt: skip
    blumeops("hook", "remove", hooked.bare)
    assert sorted((hooked.bare / "hooks").iterdir()) == before
    assert "no hook of ours" in blumeops("hook", "status", hooked.bare, code=1)
    blumeops("hook", "remove", hooked.bare)


@pytest.mark.parametrize("where", ["pre-receive", "pre-receive.d", "pre-receive.d/blumeops"])
def test_a_link_is_not_written_through(hooked: Hooked, tmp_path: Path, where: str) -> None:
    """Links in place of the hook, of its folder or of our file belong to somebody else, wherever they lead."""
    target = tmp_path / "elsewhere"
    if where == "pre-receive.d":
        target.mkdir()
    else:
        write(target, "#!/bin/sh\n# blumeops gate: pre-receive refs/heads/main\n")
    link = hooked.bare / "hooks" / where
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    assert "BLU652" in blumeops("hook", "install", hooked.bare, code=1)
    assert link.is_symlink()
    assert target.is_dir() or "Written" not in target.read_text()


def test_where_it_does_not_belong(hooked: Hooked, tmp_path: Path, state: Path) -> None:
    """No repository, the forge of a site, SHA-256, a branch that is none: one line each, and nothing is written."""
    (tmp_path / "nothing").mkdir()
    forge = state / "forge.git"
    subprocess.run(["git", "init", "-q", "--bare", forge], check=True)
    (forge / "blumeops.config").touch()
    subprocess.run(["git", "init", "-q", "--bare", "--object-format=sha256", state / "256.git"], check=True)
    cases = {tmp_path / "nothing": "BLU650", tmp_path / "gone": "BLU650", forge: "BLU654", state / "256.git": "BLU654"}
    for folder, code in cases.items():
        said = blumeops("hook", "install", folder, code=1)
        assert said.startswith(f"blumeops: {code} ")
        assert len(said.splitlines()) == 1
    assert "BLU655" in blumeops("hook", "install", hooked.bare, "--branch", "a b;c", code=1)
    assert not (hooked.bare / "hooks/pre-receive").exists()


# in a clone


def test_a_clone_judges_what_leaves_it(hooked: Hooked) -> None:
    """Only what goes to the lab's branch; --no-verify goes past it."""
    blumeops("hook", "install", hooked.client.folder)
    assert "plan: 3 units change" in hooked.push()
    hooked.change()
    assert "POLLING_FREQUENCY: 60 → 30" in hooked.push()
    hooked.client.commit("services/bad.yaml", BAD.encode())
    said = hooked.push(code=1)
    assert "services/bad.yaml:1:24: BLU101" in said
    assert "refused: 2 errors; main stays where it was" in said
    hooked.push("HEAD:refs/heads/idea", "HEAD:refs/tags/t")
    hooked.push(":refs/heads/idea")
    hooked.push("--no-verify", "HEAD:refs/heads/main")


def test_a_clone_keeps_a_secret_that_a_later_commit_takes_out(hooked: Hooked) -> None:
    """Whatever ref it would leave by; what the remote has already is not held against a push."""
    blumeops("hook", "install", hooked.client.folder)
    hooked.push()
    token = "ghp_" + "1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT1uV2wX"
    hooked.client.commit("notes.md", f"token = {token}\n".encode())
    hooked.client.commit("notes.md", b"gone\n")
    for ref in ("main", "heads/idea", "tags/t"):
        said = hooked.push(f"HEAD:refs/{ref.replace('main', 'heads/main')}", code=1)
        assert "notes.md:1:" in said
        assert "BLU521" in said
        assert token not in said
    hooked.push("--no-verify", "HEAD:refs/heads/main")
    hooked.push("HEAD:refs/heads/idea", "HEAD:refs/tags/t")


def test_a_clone_that_does_not_know_what_is_there(hooked: Hooked, tmp_path: Path) -> None:
    """The branch has moved meanwhile: there is nothing to compare with, so what must be compared is refused."""
    hooked.push()
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", hooked.bare, other], check=True)
    hooked.change()
    hooked.push()
    blumeops("hook", "install", other, "--fail-on-exposure")
    there = Hooked(hooked.bare, Client(other, dict(hooked.client.extra)))
    there.change(new="polling: 20m")
    assert "is not here: git fetch" in there.push("+HEAD:refs/heads/main", code=1)


def test_the_hooks_folder_of_a_clone(hooked: Hooked) -> None:
    """core.hooksPath of the clone counts; from a work tree beside it, and from a folder in it, it is the same hook."""
    client = hooked.client
    client.git("config", "core.hooksPath", "my hooks")
    (client.folder / "below").mkdir()
    blumeops("hook", "install", client.folder / "below")
    assert (client.folder / "my hooks/pre-push").is_file()
    client.git("worktree", "add", "-q", "--detach", "../beside")
    client.git("config", "--unset", "core.hooksPath")
    shutil.rmtree(client.folder / "my hooks")
    blumeops("hook", "install", client.folder.parent / "beside")
    assert (client.folder / ".git/hooks/pre-push").is_file()
    beside = Hooked(hooked.bare, Client(client.folder.parent / "beside", client.extra))
    beside.client.commit("services/bad.yaml", BAD.encode())
    assert "BLU101" in beside.push(code=1)


def test_a_hooks_folder_of_every_repository_is_left_alone(hooked: Hooked, tmp_path: Path) -> None:
    """A gate of one lab there would refuse what is no lab."""
    config = tmp_path / "config"
    config.write_text(f"[core]\n\thooksPath = {tmp_path}/hooks\n")
    said = blumeops("hook", "install", hooked.client.folder, code=1, GIT_CONFIG_GLOBAL=str(config))
    assert "BLU651" in said
    assert not (tmp_path / "hooks").exists()


def test_what_init_wrote_before_is_written_anew(hooked: Hooked) -> None:
    """A hook of `init --hook` of an older version is ours."""
    text = "#!/bin/sh\n# Refuses a push to main of a lab that does not pass `blumeops check`. Written\n"
    old = write(hooked.client.folder / ".git/hooks/pre-push", text)
    assert "install it again" in blumeops("hook", "status", hooked.client.folder, code=1)
    blumeops("hook", "install", hooked.client.folder)
    assert "push_gate" in old.read_text()


# when it cannot judge


def test_a_gate_that_is_gone_refuses(hooked: Hooked, tmp_path: Path) -> None:
    """BlumeOps is not there any more, or its package is not: every push is refused, and the way out is said."""
    program = tmp_path / "bin/python"
    with_program(hooked, program, 'exec "$REAL" "$@"')
    hooked.push()
    hooked.change()
    program.unlink()
    said = hooked.push(code=1)
    assert f"refused: BlumeOps is not at {program} any more" in said
    assert "nobody checked this push" in said
    assert "blumeops hook remove" in said
    assert "is not on this machine" in blumeops("hook", "status", hooked.bare, code=1)
    write(program, "#!/bin/sh\nexit 1\n")  # as an interpreter that does not find the package
    assert "refused: the gate ended with status 1: nobody checked this push" in hooked.push(code=1)


def test_a_gate_that_is_killed_refuses(hooked: Hooked, tmp_path: Path) -> None:
    """The program alone, or the hook with it, at whatever moment: nothing lands."""
    script = with_program(hooked, tmp_path / "python", "case $* in *-c*) exit 0 ;; esac\nkill -9 $$")
    assert "refused: the gate ended with status 137" in hooked.push(code=1)
    assert hooked.at() == ""
    started = tmp_path / "started"
    write(tmp_path / "python", f"#!/bin/sh\necho $PPID >{started}\nexec sleep 2\n")
    pushing = hooked.client.start("push", "origin", "HEAD:refs/heads/main")
    eventually(lambda: started.is_file() and started.read_text())
    os.kill(int(started.read_text()), signal.SIGKILL)
    _, said = pushing.communicate(timeout=20)
    assert pushing.returncode == 1, said
    assert hooked.at() == ""
    for left in Path(os.environ["TMPDIR"]).glob("tmp.*"):
        shutil.rmtree(left)  # of the hook that could not clear up
    time.sleep(2)
    assert script.is_file()


def test_a_full_disk_refuses(hooked: Hooked, tmp_path: Path) -> None:
    """No folder for the checkout, or no room in it: refused in one line, not accepted unseen."""
    blumeops("hook", "install", hooked.bare)
    hooked.client.extra["TMPDIR"] = str(tmp_path / "nowhere")
    assert "refused: no folder for temporary files: nobody checked this push" in hooked.push(code=1)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        hooked.client.extra["TMPDIR"] = str(disk)
        hooked.client.commit("notes.md", b"x" * (200 << 10))
        said = hooked.push(code=1)
        assert "No space left on device" in said
        assert "refused: 1 error; main stays where it was" in said
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_hook_that_somebody_damaged_is_told(hooked: Hooked) -> None:
    """A quote without its end: status says so; installed again, it judges."""
    blumeops("hook", "install", hooked.bare)
    path = hooked.bare / "hooks/pre-receive"
    path.write_text(re.sub(r"(?m)^program=.*", "program='x", path.read_text()))
    assert "does not judge: it is of an older BlumeOps, or damaged" in blumeops("hook", "status", hooked.bare, code=1)
    blumeops("hook", "install", hooked.bare)
    blumeops("hook", "status", hooked.bare)


def test_a_hook_that_git_does_not_call_is_told(hooked: Hooked) -> None:
    """Without the right to be run Git goes past it in silence: status says so."""
    blumeops("hook", "install", hooked.bare)
    (hooked.bare / "hooks/pre-receive").chmod(0o644)
    assert "Git does not ask" in blumeops("hook", "status", hooked.bare, code=1)


# another account


@pytest.fixture
def system(state: Path) -> Path:
    """An interpreter that every account may run, with BlumeOps in it."""
    python = Path("/usr/bin/python3")
    if os.geteuid() != 0:
        pytest.skip("only root can push as another user")
    asked = subprocess.run([python, "-V"], capture_output=True, text=True, check=False) if python.exists() else None
    if asked is None or not asked.stdout.startswith(f"Python {sys.version_info.major}.{sys.version_info.minor}."):
        pytest.skip("the system has no Python of this version, which another user could run")
    subprocess.run([python, "-m", "venv", "--without-pip", state / "venv"], check=True)
    (site,) = (state / "venv/lib").glob("*/site-packages")
    source = Path(package.__file__).parents[1]
    theirs = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "all.pth").write_text(f"{source}\n{theirs}\n")
    return state / "venv/bin/python"


def test_another_account_pushes(system: Path, state: Path) -> None:
    """nobody's repository, nobody's push, an environment with next to nothing; the hook is nobody's too."""
    hooked = Hooked.made(state, install=False)
    for path in (state, *state.rglob("*")):
        if "venv" not in path.parts and not path.is_symlink():
            os.chown(path, 65534, 65534)
    argv = [str(system), "-I", "-m", "blumeops", "hook", "install", str(hooked.bare)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (hooked.bare / "hooks/pre-receive").stat().st_uid == 65534

    def push(code: int) -> str:
        done = subprocess.run(
            ["/usr/bin/git", "-C", hooked.client.folder, "push", "origin", "HEAD:refs/heads/main"],
            env={"HOME": "/nonexistent", "PATH": "/bin"}, user=65534, group=65534, extra_groups=[],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stderr

    assert "plan: 3 units change" in push(0)
    env = hooked.client.env | {"HOME": "/nonexistent"}
    hooked.services.write_text(hooked.services.read_text() + BAD)
    subprocess.run(
        ["git", "commit", "-qam", "bad"], cwd=hooked.client.folder, env=env, check=True,
        user=65534, group=65534, extra_groups=[],
    )  # fmt: skip
    assert "BLU101" in push(1)


def test_what_another_account_may_not_run_is_not_installed(system: Path, state: Path) -> None:
    """Root's own installation in root's own folder: every push would be refused, so it is said at once."""
    hooked = Hooked.made(state, install=False)
    os.chown(hooked.bare, 65534, 65534)
    closed = state / "closed"
    closed.mkdir(mode=0o700)
    shutil.move(system.parents[1], closed / "venv")
    done = subprocess.run(
        [closed / "venv/bin/python", "-I", "-m", "blumeops", "hook", "install", hooked.bare],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.startswith("blumeops: BLU653 ")) == (1, True), done.stderr
    assert not (hooked.bare / "hooks/pre-receive").exists()
