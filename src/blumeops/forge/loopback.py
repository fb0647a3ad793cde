"""Refusing requests that a web page elsewhere made a browser send: foreign Host (DNS rebinding) and Origin."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from blumeops.forge.hosts import is_loopback


class LoopbackOnly:
    """ASGI middleware: 421 for a foreign or missing Host, 403 for a foreign Origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            return await self.app(scope, receive, send)
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        answer: ASGIApp = self.app
        if len(hosts) != 1 or not is_loopback(hosts[0]):
            answer = PlainTextResponse("this server answers to localhost only\n", 421)
        elif not all(is_loopback(urlsplit(origin).netloc) for origin in origins):
            answer = PlainTextResponse("requests of foreign pages are refused\n", 403)
        return await answer(scope, receive, send)
