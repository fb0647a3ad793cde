"""The webhook that Forgejo, Gitea or GitHub calls after a push: whoever knows the secret makes us look at the remote.

What enters: requests from anywhere, so the body is read within limits and counts for its signature alone; which push it
tells of is asked of the remote itself. What leaves: a status that says nothing of what we know. The signature stands in
for the check of Host and Origin: no page elsewhere can make one.

Forgejo and Gitea sign the JSON, also where they send it as a form; GitHub signs the body as it is.
(https://forgejo.org/docs/latest/user/webhooks/, https://docs.github.com/webhooks)
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PATH = "/webhook"
MOST_BYTES = 2 << 20
SECONDS = 10.0
AT_ONCE = 4
SIGNATURES = ("x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256")
EVENTS = ("x-forgejo-event", "x-gitea-event", "x-github-event")
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"

Secret = Callable[[], Awaitable[str]]
"""The secret of now; empty where the lab names none."""


def routes(secret: Secret, pushed: Callable[[], None]) -> list[Route]:
    """The route. `pushed` is called for each genuine push event, and makes one look of many."""
    reading = asyncio.Semaphore(AT_ONCE)

    async def webhook(request: Request) -> Response:
        known = await secret()
        if not known:
            return PlainTextResponse("no webhook is expected here\n", 404)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (_JSON, _FORM):
            return PlainTextResponse("send JSON, or a form\n", 415)
        given = next((request.headers[name] for name in SIGNATURES if name in request.headers), "")
        if not given:
            return PlainTextResponse("no signature\n", 401)
        if reading.locked():
            return PlainTextResponse("too many at once\n", 503, {"Retry-After": "5"})
        async with reading:
            try:
                async with asyncio.timeout(SECONDS):
                    body = await _body(request)
            except (TimeoutError, ClientDisconnect):
                return PlainTextResponse("the body does not come\n", 408)
        if body is None:
            return PlainTextResponse("the body is too large\n", 413)
        if not genuine(body, kind == _FORM, given, known):
            return PlainTextResponse("wrong signature\n", 403)
        if next((request.headers[name] for name in EVENTS if name in request.headers), "") != "push":
            return PlainTextResponse("heard; only a push counts\n", 200)
        pushed()
        return PlainTextResponse("looking\n", 202)

    return [Route(PATH, webhook, methods=["POST"])]


def genuine(body: bytes, form: bool, given: str, secret: str) -> bool:
    """Whether `given` (hex, perhaps behind `sha256=`) signs the body; in a time that does not tell how nearly."""
    signed = [body]
    if form:
        with suppress(ValueError):
            signed += [text.encode() for text in parse_qs(body.decode(), max_num_fields=10).get("payload", [])[:1]]
    wanted = given.strip().removeprefix("sha256=").lower().encode(errors="replace")
    results = [
        hmac.compare_digest(hmac.new(secret.encode(), each, hashlib.sha256).hexdigest().encode(), wanted)
        for each in signed
    ]
    return any(results)


async def _body(request: Request) -> bytes | None:
    """The body, or None when it is larger than `MOST_BYTES`."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MOST_BYTES:
            return None
    return bytes(found)
