"""What the command line asks the controller on its unix socket: to sync, to settle, to roll back, to change secrets,
to run a job, to answer.

Answers are lines in the form of the hooks' (`forge.hook_client`): text behind `|`, the exit status at the end. A job
that cannot be run is answered by an error as JSON, with status 409.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from blumeops.base.errors import BlumeError
from blumeops.forge.hook_client import SHOWN, STATUS
from blumeops.loop import rotation, secret_change
from blumeops.loop.controller import Controller
from blumeops.loop.follower import Follower
from blumeops.loop.job_runs import Under
from blumeops.loop.jobs import Jobs
from blumeops.loop.settling import settling
from blumeops.secrets.references import Reference


def routes(controller: Controller, follower: Follower, jobs: Jobs) -> list[Route]:
    """The routes, for the application behind the unix socket. A sync looks at the remote first, if one is followed."""

    async def ping(_: Request) -> Response:
        return JSONResponse({"version": 1, "site": "here"})

    async def sync(request: Request) -> Response:
        head = controller.site.repository.head()
        if head is None:
            return Response(status_code=409)
        restore = "restore" in request.query_params
        return StreamingResponse(_synced(controller, follower, restore), media_type="text/plain")

    async def settled(request: Request) -> Response:
        within = request.query_params.get("within")
        lines = settling(controller, float(within) if within else None)
        return StreamingResponse(_until_settled(lines), media_type="text/plain")

    async def rollback(request: Request) -> Response:
        lines = controller.roll_back(request.query_params.get("to", ""))
        return StreamingResponse(_until_settled(lines), media_type="text/plain")

    async def secrets(request: Request) -> Response:
        asked = await request.json()
        wanted = rotation.Wanted(
            {Reference.parse(name): value for name, value in asked["values"].items()},
            tuple(asked["new"]), tuple(asked["add"]), tuple(asked["remove"]),
        )  # fmt: skip
        return StreamingResponse(_until_settled(secret_change.change(controller, wanted)), media_type="text/plain")

    async def run(request: Request) -> Response:
        try:
            under = await jobs.start(request.query_params.get("job", ""))
        except BlumeError as error:
            said = {"code": error.code, "subject": error.subject, "message": error.message, "hint": error.hint}
            return JSONResponse(said, status_code=409)
        return StreamingResponse(_ran(jobs, under), media_type="text/plain")

    return [
        Route("/ping", ping),
        Route("/secrets", secrets, methods=["POST"]),
        Route("/run", run, methods=["POST"]),
        Route("/settled", settled, methods=["POST"]),
        Route("/sync", sync, methods=["POST"]),
        Route("/rollback", rollback, methods=["POST"]),
    ]


async def _synced(controller: Controller, follower: Follower, restore: bool) -> AsyncIterator[bytes]:
    refused = False
    if follower.record.url:
        yield _shown(f"asking {follower.record.url}")
    try:
        if found := await follower.look(again=True):
            refused = found.refused
            for line in found.lines:
                yield _shown(line)
    except BlumeError as error:
        yield _shown(str(error))
    head = controller.site.repository.head()
    assert head is not None
    job = controller.want(head, retry=True, restore=restore)
    async for line in job.follow():
        yield _shown(line)
    yield _status(bool(job.result and job.result.ok) and not refused)


async def _until_settled(lines: AsyncIterator[str | bool]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield _status(line) if isinstance(line, bool) else _shown(line)


async def _ran(jobs: Jobs, under: Under) -> AsyncIterator[bytes]:
    yield b"\n"  # so that the answer begins, whenever its first line comes
    async for line in jobs.follow(under):
        yield _shown(line)
    yield _status(under.run.outcome == "ok")


def _shown(line: str) -> bytes:
    return SHOWN + line.replace("\n", " ").encode(errors="replace") + b"\n"


def _status(ok: bool) -> bytes:
    return STATUS + (b"0" if ok else b"1") + b"\n"
