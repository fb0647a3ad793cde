"""A host's network, in user space: outwards through this machine, inwards by ports forwarded from loopback.

slirp4netns stands between the host's network namespace and ordinary sockets of this machine, so no bridge, no
address translation and no forwarding are set up here, and there is nothing to take down again. The host sees
10.0.2.0/24: itself at .100, this machine's loopback at .2 (the gateway), a resolver at .3.
https://github.com/rootless-containers/slirp4netns/blob/master/slirp4netns.1.md
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .programs import Programs, bound

LOOPBACK = "127.0.0.1"
ADDRESS = "10.0.2.100"
GATEWAY = "10.0.2.2"
RESOLVER = "10.0.2.3"
_TRIES = 5


class NoNetwork(Exception):
    """The host's network did not come up, or would not forward a port."""


@dataclass(frozen=True, slots=True)
class Network:
    """The running network of one host; `control` is slirp4netns' socket."""

    control: Path

    def forward(self, port: int) -> int:
        """Forward a free port of this machine's loopback to TCP `port` of the host; which one it became.

        As a neighbour would, it reaches what listens on the host's network and not what listens on the
        host's own loopback. Where nothing listens, a connection is taken and then reset. Raises NoNetwork.
        """
        answer: object = None
        for _ in range(_TRIES):
            local = _free_port()  # somebody may take it before slirp4netns does: then try another
            where = {
                "proto": "tcp",
                "host_addr": LOOPBACK,
                "host_port": local,
                "guest_addr": ADDRESS,
                "guest_port": port,
            }
            answer = self._ask("add_hostfwd", where)
            if "error" not in answer:
                return local
        raise NoNetwork(f"port {port} could not be forwarded: {answer}")

    def _ask(self, what: str, arguments: object) -> dict[str, object]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.control))
            connection.sendall(json.dumps({"execute": what, "arguments": arguments}).encode())
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(4096):
                answer += chunk
        loaded: dict[str, object] = json.loads(answer)
        return loaded


@contextmanager
def network(pid: int, folder: Path, programs: Programs, seconds: float = 10) -> Iterator[Network]:
    """Give the network namespace of process `pid` a network while the block lasts. Raises NoNetwork."""
    ready, told = os.pipe()
    control, log = folder / "slirp.socket", folder / "slirp.log"
    argv: list[str | Path] = [
        programs.slirp4netns,
        "--configure",
        "--mtu=65520",
        f"--ready-fd={told}",
        f"--api-socket={control}",
        str(pid),
        "eth0",
    ]
    with os.fdopen(ready, "rb", buffering=0) as signal, log.open("wb") as output:
        process = subprocess.Popen(
            bound(argv), pass_fds=[told], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=dict(programs.environment),
        )  # fmt: skip
        os.close(told)  # ours: so that the end of slirp4netns is the end of the pipe
        try:
            readable, _, _ = select.select([signal], [], [], seconds)
            if not readable or not signal.read(1):
                raise NoNetwork(f"slirp4netns did not start: {log.read_text(errors='replace')[-2000:]}")
            yield Network(control)
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
