"""Questions to servers that mean no good: each ends, in time and in size, and tells nobody what is not theirs."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from blumeops.upstream.ask import Answer, Away, Limits, ask

QUICK = Limits(silence=1.0, whole=1.0, size=1 << 16)


@dataclass
class Server:
    """`port`, and what was said to it."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/"


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[Server]:
    """A server of one thread that answers each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        listener.settimeout(0.1)
        over = threading.Event()

        def work() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(2)
                    server.heard.append(connection.recv(1 << 16))
                    answer(connection)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield server
        finally:
            over.set()
            thread.join()


def says(text: str) -> Callable[[socket.socket], None]:
    """Answers with this text, which has lines of HTTP."""
    return lambda connection: connection.sendall(text.replace("\n", "\r\n").encode())


def get(url: str, limits: Limits = QUICK) -> Answer:
    """Ask with a token, as one for that server."""
    return ask("GET", url, {"Authorization": "Bearer canary"}, limits)


def test_an_answer_of_any_status() -> None:
    """An error is an answer too, with its headers and its body."""
    with serving(says("HTTP/1.1 401 No\nWWW-Authenticate: Bearer x\nContent-Length: 2\n\nno")) as server:
        answer = get(server.url)
    assert (answer.status, answer.headers["www-authenticate"], answer.body) == (401, "Bearer x", b"no")


def test_an_answer_without_an_end() -> None:
    """More than a registry can have to say is not read."""

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 4096)

    with serving(endless) as server, pytest.raises(Away, match="more than"):
        get(server.url)


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips(begin: bytes) -> None:
    """A piece now and then, which no time limit between pieces notices, does not make it longer than the whole one."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(begin)
        for _ in range(40):
            connection.sendall(b"x")
            time.sleep(0.1)

    with serving(drip) as server:
        since = time.monotonic()
        with pytest.raises(Away, match="does not answer within 1 s"):
            get(server.url)
        assert time.monotonic() - since < 3


def test_a_server_that_says_nothing() -> None:
    """Silence has an end."""
    with serving(lambda connection: time.sleep(1.5)) as server, pytest.raises(Away, match="does not answer"):
        get(server.url)


def test_an_answer_that_breaks_off() -> None:
    """Half of it is none."""
    with (
        serving(says("HTTP/1.1 200 OK\nContent-Length: 100\n\nhalf")) as server,
        pytest.raises(Away, match="breaks off"),
    ):
        get(server.url)


def test_what_is_no_http() -> None:
    """It is told as such, in a line."""
    with serving(says("SSH-2.0-x\n")) as server, pytest.raises(Away) as raised:
        get(server.url)
    assert "\n" not in str(raised.value)


def test_a_token_is_for_its_server_alone() -> None:
    """A redirect to another port is followed, without what was said for the first one."""
    with (
        serving(says("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi")) as other,
        serving(says(f"HTTP/1.1 307 Go\nLocation: {other.url}blob\nContent-Length: 0\n\n")) as first,
    ):
        assert get(first.url).body == b"hi"
    assert b"canary" in first.heard[0]
    assert b"canary" not in other.heard[0]


def test_a_token_stays_on_the_same_server() -> None:
    """A redirect to another path of it is one question still."""
    answers = iter(
        ["HTTP/1.1 302 Go\nLocation: /there\nContent-Length: 0\n\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"]
    )
    with serving(lambda connection: says(next(answers))(connection)) as server:
        assert get(server.url).url == f"{server.url}there"
    assert all(b"canary" in each for each in server.heard)


@pytest.mark.parametrize(
    "location",
    ["http://example.org/", "ftp://127.0.0.1/", "file:///etc/passwd", "http://[", "http://a@127.0.0.1/", "//x:0/"],
)
def test_where_no_redirect_is_followed_to(location: str) -> None:
    """Plain HTTP beyond this machine, other schemes, what is no address."""
    leads = says(f"HTTP/1.1 302 Go\nLocation: {location}\nContent-Length: 0\n\n")
    with serving(leads) as server, pytest.raises(Away, match="leads to another address"):
        get(server.url)


def test_a_redirect_to_itself() -> None:
    """Five times, and then no more."""
    leads = says("HTTP/1.1 302 Go\nLocation: /\nContent-Length: 0\n\n")
    with serving(leads) as server, pytest.raises(Away, match="on and on"):
        get(server.url)
    assert len(server.heard) == 6


@pytest.mark.parametrize("url", ["http://example.org/", "ftp://127.0.0.1/", "file:///etc/passwd", "https://a@b/"])
def test_what_is_not_asked_at_all(url: str) -> None:
    """The same, where a lab says it."""
    with pytest.raises(Away, match="is not https"):
        get(url)
