"""Requests at a steady rate through the proxy, over TLS that is verified; every answer is kept.

Bounded: it ends when it is told to, and sends to loopback alone.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.site import Site

MOST_SECONDS = 300


@dataclass
class Load:
    """What was answered: `(status, text)`, or `(0, why)` for a request that failed."""

    answers: list[tuple[int, str]] = field(default_factory=list)

    @property
    def failed(self) -> list[tuple[int, str]]:
        """Those that a person would have noticed."""
        return [answer for answer in self.answers if answer[0] != 200]


class _Client:
    """One thread's connection, kept alive; a new one every few requests, as browsers come and go."""

    def __init__(self, site: Site, label: str) -> None:
        self.host, self.port = f"{label}.ops.localhost", site.https
        root = site.state / "data/caddy/data/caddy/pki/authorities/local/root.crt"
        self.context = ssl.create_default_context(cafile=str(root))
        self.local = threading.local()

    def ask(self, number: int) -> tuple[int, str]:
        """One request: each seventh a POST, each eleventh a slow one."""
        method, path = ("POST" if number % 7 == 0 else "GET"), ("/slow" if number % 11 == 0 else "/")
        try:
            connection = self._connection(number)
            connection.request(method, path, body=b"x" * 2000 if method == "POST" else None)
            answer = connection.getresponse()
            return answer.status, answer.read().decode().rstrip(".")
        except (OSError, http.client.HTTPException) as error:
            self.local.connection = None
            return 0, f"{method} {path}: {error!r}"

    def _connection(self, number: int) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self.local, "connection", None)
        if kept is None or number % 20 == 0:
            if kept:
                kept.close()
            kept = http.client.HTTPConnection(self.host, self.port)
            plain = socket.create_connection(("127.0.0.1", self.port), 10)
            kept.sock = self.context.wrap_socket(plain, server_hostname=self.host)
            kept.auto_open = 0  # a connection that was closed under us is a failure, not a reason for another try
            self.local.connection = kept
        return kept

    def close(self) -> None:
        """The connection of this thread."""
        if kept := getattr(self.local, "connection", None):
            kept.close()


@contextmanager
def websocket(site: Site, label: str) -> Iterator[Callable[[bytes], bytes]]:
    """A connection that was upgraded, to a service that sends back what it gets: a call sends, and gives what comes."""
    client = _Client(site, label)
    plain = socket.create_connection(("127.0.0.1", client.port), 10)
    with client.context.wrap_socket(plain, server_hostname=client.host) as connection:
        words = [f"GET / HTTP/1.1\r\nHost: {client.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"]
        words.append("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n")
        connection.sendall("".join(words).encode())
        assert connection.recv(4000).startswith(b"HTTP/1.1 101")

        def echo(word: bytes) -> bytes:
            connection.sendall(word)
            return connection.recv(100)

        yield echo


@contextmanager
def load(site: Site, label: str, rate: float, threads: int = 8) -> Iterator[Load]:
    """`rate` requests a second to `label`, by `threads` clients, for as long as the block runs."""
    client, found, stop = _Client(site, label), Load(), threading.Event()

    def work(first: int) -> None:
        began = time.monotonic()
        number = first
        while not stop.is_set() and time.monotonic() - began < MOST_SECONDS:
            found.answers.append(client.ask(number))
            number += threads
            stop.wait(max(0.0, began + number / rate - time.monotonic()))
        client.close()

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work, first) for first in range(threads)]
        try:
            yield found
        finally:
            stop.set()
            for each in running:
                each.result()
