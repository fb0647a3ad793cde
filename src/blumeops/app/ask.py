"""What commands ask the controller: one request on its unix socket, and the lines of its answer as they come."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from blumeops.app.running import controller_answers, controller_is_kept, must_exist, socket_of
from blumeops.base.errors import EngineError, Unavailable
from blumeops.base.site import SiteFolder
from blumeops.forge.hook_client import SHOWN, STATUS


def request_sync(folder: SiteFolder, restore: bool = False) -> Iterator[str | int]:
    """Ask the controller to sync: yields lines, then the exit code. `restore`: also what was changed by hand and says
    `heal: false`. Raises Unavailable `BLU794`."""
    return _ask(folder, "/sync?restore" if restore else "/sync")


def request_settled(folder: SiteFolder, within: float | None) -> Iterator[str | int]:
    """Wait until it has settled or failed, at most so many seconds: as `request_sync`."""
    return _ask(folder, "/settled" if within is None else f"/settled?within={within}")


def comes_back(folder: SiteFolder, seconds: float = 10.0) -> bool:
    """Whether the controller answers, at once or soon: one that ended is started again. Where nobody starts it, that
    is said at once."""
    end = time.monotonic() + seconds
    while not controller_answers(folder):
        if time.monotonic() > end or not controller_is_kept(folder):
            return False
        time.sleep(0.1)
    return True


def request_rollback(folder: SiteFolder, target: str) -> Iterator[str | int]:
    """Ask it to go back to a revision, by its full name: as `request_sync`."""
    return _ask(folder, f"/rollback?to={target}")


def request_secrets(folder: SiteFolder, wanted: Mapping[str, object]) -> Iterator[str | int]:
    """Ask it to change secrets, or who opens them: as `request_sync`. Values go by the socket, to us alone."""
    return _ask(folder, "/secrets", json.dumps(wanted).encode())


def request_run(folder: SiteFolder, job: str) -> Iterator[str | int]:
    """Ask it to run a job now: as `request_sync`; the lines are what the job prints. Raises what the controller says of
    a job that cannot be run, as EngineError."""
    return _ask(folder, f"/run?job={quote(job, safe='')}")


def _ask(folder: SiteFolder, path: str, body: bytes = b"") -> Iterator[str | int]:
    must_exist(folder)
    connection = _UnixConnection(socket_of(folder))
    try:
        _connect(connection, folder)
        connection.request("POST", path, body)
        answer = connection.getresponse()
        if answer.status == 409 and (said := answer.read()):
            raise EngineError(**json.loads(said))
        for line in answer:
            if line.startswith(STATUS):
                yield int(line[len(STATUS) :])
            elif line.startswith(SHOWN):
                yield line[len(SHOWN) :].decode(errors="replace").rstrip("\n")
    except OSError as error:
        raise Unavailable("BLU794", "controller", "does not run", "start it with `blumeops up`") from error
    except http.client.HTTPException:
        return  # it ended within a line: no exit code comes, which callers tell
    finally:
        connection.close()


def _connect(connection: http.client.HTTPConnection, folder: SiteFolder) -> None:
    try:
        connection.connect()
    except OSError:
        if not comes_back(folder):
            raise
        connection.connect()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the controller's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))
