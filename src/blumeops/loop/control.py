"""What the command line asks the controller on its unix socket: to sync, to roll back, and to say that it is there.

Answers are lines in the form of the hooks' (`forge.hook_client`): text behind `|`, the exit status at the end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from blumeops.forge.hook_client import SHOWN, STATUS
from blumeops.loop.controller import Controller, Job


def routes(controller: Controller) -> list[Route]:
    """The routes, for the application behind the unix socket."""

    async def ping(_: Request) -> Response:
        return JSONResponse({"version": 1, "site": "here"})

    async def sync(request: Request) -> Response:
        head = controller.site.repository.head()
        if head is None:
            return Response(status_code=409)
        job = controller.want(head, retry=True, restore="restore" in request.query_params)
        return StreamingResponse(_told(job), media_type="text/plain")

    async def rollback(request: Request) -> Response:
        lines = controller.roll_back(request.query_params.get("to", ""))
        return StreamingResponse(_rolled_back(lines), media_type="text/plain")

    return [
        Route("/ping", ping),
        Route("/sync", sync, methods=["POST"]),
        Route("/rollback", rollback, methods=["POST"]),
    ]


async def _told(job: Job) -> AsyncIterator[bytes]:
    async for line in job.follow():
        yield _shown(line)
    yield _status(bool(job.result and job.result.ok))


async def _rolled_back(lines: AsyncIterator[str | bool]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield _status(line) if isinstance(line, bool) else _shown(line)


def _shown(line: str) -> bytes:
    return SHOWN + line.replace("\n", " ").encode() + b"\n"


def _status(ok: bool) -> bytes:
    return STATUS + (b"0" if ok else b"1") + b"\n"
