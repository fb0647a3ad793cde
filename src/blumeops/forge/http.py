"""Git over smart HTTP: the real `git http-backend`, run as CGI, streamed both ways.

What enters: requests of any git client. What leaves: the program's answers. Reading is free on loopback; pushing
asks for the token as the password of HTTP Basic. Only three paths of the protocol exist here; the path and the
query that the program sees are written by us, never passed on. It runs in a process group of its own, within
limits, and is ended when the client goes away: a push whose sender is gone does not land.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import os
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from blumeops.forge.git import environment, limited, printable
from blumeops.forge.loopback import LoopbackOnly
from blumeops.forge.repository import PUSH_BYTES, Repository

UPLOAD, RECEIVE = "git-upload-pack", "git-receive-pack"
_BODY_BYTES = {UPLOAD: 10 << 20, RECEIVE: PUSH_BYTES + (1 << 20)}
_VERSION = re.compile(r"version=[012]\Z")
_CHUNK = 1 << 16
_PATIENCE = 2.0
"""Seconds that a git has to tidy up after itself before it is killed."""

log = logging.getLogger(__name__)


def application(repository: Repository, token: str, pushed: Callable[[], None] = lambda: None) -> ASGIApp:
    """The forge alone, as an ASGI application."""
    return Starlette(routes=routes(repository, token, pushed), middleware=[Middleware(LoopbackOnly)])


def routes(repository: Repository, token: str, pushed: Callable[[], None] = lambda: None) -> list[Route]:
    """The routes of `repository`, to be served behind `LoopbackOnly`.

    `pushed` is called after each push that was tried, also when its client was gone before the hooks had ended:
    whoever cares looks at the head.
    """
    handler = _GitOverHttp(repository, token, pushed)
    return [Route(f"/{repository.path.name}/{{rest:path}}", handler)]


class _GitOverHttp:
    """One repository's endpoint. Counts the pushes that run, to tidy up when none does."""

    def __init__(self, repository: Repository, token: str, pushed: Callable[[], None]) -> None:
        self.repository = repository
        self.token = token
        self.pushed = pushed
        self.pushing = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        rest = request.path_params["rest"]
        service = request.query_params.get("service", "") if rest == "info/refs" else rest
        method = "GET" if rest == "info/refs" else "POST"
        refusal: ASGIApp | None = None
        if service not in _BODY_BYTES:
            refusal = PlainTextResponse("only Git's smart protocol is spoken here\n", 404)
        elif request.method != method:
            refusal = PlainTextResponse("no such method here\n", 405, {"Allow": method})
        elif service == RECEIVE and not _knows(request, self.token):
            headers = {"WWW-Authenticate": 'Basic realm="BlumeOps forge: the password is the token", charset="UTF-8"'}
            refusal = PlainTextResponse("pushing needs the forge's token\n", 401, headers)
        if refusal:
            return await refusal(scope, receive, send)
        if rest != RECEIVE:
            return await self._backend(request, rest, service, receive, send)
        self.pushing += 1
        try:
            return await self._backend(request, rest, service, receive, send)
        finally:
            self.pushing -= 1
            if not self.pushing:
                self.repository.clean()
            self.pushed()

    async def _backend(self, request: Request, rest: str, service: str, receive: Receive, send: Send) -> None:
        process = await asyncio.create_subprocess_exec(
            *limited(["git", "http-backend"]), stdin=PIPE, stdout=PIPE, stderr=PIPE,
            env=environment(self._cgi(request, rest, service)), start_new_session=True,
        )  # fmt: skip
        answering = asyncio.create_task(_answer(process, send))
        others = [
            asyncio.create_task(_feed(process, receive, _BODY_BYTES[service])),
            asyncio.create_task(_note(process)),
        ]
        try:
            await asyncio.wait([answering, others[0]], return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered = answering.done()
            for task in (answering, *others):
                task.cancel()
            await asyncio.wait([answering, *others])
            await asyncio.shield(_end(process, patient=answered))
        if answered:
            answering.result()
        elif not await request.is_disconnected():
            raise ConnectionError(f"{service}: the request is too long")  # closes the connection

    def _cgi(self, request: Request, rest: str, service: str) -> dict[str, str]:
        """RFC 3875's variables, as git-http-backend(1) reads them."""
        env = {
            "GIT_PROJECT_ROOT": str(self.repository.path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": f"/{self.repository.path.name}/{rest}",
            "QUERY_STRING": f"service={service}" if rest == "info/refs" else "",
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        length = request.headers.get("content-length", "")
        if length.isdecimal():  # without it (a chunked body) the program reads to the end
            env["CONTENT_LENGTH"] = length
        if request.headers.get("content-encoding") in {"gzip", "x-gzip"}:
            env["HTTP_CONTENT_ENCODING"] = "gzip"
        if _VERSION.match(version := request.headers.get("git-protocol", "")):
            env["GIT_PROTOCOL"] = version
        if service == RECEIVE:
            env["REMOTE_USER"] = "blumeops"  # http-backend lets nobody push without
        return env


def _knows(request: Request, token: str) -> bool:
    """Whether the request's password (of any user) is the token; in a time that does not tell how nearly."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        _, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(password, token.encode())


async def _feed(process: Process, receive: Receive, limit: int) -> None:
    """Pass the request's body on; then wait until the client goes away. Returns only when there is no client."""
    assert process.stdin
    size, more = 0, True
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body = message.get("body", b"")
        size += len(body)
        if size > limit:
            return
        if more and not process.stdin.is_closing():
            # a program that has heard enough closes its end: its answer says why
            with contextlib.suppress(ConnectionError):
                process.stdin.write(body)
                await process.stdin.drain()
        more = more and message.get("more_body", False)
        if not more:
            process.stdin.close()


async def _answer(process: Process, send: Send) -> None:
    """Turn CGI's output into a response, piece by piece."""
    assert process.stdout
    status, headers = 200, []
    while line := (await process.stdout.readline()).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.lower(), value.strip()))
    if not headers and status == 200:
        status = 500  # it ended before it said anything
    await send({"type": "http.response.start", "status": status, "headers": headers})
    while chunk := await process.stdout.read(_CHUNK):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _note(process: Process) -> None:
    """What the program complains about goes to our log."""
    assert process.stderr
    while chunk := await process.stderr.read(_CHUNK):
        log.info("git http-backend: %s", printable(chunk[:500].decode(errors="replace").strip()))


async def _end(process: Process, *, patient: bool) -> None:
    """End the program's whole group. Without an answer nobody waits for it: it is asked to stop, so that git removes
    its lock files and its quarantine, then killed.
    """
    assert process.stdin and process.stdout and process.stderr
    process.stdin.close()
    signals = (signal.SIGTERM, signal.SIGKILL)
    for number in (0, *signals) if patient else signals:
        try:
            async with asyncio.timeout(_PATIENCE):
                os.killpg(process.pid, number)
                await process.wait()
                while True:  # the group outlives its leader by as long as its members need
                    os.killpg(process.pid, 0)
                    await asyncio.sleep(0.005)
        except ProcessLookupError:
            break
        except TimeoutError:
            continue
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            for pipe in (process.stdout, process.stderr):
                while await pipe.read(_CHUNK):  # a pipe that is not read to its end is never closed
                    pass
