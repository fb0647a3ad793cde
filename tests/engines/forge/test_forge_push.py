"""Pushes, as the person at the git client sees them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Generator, Mapping
from pathlib import Path

import psutil
import pytest

from blumeops.forge import tokens
from blumeops.forge.repository import Repository
from tests.engines.forge.live import Client, Live, accept
from tests.eventually import eventually


def refuse(repository: Repository, old: str | None, new: str, env: Mapping[str, str]) -> Generator[str, None, bool]:
    """A gate with two findings."""
    yield "lab.yaml:1:1: BLU204 miniflux: reads a name that nobody resolves"
    yield "lab.yaml:2:1: BLU301 minikube: \x1b[31mwaits for itself"
    return False


def test_push_lands_and_shows_gate_and_follow(forge: Live, client: Client) -> None:
    """An accepted push moves main and shows what the gate and the rollout said."""
    code, seen = client.push()
    assert code == 0, seen
    assert forge.repository.head() == client.git("rev-parse", "HEAD")
    assert "remote: looked" in seen
    assert f"remote: settled at {client.git('rev-parse', '--short=7', 'HEAD')}" in seen
    eventually(lambda: forge.pushes)


def test_refused_push_shows_findings_and_moves_nothing(forge: Live, client: Client) -> None:
    """A refused push prints every finding with `remote:`, free of escapes, and main stays where it was."""
    client.push()
    before = forge.repository.head()
    client.commit("lab.yaml", b"lab: broken\n")
    forge.examine = refuse
    code, seen = client.push()
    assert code == 1
    assert "remote: lab.yaml:1:1: BLU204 miniflux" in seen
    assert "remote: lab.yaml:2:1: BLU301 minikube: \\x1b[31mwaits" in seen
    assert "pre-receive hook declined" in seen
    assert forge.repository.head() == before
    assert "settled" not in seen


def test_gate_sees_old_new_and_quarantined_files(forge: Live, client: Client, tmp_path: Path) -> None:
    """The gate can check a revision out before it is accepted, and knows where main was."""
    client.push()
    first, second = forge.repository.head(), client.commit("services/a.yaml", b"caddy: {host: indri}\n")
    seen: list[tuple[str | None, str, bytes]] = []

    def examine(
        repository: Repository, old: str | None, new: str, env: Mapping[str, str]
    ) -> Generator[str, None, bool]:
        repository.export(new, tmp_path / "candidate", env)
        seen.append((old, new, (tmp_path / "candidate/services/a.yaml").read_bytes()))
        yield from accept(repository, old, new, env)
        return True

    forge.examine = examine
    assert client.push()[0] == 0
    assert seen == [(first, second, b"caddy: {host: indri}\n")]


def test_lines_arrive_while_the_work_goes_on(forge: Live, client: Client) -> None:
    """Each line is shown at once: the next one is only said after the client has shown the one before."""
    go_on = [threading.Event(), threading.Event()]

    def examine(
        repository: Repository, old: str | None, new: str, env: Mapping[str, str]
    ) -> Generator[str, None, bool]:
        yield "checking"
        return go_on[0].wait(10)

    async def follow(revision: str) -> AsyncIterator[str]:
        yield "starting"
        yield "healthy" if await asyncio.to_thread(go_on[1].wait, 10) else "too late"

    forge.examine, forge.follow = examine, follow
    with client.start("push", "origin", "HEAD:refs/heads/main") as push:
        assert push.stderr
        for words, event in (("checking", go_on[0]), ("starting", go_on[1])):
            assert any(words in line for line in push.stderr)
            event.set()
        assert "healthy" in push.stderr.read()
    assert push.returncode == 0


def test_broken_gate_refuses(forge: Live, client: Client) -> None:
    """A gate that fails by a bug refuses, says so, and tells nothing of the cause."""

    def examine(
        repository: Repository, old: str | None, new: str, env: Mapping[str, str]
    ) -> Generator[str, None, bool]:
        yield "checking"
        raise RuntimeError("private cause")

    forge.examine = examine
    code, seen = client.push()
    assert code == 1
    assert "remote: refused: BLU699" in seen
    assert "private cause" not in seen
    assert forge.repository.head() is None


def test_silent_controller_refuses(forge: Live, client: Client) -> None:
    """Without the controller's socket nothing lands, not even by a push to the folder itself."""
    (forge.state / "control.sock").unlink()
    for target in (forge.url(with_token=True), str(forge.repository.path)):
        done = client.run("push", target, "HEAD:refs/heads/main")
        assert done.returncode == 1
        assert b"remote: refused: the BlumeOps controller does not answer" in done.stderr
    assert forge.repository.head() is None


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
def test_push_needs_the_token(forge: Live, client: Client, token: str) -> None:
    """Without the token, or with a wrong one, a push is asked for it and nothing moves; reading stays free."""
    client.git("remote", "set-url", "origin", forge.url(token=token))
    code, seen = client.push()
    assert code == 128
    assert "Authentication failed" in seen or "could not read Username" in seen
    assert forge.repository.head() is None
    client.git("ls-remote", forge.url())


def test_credential_helper_pushes_without_asking(forge: Live, client: Client, tmp_path: Path) -> None:
    """A clone configured with the credential helper pushes, and the token stands nowhere in it."""
    client.push()
    helper = tmp_path / "helper.py"
    helper.write_text(
        "import sys; from pathlib import Path; from blumeops.forge.credential import answer\n"
        "if sys.argv[2] == 'get': print(answer(sys.stdin.read(), Path(sys.argv[1])), end='')\n"
    )
    setting = f"credential.helper=!{sys.executable} {helper} {tokens.token_file(forge.state)}"
    client.git("clone", "--quiet", "-c", setting, forge.url(), str(tmp_path / "clone"))
    clone = Client(tmp_path / "clone")
    revision = clone.commit("new.yaml", b"a: 1\n")
    assert clone.push()[0] == 0
    assert forge.repository.head() == revision
    assert forge.token not in (tmp_path / "clone/.git/config").read_text()


def test_other_refs(forge: Live, client: Client) -> None:
    """Branches and tags land ungated; main cannot be deleted; other namespaces are refused; all or nothing."""
    assert client.push()[0] == 0
    forge.examine = refuse
    assert client.push("HEAD:refs/heads/idea")[0] == 0
    assert client.push("HEAD:refs/tags/v1")[0] == 0
    assert client.push(":refs/heads/idea")[0] == 0
    code, seen = client.push(":refs/heads/main")
    assert code == 1
    assert "remote: refused: main is what the lab is made from" in seen
    code, seen = client.push("HEAD:refs/other/x")
    assert code == 1
    assert "neither a branch nor a tag" in seen
    client.commit("lab.yaml", b"lab: two\n")
    done = client.run("push", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/with")
    assert done.returncode == 1
    assert "with" not in client.git("ls-remote", "--heads", "origin").split("refs/heads/")[1:]


def test_two_pushes_at_once(forge: Live, client: Client, tmp_path: Path) -> None:
    """Of two pushes from the same start one lands, the other is told so; main is the winner's."""
    client.push()
    other = Client(tmp_path / "other")
    other.git("clone", "--quiet", forge.url(with_token=True), ".")
    revisions = [client.commit("lab.yaml", b"lab: one\n"), other.commit("lab.yaml", b"lab: two\n")]
    both = threading.Barrier(2)
    codes: dict[int, int] = {}

    def push(which: int, by: Client) -> None:
        both.wait()
        codes[which] = by.push()[0]

    threads = [threading.Thread(target=push, args=pair) for pair in enumerate((client, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes.values()) == [0, 1]
    assert forge.repository.head() == revisions[next(which for which, code in codes.items() if code == 0)]


def test_killed_client_lands_nothing(forge: Live, client: Client) -> None:
    """When the client is killed while the gate examines, the push ends with it: no ref, no process, no leftover."""
    examining, released = threading.Event(), threading.Event()

    def examine(
        repository: Repository, old: str | None, new: str, env: Mapping[str, str]
    ) -> Generator[str, None, bool]:
        yield "checking"
        examining.set()
        released.wait(20)
        yield "checked"
        return True

    forge.examine = examine
    with client.start("push", "origin", "HEAD:refs/heads/main") as push:
        assert examining.wait(10)
        os.killpg(push.pid, signal.SIGKILL)
    try:
        eventually(lambda: forge.pushes)
        names = [child.name() for child in psutil.Process().children(recursive=True)]
        assert not [name for name in names if name.startswith("git")], names
    finally:
        released.set()
    assert forge.repository.head() is None
    forge.examine = accept
    assert client.push()[0] == 0


def test_shallow_partial_and_old_clones(forge: Live, client: Client, tmp_path: Path) -> None:
    """Shallow, partial (blobs on demand), protocol 0 and protocol 2 clients are all served; a shallow one may push."""
    client.push()
    for number in range(5):
        client.commit("lab.yaml", b"lab: %d\n" % number)
    client.push()
    shallow = Client(tmp_path / "shallow")
    shallow.git("clone", "--quiet", "--depth=1", forge.url(with_token=True), ".")
    assert shallow.git("rev-list", "--count", "HEAD") == "1"
    revision = shallow.commit("lab.yaml", b"lab: shallow\n")
    assert shallow.push()[0] == 0
    assert forge.repository.head() == revision
    partial = Client(tmp_path / "partial")
    partial.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", forge.url(), ".")
    missing = partial.git("rev-list", "--objects", "--missing=print", "HEAD")
    assert "?" in missing
    assert partial.git("show", "HEAD:lab.yaml") == "lab: shallow"
    for version in ("0", "2"):
        old = Client(tmp_path / f"v{version}", {"GIT_TRACE_PACKET": "1"})
        done = old.run("-c", f"protocol.version={version}", "clone", "--quiet", forge.url(), ".")
        assert done.returncode == 0
        assert (b"version 2" in done.stderr) == (version == "2")


def test_large_push_and_fetch(forge: Live, client: Client, tmp_path: Path) -> None:
    """A push of 40 MB in a chunked body, within all limits of git's memory, lands and can be cloned."""
    for number in range(10):
        (client.folder / f"{number}.bin").write_bytes(os.urandom(4 << 20))
    client.commit("lab.yaml", b"lab: large\n")
    code, seen = client.push()
    assert code == 0, seen
    client.git("clone", "--quiet", forge.url(), str(tmp_path / "clone"))
    assert (tmp_path / "clone/9.bin").read_bytes() == (client.folder / "9.bin").read_bytes()


def test_many_pushes_are_collected(forge: Live, client: Client) -> None:
    """Packs do not pile up: git's own collection runs within the request once there are too many."""
    client.git("config", "--file", str(forge.repository.path / "config"), "gc.autoPackLimit", "3")
    for number in range(6):
        client.commit("lab.yaml", b"lab: %d\n" % number)
        assert client.push()[0] == 0
    assert len(list((forge.repository.path / "objects/pack").glob("*.pack"))) <= 4
    assert (
        subprocess.run(["git", "fsck"], cwd=forge.repository.path, capture_output=True, env=client.env).returncode == 0
    )
