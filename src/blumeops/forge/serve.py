"""The controller's two doors in one event loop: HTTP on loopback, and a unix socket for the hooks and the CLI."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blumeops.base.errors import EngineError
from blumeops.base.files import PRIVATE, cannot_write

_SOCKET_PATH_BYTES = 103
"""macOS's limit; Linux has four more."""


async def serve(
    app_tcp: ASGIApp,
    port: int,
    app_unix: ASGIApp,
    socket_path: Path,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
) -> None:
    """Serve `app_tcp` on 127.0.0.1:`port` and `app_unix` on `socket_path` (0600) until `stop`; `ready` is set when
    both listen. At the stop the hooks' requests end at once, so that git can end the pushes behind them; what else runs
    has a second. Installs no signal handlers.

    Raises EngineError `BLU603` when the port or the socket is taken, `BLU604` when the socket's path is too long.
    """
    with listening(port) as tcp, _unix(socket_path) as unix:
        servers = [_Server(_config(_Ending(app_tcp, stop, 1.0))), _Server(_config(_Ending(app_unix, stop, 0.0)))]
        running = [
            asyncio.create_task(server.serve(sockets=[door])) for server, door in zip(servers, (tcp, unix), strict=True)
        ]
        if ready:
            ready.set()  # both sockets listen already: who comes before the server does waits in its queue
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*running)


class _Ending:
    """ASGI middleware: ends in an orderly way what still runs `seconds` after the stop.

    (uvicorn would cancel it and log that as an error of ours.)
    """

    def __init__(self, app: ASGIApp, stop: asyncio.Event, seconds: float) -> None:
        self.app = app
        self.stop = stop
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        async def late() -> None:
            await self.stop.wait()
            await asyncio.sleep(self.seconds)

        answering, ending = asyncio.ensure_future(self.app(scope, receive, noting)), asyncio.create_task(late())
        try:
            await asyncio.wait([answering, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = not answering.done()
            ending.cancel()
            answering.cancel()
            await asyncio.wait([answering])
        if not ended:
            answering.result()
        elif started:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await PlainTextResponse("stopping\n", 503)(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: they are the controller's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, log_level="warning", access_log=False,
        proxy_headers=False, server_header=False, timeout_graceful_shutdown=6,
    )  # fmt: skip


@contextlib.contextmanager
def listening(port: int, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket that listens there, on IPv4. Raises EngineError `BLU603` that names who has the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((address, port))
            door.listen(128)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = f"is taken by {_holder(port)}" if taken else f"cannot be had: {error.strerror}"
            raise EngineError(
                "BLU603", f"port {port}", why, "end it, or choose another port: `here: {forge: …}`"
            ) from error
        yield door


@contextlib.contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
        raise EngineError("BLU604", str(path), "is too long for a socket", "choose a shorter folder with --state")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        if _answers(path):
            raise EngineError("BLU603", str(path), "is served by another controller", "end it first: blumeops down")
        try:
            path.unlink(missing_ok=True)
            door.bind(str(path))
            path.chmod(PRIVATE)
            door.listen(128)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            yield door
        finally:
            path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Whether somebody listens there: a file alone may be what a killed controller left."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _holder(port: int) -> str:
    """Who listens on the port, as far as this machine tells (macOS tells root only)."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another program"
