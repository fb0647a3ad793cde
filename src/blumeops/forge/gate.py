"""The server's side of the hooks: which pushes land, and what the person who pushed sees meanwhile.

What enters: a hook's question on the controller's unix socket. What leaves: lines, as they come, and the exit
status. Every branch is looked at by `inspect`, and all that is new is searched; only `main` is examined before it lands
and followed after it.
A question whose asker goes away is dropped: nobody is told yes any more.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from blumeops.base.errors import BlumeError
from blumeops.base.findings import Finding, errors
from blumeops.forge.git import ZERO, printable
from blumeops.forge.history import BRANCH
from blumeops.forge.hook_client import QUARANTINE, SHOWN, STATUS
from blumeops.forge.inspect import look
from blumeops.forge.repository import Repository

Update = tuple[str, str, str]
"""Old and new revision, and the full name of the ref."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a search found, and what a person must know of what it did not look through."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


Examine = Callable[[Repository, str | None, str, Mapping[str, str]], Generator[str, None, bool]]
"""(repository, main's revision or None, the pushed one, environment of its quarantine): yields lines for the
person, returns whether the revision may land. Runs in a thread of its own, one push at a time."""

Search = Callable[[Repository, Sequence[Update], Mapping[str, str]], Looked]
"""(repository, updates, environment of their quarantine): what of it nobody may have. Runs beside the examination."""

Follow = Callable[[str], AsyncIterator[str]]
"""(main's new revision): lines that tell how it is applied, until it has settled."""

SELDOM = 10.0
"""Seconds between two lines about how far something is."""
_UPDATE = re.compile(r"([0-9a-f]{40}) ([0-9a-f]{40}) (refs/\S+)\Z")

log = logging.getLogger(__name__)


Closed = Callable[[], str]
"""Why no push is taken now; empty while pushes are."""


def routes(
    repository: Repository, examine: Examine, follow: Follow, search: Search, closed: Closed = lambda: ""
) -> list[Route]:
    """The routes that the hooks ask, for the application behind the unix socket."""
    one_at_a_time = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gate")

    async def pre_receive(request: Request) -> Response:
        env, updates = _question(repository, await request.body())
        judged = _refuse(reason) if (reason := closed()) else judge(repository, updates, env, examine, search)
        return StreamingResponse(_in_thread(one_at_a_time, judged), media_type="text/plain")

    async def post_receive(request: Request) -> Response:
        _, updates = _question(repository, await request.body())
        landed = [new for _, new, ref in updates if ref == BRANCH and new != ZERO]
        return StreamingResponse(_followed(landed, follow), media_type="text/plain")

    return [
        Route("/hooks/pre-receive", pre_receive, methods=["POST"]),
        Route("/hooks/post-receive", post_receive, methods=["POST"]),
    ]


def _question(repository: Repository, body: bytes) -> tuple[dict[str, str], list[Update]]:
    """The quarantine's environment and the updates (old, new, ref). A line that is neither gives a 400."""
    about, _, lines = body.decode("utf-8", "surrogateescape").partition("\n\n" if not body.startswith(b"\n") else "\n")
    env = dict(line.partition("=")[::2] for line in about.splitlines())
    home = repository.path.resolve()
    strange = [
        name for name, value in env.items()
        if name not in QUARANTINE or not all(Path(path).resolve().is_relative_to(home) for path in value.split(":"))
    ]  # fmt: skip
    updates = [_UPDATE.match(line) for line in lines.split("\n") if line]
    if strange or not all(updates):
        raise HTTPException(400, "not a question of our hooks")
    return env, [(match[1], match[2], match[3]) for match in updates if match]


def _refuse(reason: str) -> Generator[str, None, bool]:
    yield f"refused: {reason}"
    return False


def judge(
    repository: Repository, updates: Sequence[Update], env: Mapping[str, str], examine: Examine, search: Search,
    branch: str = BRANCH,
) -> Generator[str, None, bool]:  # fmt: skip
    """Lines, and whether the push of `updates` may land: all of its refs or none. `branch`: the full name of the one
    that the lab is made from."""
    if not (yield from _looked_at(repository, updates, env, branch)):
        return False
    with ThreadPoolExecutor(1, thread_name_prefix="search") as beside:
        searched = beside.submit(search, repository, updates, env)
        may_land = True
        for old, new, ref in updates:
            if ref == branch:
                may_land = yield from examine(repository, None if old == ZERO else old, new, env)
        looked = searched.result()
    yield from looked.notes
    yield from map(str, looked.findings)
    if count := len(looked.findings):
        yield f"refused: {f'{count} values look like secrets' if count > 1 else 'a value looks like a secret'}"
        return False
    return may_land


def _looked_at(
    repository: Repository, updates: Sequence[Update], env: Mapping[str, str], branch: str
) -> Generator[str, None, bool]:
    """Whether each is what it may be, by its name and by the paths in it."""
    for _, new, ref in updates:
        short = ref.removeprefix("refs/heads/")
        if not ref.startswith(("refs/heads/", "refs/tags/")):
            yield f"refused: {printable(ref)} is neither a branch nor a tag"
            return False
        if ref == branch and new == ZERO:
            yield f"refused: {printable(short)} is what the lab is made from; it cannot be deleted"
            return False
        if new == ZERO or not ref.startswith("refs/heads/"):
            continue
        findings = look(repository.path, new, env).findings
        for finding in findings:
            yield str(finding)
        if errors(findings):
            yield f"refused: {printable(short)} stays where it was"
            return False
    return True


async def _in_thread(pool: ThreadPoolExecutor, judged: Generator[str, None, bool]) -> AsyncIterator[bytes]:
    """Run the generator in the pool; its lines as they come, then its status. The thread alone touches it."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    gone = threading.Event()

    def tell(line: bytes | None) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, line)

    def work() -> None:
        accepted = False
        try:
            while not gone.is_set():
                tell(_shown(next(judged)))
        except StopIteration as end:
            accepted = end.value is True
        except BlumeError as error:
            tell(_shown(f"refused: {error}"))
        except Exception:
            log.exception("the examination of a push failed")
            tell(_shown("refused: BLU699 forge: the examination itself failed, a bug; the controller's log says more"))
        finally:
            judged.close()
            tell(_status(0 if accepted else 1))
            tell(None)

    pool.submit(work)
    try:
        while (line := await queue.get()) is not None:
            yield line
    finally:
        gone.set()


async def _followed(landed: list[str], follow: Follow) -> AsyncIterator[bytes]:
    """The lines about each landed revision. Git takes no notice of this hook's status."""
    clock, told = asyncio.get_running_loop().time, -SELDOM
    for revision in landed:
        try:
            async for line in follow(revision):
                passing = line.endswith("\r")  # how far something is: Git would show each below the last
                if passing and clock() - told < SELDOM:
                    continue
                told = clock() if passing else told
                yield _shown(line.rstrip("\r"))
        except BlumeError as error:
            yield _shown(str(error))
        except Exception:
            log.exception("following %s failed", revision)
            yield _shown("BLU699 forge: the report ended by a bug, see the controller's log; the revision has landed")
    yield _status(0)


def _shown(line: str) -> bytes:
    return SHOWN + printable(line).encode(errors="replace") + b"\n"


def _status(code: int) -> bytes:
    return STATUS + b"%d\n" % code
