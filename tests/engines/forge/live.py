"""The forge as the controller runs it, in a thread of the test, and the real git client beside it."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from starlette.applications import Starlette

from blumeops.forge import gate, http, tokens
from blumeops.forge.gate import Looked, Update
from blumeops.forge.repository import Repository
from blumeops.forge.serve import serve
from tests.eventually import eventually
from tests.ports import free_port


def accept(repository: Repository, old: str | None, new: str, env: Mapping[str, str]) -> Generator[str, None, bool]:
    """The gate that lets everything in."""
    yield "looked"
    return True


def unsearched(repository: Repository, updates: Sequence[Update], env: Mapping[str, str]) -> Looked:
    """The search that looks through nothing."""
    return Looked()


async def settled(revision: str) -> AsyncIterator[str]:
    """The report of a lab that has nothing to do."""
    yield f"settled at {revision[:7]}"


@dataclass
class Live:
    """A running forge; `examine` and `follow` may be replaced at any time."""

    state: Path
    port: int
    token: str
    repository: Repository
    examine: gate.Examine = accept
    follow: gate.Follow = settled
    search: gate.Search = unsearched
    pushes: int = 0

    @classmethod
    @contextmanager
    def started(cls, state: Path) -> Iterator[Live]:
        """Serve until the block ends; then no process of the forge may be left."""
        before = {child.pid for child in psutil.Process().children(recursive=True)}
        repository = Repository.create_or_open(state / "forge" / "lab.git", state / "control.sock")
        live = cls(state, free_port(), tokens.read_or_make(state), repository)
        ready, over = threading.Event(), []

        async def run() -> None:
            stop, listening = asyncio.Event(), asyncio.Event()
            over.append((asyncio.get_running_loop(), stop))
            serving = asyncio.create_task(live.serve(stop, listening))
            await listening.wait()
            ready.set()
            await serving

        thread = threading.Thread(target=asyncio.run, args=[run()])
        thread.start()
        assert ready.wait(10)
        try:
            yield live
        finally:
            loop, stop = over[0]
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            assert not thread.is_alive()
            gc.collect()  # a pipe or socket that is still open warns here, in its own test
            eventually(lambda: {child.pid for child in psutil.Process().children(recursive=True)} <= before)
            assert not list((repository.path / "objects").glob("*incoming-*"))
            assert not list(repository.path.rglob("*.lock"))

    async def serve(self, stop: asyncio.Event, ready: asyncio.Event) -> None:
        """Both doors, as `app.py` opens them."""
        hooks = Starlette(routes=gate.routes(self.repository, self._examine, self._follow, self.search))
        forge = http.application(self.repository, self.token, self._pushed)
        await serve(forge, self.port, hooks, self.state / "control.sock", stop, ready)

    def url(self, *, with_token: bool = False, token: str = "") -> str:
        """The repository's address."""
        login = f"me:{token or self.token}@" if with_token or token else ""
        return f"http://{login}localhost:{self.port}/lab.git"

    def _examine(
        self, repository: Repository, old: str | None, new: str, env: Mapping[str, str]
    ) -> Generator[str, None, bool]:
        return self.examine(repository, old, new, env)

    def _follow(self, revision: str) -> AsyncIterator[str]:
        return self.follow(revision)

    def _pushed(self) -> None:
        self.pushes += 1


@dataclass
class Client:
    """The real git, in one work tree, with nobody's configuration."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def env(self) -> dict[str, str]:
        """Also for programs beside git."""
        who = {f"GIT_{role}_{part}": "me@x" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        config = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C", **config, **who, **self.extra}

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run git; a failure is the test's to judge."""
        argv = ["git", *arguments]
        return subprocess.run(argv, cwd=self.folder, env=self.env, input=stdin, capture_output=True, timeout=50)

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git, which must succeed; its output."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(errors="surrogateescape").strip()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start git in a process group of its own, its stderr line by line."""
        return subprocess.Popen(
            ["git", *arguments], cwd=self.folder, env=self.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip

    def commit(self, path: str, data: bytes, message: str = "change") -> str:
        """Commit one file; the revision."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(data)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def blob(self, data: bytes) -> str:
        """Store a blob; its name."""
        return self.git("hash-object", "-w", "--stdin", stdin=data)

    def commit_raw(self, entries: list[tuple[str, str, str]]) -> str:
        """A commit of (mode, object, path) as they are, with names that no file system would take."""
        index = Client(self.folder, self.extra | {"GIT_INDEX_FILE": str(self.folder / ".git" / "raw-index")})
        lines = "".join(f"{mode} {name}\t{path}\0" for mode, name, path in entries)
        index.git("update-index", "-z", "--index-info", stdin=lines.encode("utf-8", "surrogateescape"))
        return self.git("commit-tree", "-m", "raw", index.git("write-tree"))

    def push(self, what: str = "HEAD:refs/heads/main", *options: str) -> tuple[int, str]:
        """Push to the forge: exit code, and what the person sees."""
        done = self.run("push", *options, "origin", what)
        return done.returncode, done.stderr.decode(errors="replace")
