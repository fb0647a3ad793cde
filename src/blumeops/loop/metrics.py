"""The controller's metrics over HTTP, for the lab's Prometheus: at /metrics of the forge's port, on loopback."""

from __future__ import annotations

import asyncio
import shutil

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from blumeops.loop.controller import Controller
from blumeops.status import jobs, records
from blumeops.telemetry.loop_metrics import CONTENT_TYPE, Disk, exposition


def routes(controller: Controller) -> list[Route]:
    """The route, to be served behind `LoopbackOnly`."""

    async def metrics(_: Request) -> Response:
        return Response(await asyncio.to_thread(_told, controller), media_type=CONTENT_TYPE)

    return [Route("/metrics", metrics)]


def _told(controller: Controller) -> str:
    database = controller.site.database
    with database.transaction():
        site, units = records.site(database), records.units(database)
        planned = jobs.planned(database)
        last = next((run for run in records.history(database, 2) if run.ended is not None), None)
    usage = shutil.disk_usage(controller.site.work)
    return exposition(site, units, last, controller.looked, Disk(usage.total, usage.free), planned)
