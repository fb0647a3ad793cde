"""The repository elsewhere that a lab follows: what its branch is at, fetching it, and pushing our own commits there.

What enters: an address that `lab.remotes` has read, and a token. What leaves: revisions, in a quarantine of their own
until somebody has looked at them. What a remote sends is hostile: each git runs in a process group of its own, with
limits on time, memory and the size of files, over the address's own protocol and no other, without redirects and
without anybody's configuration. The token is in the environment of git and of the helper that git asks for it; never in
an argument, an address or a message.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from blumeops.base.errors import BlumeError, Unavailable
from blumeops.base.files import cannot_write
from blumeops.forge.git import commit_id, environment, limited, printable
from blumeops.forge.repository import FETCHED, PUSH_BYTES, Repository
from blumeops.lab.remotes import parse_remote

ASK_SECONDS = 30.0
FETCH_SECONDS = 120.0
_ANSWER = 64 << 10
"""Bytes of an answer, or of complaints, that are read."""
_STEP = 0.2
"""Seconds between two looks at whether anybody still waits."""
_SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15"
_HELPER = """!f() { [ "$1" != get ] || printf 'username=blumeops\\npassword=%s\\n' "$BLUMEOPS_REMOTE_TOKEN"; }; f"""


@dataclass(frozen=True, slots=True)
class Remote:
    """Address, branch (short) and token of what is followed; without a token nothing is asked for one."""

    url: str
    branch: str
    token: str = field(default="", repr=False)
    given_up: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)
    """Set by whoever cannot wait any longer: what is under way ends at once."""

    @property
    def ref(self) -> str:
        """The branch's full name."""
        return f"refs/heads/{self.branch}"


def head(repository: Repository, remote: Remote) -> str | None:
    """The revision that the remote's branch is at; None where it has no such branch. Raises Unavailable `BLU624`."""
    answer = _git(repository, remote, "ls-remote", "--end-of-options", remote.url, remote.ref, seconds=ASK_SECONDS)
    for line in answer.decode(errors="replace").splitlines():
        name, _, ref = line.partition("\t")
        if ref == remote.ref:
            return _their(name, remote)
    return None


@contextmanager
def fetched(repository: Repository, remote: Remote) -> Iterator[tuple[str, dict[str, str]]]:
    """Fetch the branch: its revision, and the environment in which git sees the quarantine that holds it.

    The quarantine goes with the block, unless `keep` took it over. Raises Unavailable `BLU624`, EngineError `BLU903`.
    """
    try:
        quarantine = Path(tempfile.mkdtemp(prefix=FETCHED, dir=repository.path / "objects"))
    except OSError as error:
        raise cannot_write(repository.path, error) from error
    env = {
        "GIT_OBJECT_DIRECTORY": str(quarantine),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(repository.path / "objects"),
    }
    news = repository.path / "FETCH_HEAD"
    try:
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance", "--refmap=")
        _git(
            repository, remote, "-c", "fetch.unpackLimit=1", "fetch", *options, "--end-of-options", remote.url,
            remote.ref, seconds=FETCH_SECONDS, env=env,
        )  # fmt: skip
        yield _their(news.read_text().partition("\t")[0], remote), env
    finally:
        news.unlink(missing_ok=True)
        shutil.rmtree(quarantine, ignore_errors=True)


def keep(repository: Repository, env: Mapping[str, str]) -> None:
    """Make what is in the quarantine part of the repository. An index comes last: git finds a pack by it."""
    packs = Path(env["GIT_OBJECT_DIRECTORY"]) / "pack"
    into = repository.path / "objects" / "pack"
    try:
        for suffix in (".pack", ".rev", ".idx"):
            for file in packs.glob(f"*{suffix}"):
                file.rename(into / file.name)
    except OSError as error:
        raise cannot_write(into, error) from error


def push(repository: Repository, remote: Remote, revision: str) -> None:
    """Move the remote's branch on to `revision`, which follows from it. Raises Unavailable `BLU624`."""
    arguments = (
        "push",
        "--quiet",
        "--no-verify",
        "--end-of-options",
        remote.url,
        f"{commit_id(revision)}:{remote.ref}",
    )
    _git(repository, remote, *arguments, seconds=FETCH_SECONDS)


def _their(name: str, remote: Remote) -> str:
    try:
        return commit_id(name)
    except BlumeError as error:
        raise _away(remote, "answers with something that is no revision") from error


def _git(
    repository: Repository, remote: Remote, *arguments: str, seconds: float, env: Mapping[str, str] | None = None
) -> bytes:
    """What git prints, of which `_ANSWER` bytes count; its complaints become the error's words."""
    argv = ["git", f"--git-dir={repository.path}", *arguments]
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            limited(argv, PUSH_BYTES), stdin=subprocess.DEVNULL, stdout=answer, stderr=complaints,
            env=environment(_env(remote) | dict(env or {})), start_new_session=True,
        ) as process:  # fmt: skip
            try:
                code = _wait(process, remote, seconds)
            finally:
                _end_group(process)
        if code == 0:
            answer.seek(0)
            return answer.read(_ANSWER)
        complaints.seek(0)
        raise _away(remote, _words(complaints.read(_ANSWER).decode(errors="replace")))


def _wait(process: subprocess.Popen[bytes], remote: Remote, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return process.wait(_STEP)
        except subprocess.TimeoutExpired as error:
            if remote.given_up.is_set():
                raise _away(remote, "was not waited for: the controller ends") from error
            if time.monotonic() > deadline:
                raise _away(remote, f"does not answer within {seconds:g} s") from error


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End git and what it started (transports, index-pack): they do not end by themselves when the remote is silent."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _env(remote: Remote) -> dict[str, str]:
    scheme = parse_remote(remote.url).scheme
    settings = {"http.followRedirects": "false", "http.lowSpeedLimit": "100", "http.lowSpeedTime": "20"}
    settings |= {"credential.helper": "", "protocol.allow": "never", f"protocol.{scheme}.allow": "always"}
    pairs = list(settings.items())
    if remote.token and scheme in {"https", "http"}:
        pairs.append(("credential.helper", _HELPER))
    found = {"GIT_CONFIG_COUNT": str(len(pairs)), "GIT_ALLOW_PROTOCOL": scheme, "GIT_SSH_COMMAND": _SSH}
    for number, (name, value) in enumerate(pairs):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    if remote.token:
        found["BLUMEOPS_REMOTE_TOKEN"] = remote.token
    # Certificates of a forge of one's own, and the agent that has the SSH key: the person's, for this alone.
    found |= {name: os.environ[name] for name in ("GIT_SSL_CAINFO", "SSH_AUTH_SOCK") if name in os.environ}
    return found


def _words(complaints: str) -> str:
    """The line that says why: git ends with advice, and begins with what others said."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    if any("File too large" in line or "signal 25" in line for line in lines):
        return f"sends more than {PUSH_BYTES >> 20} MiB"
    if any("index-pack" in line for line in lines):  # git does not pass on why its own child ended
        return f"sends what cannot be taken: more than {PUSH_BYTES >> 20} MiB, or damaged objects"
    for mark in ("fatal: ", "error: ", "remote: ", "! [", ""):
        for line in lines:
            if line.startswith(mark) and "Could not read from remote repository" not in line:
                return printable(line.removeprefix("fatal: ").removeprefix("error: "))[:300]
    return "git says nothing"


def _away(remote: Remote, words: str) -> Unavailable:
    return Unavailable("BLU624", printable(remote.url), words)
