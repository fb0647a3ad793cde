"""The Connect API on a port, until somebody stops it: the application enters, nothing leaves."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from blumeops.forge.serve import listening


def serve(app: ASGIApp, address: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` gets the port, once it listens. Raises EngineError `BLU603`."""
    with listening(port, address) as door:
        ready(door.getsockname()[1])
        config = uvicorn.Config(
            app, http="h11", ws="none", lifespan="off", log_config=None, log_level="warning", access_log=False,
            proxy_headers=False, server_header=False, timeout_keep_alive=30, timeout_graceful_shutdown=5,
            limit_concurrency=200, h11_max_incomplete_event_size=64 << 10,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[door])
