"""The responder in a thread of the test, and the real `dig` beside it."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from blumeops.names.answer import answer
from blumeops.names.serve import Answer, Limits, doors, serve
from blumeops.names.zone import Zone
from tests.ports import free_port

ZONE = Zone("ops.localhost", frozenset({"feed", "dj"}), 7)
LIMITS = Limits()

needs_dig = pytest.mark.skipif(not shutil.which("dig"), reason="dig is not here: apt-get install bind9-dnsutils")
needs_dnsmasq = pytest.mark.skipif(not shutil.which("dnsmasq"), reason="dnsmasq is not here: get dnsmasq-base")


@contextmanager
def live(zone: Zone = ZONE, limits: Limits = LIMITS, reply: Answer | None = None) -> Iterator[int]:
    """Serve until the block ends; the port."""
    with doors(port := free_port()) as (udp, tcp):
        begun, over = threading.Event(), []

        async def run() -> None:
            stop = asyncio.Event()
            over.append((asyncio.get_running_loop(), stop))
            begun.set()
            await serve(udp, tcp, reply or (lambda wire, how: answer(zone, wire, how)), stop, limits)

        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        begun.wait()
        loop, stop = over[0]
        try:
            yield port
        finally:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)
            thread.join(10)
            assert not thread.is_alive()


def dig(port: int, *words: str) -> str:
    """What the real program prints."""
    argv = ["dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=5", "+noidnin", "+noidnout", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout


def status(printed: str) -> str:
    """The code in what dig printed."""
    found = re.search(r"status: (\w+)", printed)
    return found[1] if found else printed
