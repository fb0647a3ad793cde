"""One question by HTTP to a server that is not ours, and its bounded answer.

In: method, address, headers. Out: status, headers and body, after redirects; or `Away`, which says why there is no
answer. Promised: an end in time and in size, whatever the server does; no other scheme than `https`, but for loopback;
no redirect from there to `http`; what is said for one server (`Authorization`) is never said to another.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from blumeops.base.away import in_words
from blumeops.lab.remotes import is_loopback

REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """`silence`: seconds to a connection, and between two pieces; `whole`: seconds for one question; `size`: bytes."""

    silence: float = 10.0
    whole: float = 20.0
    size: int = 8 << 20


USUAL = Limits()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says; names of headers in lower case. `url`: whose answer it is, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Away(Exception):
    """There is no answer, for this reason; asking again may help."""


class Ask(Protocol):
    """`ask`, or what stands for it."""

    def __call__(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """The answer. Raises Away."""


def ask(method: str, url: str, headers: Mapping[str, str], limits: Limits = USUAL) -> Answer:
    """Ask, and follow where the server leads. Raises Away."""
    said = {"User-Agent": "blumeops", "Accept-Encoding": "identity", **headers}
    if not _is_safe(url):
        raise Away("is not https")
    for _ in range(REDIRECTS + 1):
        answer = _asked(method, url, said, limits)
        if answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
            return answer
        leads = _joined(url, answer.headers["location"])
        if not _is_safe(leads) or (_on_loopback(leads) and not _on_loopback(url)):
            raise Away("leads to another address that is not https")
        if _server(leads) != _server(url):
            said = {name: value for name, value in said.items() if name.lower() != "authorization"}
        url = leads
    raise Away(f"leads on and on, more than {REDIRECTS} times")


def _asked(method: str, url: str, headers: Mapping[str, str], limits: Limits) -> Answer:
    """What one server answers, be it an error or a redirect."""
    watched = _Watched()
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if _on_loopback(url) else None),  # no proxy knows our loopback
        _Plain(watched), _Secure(watched),
    ):  # fmt: skip
        opener.add_handler(handler)  # none for redirects and errors: they are answers like others here
    with _until(limits.whole, watched):
        try:
            request = urllib.request.Request(url, headers=dict(headers), method=method)  # noqa: S310 - its scheme was looked at
            with opener.open(request, timeout=limits.silence) as answer:
                body = answer.read(limits.size + 1)
                if watched.late:
                    raise Away(f"does not answer within {limits.whole:g} s")
                if len(body) > limits.size:
                    raise Away(f"answers with more than {limits.size >> 20} MiB")
                if answer.length:  # of a HEAD, nothing is to come
                    raise Away("breaks off")
                found = {name.lower(): str(value) for name, value in answer.headers.items()}
                return Answer(answer.status, found, body, url)
        except Away:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Away(f"does not answer within {limits.whole:g} s" if watched.late else in_words(error)) from error


class _Watched:
    """The connections of one question, which a timer cuts. A second descriptor of each is kept for that: the library
    hands the first one on, to TLS and to the answer."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.late = False

    def connect(self, *words: Any, **named: Any) -> socket.socket:
        """As `socket.create_connection`."""
        made = socket.create_connection(*words, **named)
        self.sockets.append(made.dup())
        if self.late:
            self.cut()
        return made

    def cut(self) -> None:
        """Whoever reads or writes there finds its end."""
        self.late = True
        for each in self.sockets:
            with contextlib.suppress(OSError):  # the other side has ended it
                each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _until(seconds: float, watched: _Watched) -> Iterator[None]:
    timer = threading.Timer(seconds, watched.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for each in watched.sockets:
            each.close()


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, watched: _Watched) -> None:
        super().__init__()
        self.watched = watched

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """As the library's, by connections that are watched."""
        return self.do_open(self._made, request)

    def _made(self, host: str, **settings: Any) -> http.client.HTTPConnection:
        return _by(self.watched, http.client.HTTPConnection(host, **settings))


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, watched: _Watched) -> None:
        super().__init__()
        self.watched = watched

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """As the library's, by connections that are watched."""
        return self.do_open(self._made, request)

    def _made(self, host: str, **settings: Any) -> http.client.HTTPConnection:
        context = ssl.create_default_context()
        return _by(self.watched, http.client.HTTPSConnection(host, context=context, **settings))


def _by(watched: _Watched, made: http.client.HTTPConnection) -> http.client.HTTPConnection:
    made._create_connection = watched.connect  # type: ignore[attr-defined]  # the library's hook, which it tests with
    return made


def _joined(url: str, location: str) -> str:
    """Where a redirect leads; empty where that is no address."""
    try:
        leads = urljoin(url, location)
        return leads if urlsplit(leads).port != 0 else ""
    except ValueError:  # brackets without an address in them, a port that is none
        return ""


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.hostname) and "@" not in parts.netloc and (parts.scheme == "https" or _is_plain_loopback(url))


def _is_plain_loopback(url: str) -> bool:
    return urlsplit(url).scheme == "http" and _on_loopback(url)


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return is_loopback(f"[{host}]" if ":" in host else host)


def _server(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
