"""Calls from every namespace: which packets pass, and who answers by which name.

First every port of every address is called, by TCP alone: a filter lets a packet pass where the call is taken or
refused by the other side, and not where nothing ever comes back. Then whoever took a call is asked who he is, by HTTP
or HTTPS with the name that was called, its certificate held against that.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .namespaces import Namespaces

Outcome = Literal["taken", "refused", "silence", "no route"]
PATIENCE = 1.5
"""Seconds that a call waits. Nothing is lost on the way, so who answers does so at once, if this machine has time."""
AT_ONCE = 1500
"""Calls; each is an open file."""
FILES = 4096
"""Open files that this, and all that listens, takes at most."""


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """From a namespace to an address and port."""

    source: str
    address: str
    port: int


class Prober:
    """Calls by sockets of the namespaces."""

    def __init__(self, spaces: Namespaces, trust: ssl.SSLContext) -> None:
        self.spaces, self.trust = spaces, trust

    async def scan(self, calls: Iterable[Call], patience: float = PATIENCE) -> dict[Call, Outcome]:
        """What became of each call."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(call: Call) -> tuple[Call, Outcome]:
            async with gate:
                made, outcome = await self._connect(call, patience)
            if made is not None:
                made.close()
            return call, outcome

        return dict(await asyncio.gather(*map(one, dict.fromkeys(calls))))

    async def ask(
        self, questions: Iterable[tuple[Call, str, bool]], patience: float = 10
    ) -> dict[tuple[Call, str], str]:
        """Who answers each (call, name, whether by HTTPS): his name, or what went wrong in brackets."""
        gate = asyncio.Semaphore(24)

        async def one(call: Call, name: str, secure: bool) -> tuple[tuple[Call, str], str]:
            async with gate:
                return (call, name), await self._ask(call, name, secure, patience)

        return dict(await asyncio.gather(*(one(*each) for each in questions)))

    async def _connect(self, call: Call, patience: float) -> tuple[socket.socket | None, Outcome]:
        family = socket.AF_INET if ipaddress.ip_address(call.address).version == 4 else socket.AF_INET6
        made = self.spaces.socket(call.source, family)
        try:
            await asyncio.wait_for(
                asyncio.get_running_loop().sock_connect(made, (call.address, call.port)), patience
            )  # fmt: skip
        except TimeoutError:
            made.close()
            return None, "silence"
        except OSError as error:
            made.close()
            kinds: Mapping[int | None, Outcome] = {errno.ECONNREFUSED: "refused", errno.ENETUNREACH: "no route"}
            if error.errno in kinds:
                return None, kinds[error.errno]
            if error.errno == errno.EHOSTUNREACH:  # nobody has this address
                return None, "silence"
            raise
        return made, "taken"

    async def _ask(self, call: Call, name: str, secure: bool, patience: float) -> str:
        made, outcome = await self._connect(call, patience)
        if made is None:
            return f"({outcome})"
        writer = None
        try:
            async with asyncio.timeout(15):
                reader, writer = await asyncio.open_connection(
                    sock=made, ssl=self.trust if secure else None, server_hostname=name if secure else None
                )
                writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        except ssl.SSLError as error:
            return f"(TLS: {error.reason})"
        except (OSError, TimeoutError) as error:
            return f"({type(error).__name__})"
        finally:
            if writer is not None:
                writer.close()
            made.close()
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) < 2 or words[1] != b"200":
            return f"({words[1].decode() if len(words) > 1 else 'no HTTP'})"
        return body.decode(errors="replace") if len(body) < 200 else "(much)"
