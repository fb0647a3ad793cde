"""Wiring of the controller's process: the forge, the gate and the loop of one site, served until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from blumeops.app.names import serve_names
from blumeops.app.site import engine_of, own_socket, repository_of
from blumeops.base.files import clear_scratch, locked
from blumeops.base.site import SiteFolder
from blumeops.forge import gate, http, serve, tokens, webhooks
from blumeops.forge.loopback import LoopbackOnly
from blumeops.loop import control, leaks, metrics
from blumeops.loop.controller import Controller
from blumeops.loop.follower import Follower
from blumeops.loop.jobs import Jobs
from blumeops.loop.sync import Site
from blumeops.secrets.age import Key
from blumeops.secrets.stores import Stores
from blumeops.status.database import open_database


def run_controller(folder: SiteFolder, lab: str, port: int, dns: int, key: Key) -> None:
    """Serve and loop until SIGTERM or SIGINT. `port`: the forge's; `dns`: that of names."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    with locked(folder.path / "controller.lock"):  # whoever came before may be ending: nothing is touched until it has
        _run(folder, lab, port, dns, key)


def _run(folder: SiteFolder, lab: str, port: int, dns: int, key: Key) -> None:
    clear_scratch(folder.work)
    repository = repository_of(folder, lab)
    database = open_database(folder.path)
    if database.set_aside:
        logging.warning("the status database was damaged; it is kept as %s", database.set_aside)
    site = Site(lab, repository, folder.work, database, Stores(key, folder.path), engine_of(folder))
    try:
        asyncio.run(_serve(site, folder, port, dns))
    finally:
        database.close()


async def _serve(site: Site, folder: SiteFolder, port: int, dns: int) -> None:
    controller = Controller(site)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    token = tokens.read_or_make(folder.path)
    follower = Follower(controller, folder.path)
    jobs = Jobs(site, lambda: controller.applied, lambda: controller.syncing)
    controller.at_rest = jobs.wake
    pages = Starlette(
        routes=[*http.routes(site.repository, token, controller.pushed), *metrics.routes(controller)],
        middleware=[Middleware(LoopbackOnly)],
    )
    # The webhook stands outside of LoopbackOnly: it comes by a proxy, under its name, and its signature is the proof.
    tcp = Starlette(routes=[*webhooks.routes(follower.webhook_secret, follower.wake), Mount("/", pages)])
    unix = Starlette(
        routes=[
            *gate.routes(
                site.repository, controller.examine, controller.follow, leaks.searcher(site.work), follower.closed
            ),
            *control.routes(controller, follower, jobs),
        ]
    )
    loop = asyncio.create_task(controller.run(stop))
    following = asyncio.create_task(follower.run(stop))
    server = asyncio.create_task(serve.serve(tcp, port, unix, own_socket(folder), stop))
    at_their_times = asyncio.create_task(jobs.run(stop))
    names = asyncio.create_task(serve_names(site, folder.path, controller, dns, stop))
    done, _ = await asyncio.wait({loop, server, following, at_their_times, names}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(loop, server, following, at_their_times, names)
    for task in done:
        task.result()
