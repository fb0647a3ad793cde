"""The responder's two doors, UDP and TCP on one port of loopback, in the event loop of whoever serves.

What enters are questions, to which the given function has the answer, or None for silence. Promised: a port that is
taken is one clear error, and then neither door is open; who talks over TCP has `seconds` for each question and each
answer; more than `connections` at once are turned away; nothing is answered to anybody but this machine.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal, cast

from blumeops.base.errors import EngineError
from blumeops.engines.local import ports
from blumeops.names.zone import LARGEST

Answer = Callable[[bytes, Literal["udp", "tcp"]], bytes | None]

_LENGTH = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the door for TCP. `largest`: bytes of a question."""

    connections: int = 32
    seconds: float = 10.0
    largest: int = LARGEST


@contextmanager
def doors(port: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The sockets for UDP and TCP on 127.0.0.1:`port`. Raises EngineError `BLU770` when one cannot be had."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
    ):
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            tcp.listen(32)
        except OSError as error:
            why = (
                f"is taken by {_holder(port)}"
                if error.errno == errno.EADDRINUSE
                else f"cannot be had: {error.strerror}"
            )
            hint = "end it, or choose another port for names: `here: {dns: …}`"
            raise EngineError("BLU770", f"port {port}", f"{why}; names are not answered by DNS", hint) from error
        yield udp, tcp


async def serve(
    udp: socket.socket,
    tcp: socket.socket,
    answer: Answer,
    stop: asyncio.Event,
    limits: Limits = Limits(),
) -> None:
    """Answer at both doors until `stop`; conversations under way end then."""
    talking: set[asyncio.Task[None]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(talking) >= limits.connections:
            writer.close()
            return
        talking.add(task)
        try:
            await _converse(reader, writer, answer, limits)
        finally:
            talking.discard(task)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Datagrams(answer), sock=udp)
    try:
        server = await asyncio.start_server(met, sock=tcp, limit=_LENGTH + limits.largest)
        try:
            await stop.wait()
        finally:
            server.close()
            for task in talking:
                task.cancel()
            await asyncio.gather(*talking, return_exceptions=True)
    finally:
        transport.close()


class _Datagrams(asyncio.DatagramProtocol):
    """A question a datagram."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # it is one, by what it does

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        transport = self._transport
        # A sender that is not here could only be one who lies about it, and wants others to get our answers.
        if transport is None or not IPv4Address(addr[0]).is_loopback:
            return
        reply = self._answer(data, "udp")
        if reply is not None:
            transport.sendto(reply, addr)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer, limits: Limits) -> None:
    """Questions one after another (RFC 7766), until the other side ends it, is too slow, or makes no sense."""
    try:
        while True:
            async with asyncio.timeout(limits.seconds):
                size = int.from_bytes(await reader.readexactly(_LENGTH))
                if size > limits.largest:
                    return
                wire = await reader.readexactly(size)
            reply = answer(wire, "tcp")
            if reply is None:
                return
            writer.write(len(reply).to_bytes(_LENGTH) + reply)
            async with asyncio.timeout(limits.seconds):
                await writer.drain()
    except (TimeoutError, asyncio.IncompleteReadError, OSError):
        return
    finally:
        writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _holder(port: int) -> str:
    """Who has the port, as far as this machine tells."""
    process = ports.holder(port)
    return f"{process.name()} (pid {process.pid})" if process else "another program"
