"""The Connect API (https://developer.1password.com/docs/connect/connect-api-reference/) in front of a store.

Requests with a bearer token enter, JSON leaves; errors are `{"status", "message"}`, as 1Password's SDKs read them.
Who asks is known before anything else is read; every 401, 403 and 421 is a line in the audit log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from blumeops.base.errors import BlumeError, Unavailable
from blumeops.connect import answers
from blumeops.connect.answers import HEADERS, VERSION, Call, Door, about_request, shown
from blumeops.connect.described import description
from blumeops.connect.tokens import Token, Wrong
from blumeops.forge.hosts import is_loopback

LARGEST = 1 << 20
"""Bytes of a request's body."""
_STATUS = {"BLU506": 400, "BLU508": 400, "BLU531": 409, "BLU532": 409, "BLU534": 400, "BLU535": 409}


def app(door: Door) -> Starlette:
    """The application."""
    base, one = "/v1/vaults/{vault}/items", "/v1/vaults/{vault}/items/{item}"
    routes = [
        Route("/heartbeat", lambda _: PlainTextResponse(".", headers=HEADERS)),
        Route("/health", _health(door)),
        Route("/metrics", lambda _: PlainTextResponse(door.journal.metrics(), headers=HEADERS)),
        Route("/v1/openapi.json", lambda _: JSONResponse(description(VERSION), headers=HEADERS)),
        Route("/v1/activity", _guarded(door, answers.activity)),
        Route("/v1/vaults", _guarded(door, answers.list_vaults)),
        Route("/v1/vaults/{vault}", _guarded(door, answers.get_vault)),
        Route(base, _by_method(door, GET=answers.list_items, POST=answers.create), methods=["GET", "POST"]),
        Route(one, _by_method(door, **_ONE), methods=list(_ONE)),
        Route(one + "/files", _guarded(door, answers.list_files)),
        Route(one + "/files/{file}", _guarded(door, answers.get_file)),
        Route(one + "/files/{file}/content", _guarded(door, answers.get_content)),
    ]  # fmt: skip
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused})


_Answer = Callable[[Call], Response]
_ONE: Mapping[str, _Answer] = {
    "GET": answers.get_item, "PUT": answers.replace, "PATCH": answers.patch, "DELETE": answers.delete,
}  # fmt: skip
_Endpoint = Callable[[Request], Awaitable[Response]]


def _by_method(door: Door, **each: _Answer) -> _Endpoint:
    made = {method: _guarded(door, answer) for method, answer in each.items()}

    async def endpoint(request: Request) -> Response:
        return await made["GET" if request.method == "HEAD" else request.method](request)

    return endpoint


def _guarded(door: Door, answer: _Answer) -> _Endpoint:
    """Ask for the token first, then read the body, then answer, in a thread: stores start processes."""

    async def endpoint(request: Request) -> Response:
        token: Token | None = None
        try:
            _no_page(door, request)
            token = await run_in_threadpool(_authenticated, door, request)
            body = await _body(request)
            response = await run_in_threadpool(answer, Call(door, token, request, body))
        except HTTPException as error:
            response = _refused(request, error)
        except BlumeError as error:
            response = _failed(door, request, error)
        except Exception as error:  # whatever it is, its words may hold a value: none of them is told
            with suppress(BlumeError):
                door.audit(status=500, why=f"BLU999 {type(error).__name__}", **about_request(request))
            response = _refused(request, HTTPException(500, "a bug of ours (BLU999)"))
        door.journal.note(request, token, response.status_code, door.clock())
        return response

    return endpoint


def _no_page(door: Door, request: Request) -> None:
    """What a web page elsewhere made a browser send: by a name that leads here, or with its origin. Raises
    HTTPException 403, 421."""
    status, why = 0, ""
    if door.loopback and not is_loopback(request.headers.get("host", "")):
        status, why = 421, "this server answers to localhost only"
    elif not all(is_loopback(urlsplit(origin).netloc) for origin in request.headers.getlist("origin")):
        status, why = 403, "requests of foreign pages are refused"
    if status:
        door.audit(status=status, why=why, **about_request(request))
        raise HTTPException(status, why)


def _authenticated(door: Door, request: Request) -> Token:
    """Raises HTTPException 401, 429."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip() if scheme.lower() == "bearer" else ""
    address = request.client.host if request.client else ""
    key = (address, door.tokens.claimed(text))
    if wait := door.attempts.wait(key):
        raise HTTPException(429, "too many wrong tokens", {"Retry-After": str(wait)})
    found = door.tokens.find(text, door.clock()) if text else Wrong("no bearer token")
    if isinstance(found, Token):
        return found
    if text:  # who sends none guesses nothing
        door.attempts.failed(key)
    last = {"then": "barred"} if door.attempts.wait(key) else {}
    door.audit(status=401, why=found.why, token=found.id, **about_request(request), **last)
    raise HTTPException(401, "Invalid bearer token", {"WWW-Authenticate": "Bearer"})


async def _body(request: Request) -> bytes:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST:
            raise HTTPException(413, f"the body is larger than {LARGEST >> 20} MiB")
    return data


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = {"status": error.status_code, "message": error.detail}
    return JSONResponse(told, error.status_code, headers={**HEADERS, **(error.headers or {})})


def _failed(door: Door, request: Request, error: BlumeError) -> Response:
    """What the store or the request's own words are to blame for; of the store, a client is told no more than that."""
    status = _STATUS.get(error.code, 503 if isinstance(error, Unavailable) else 500)
    if status < 500:
        return _refused(request, HTTPException(status, f"{error.subject}: {error.message}"))
    with suppress(BlumeError):  # the log itself may be what cannot be written
        door.audit(status=status, why=str(error), **about_request(request))
    return _refused(request, HTTPException(status, f"the store does not answer ({error.code})"))


def _health(door: Door) -> Callable[[Request], Response]:
    def health(_: Request) -> Response:
        try:
            door.cabinet.read()
            status, message = "ACTIVE", "opened"
        except BlumeError as error:
            status, message = "ERROR", f"cannot be opened ({error.code})"
        dependencies = [{"service": "store", "status": status, "message": message}]
        told = {"name": "BlumeOps Connect API", "version": VERSION, "dependencies": dependencies}
        return shown(told, 200 if status == "ACTIVE" else 503)

    return health
