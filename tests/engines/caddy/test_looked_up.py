"""The proxy of site `here`, as the real Caddy serves it: names, upstreams and pages are looked up for each request."""

from __future__ import annotations

import http.client
import http.server
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from blumeops.engines.local import addresses
from blumeops.engines.local.folders import Account, Folders
from blumeops.engines.local.record import Instance
from blumeops.render import local
from blumeops.render.local_unit import FolderPart, LocalUnit, Route
from tests.engines.caddy.test_wildcard import CADDY, serving
from tests.ports import free_port
from tests.written import passed

LAB = "lab: t\nnetwork: {proxy: caddy}\nhosts: {box: {os: linux, role: compute}}\nhere: {https: PORT}\n"


class Upstream(http.server.BaseHTTPRequestHandler):
    """Says which service it is; a connection that is upgraded gets back what it sends."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the name of the server, or echo."""
        if self.headers["Upgrade"]:
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "websocket")
            self.end_headers()
            while said := self.connection.recv(100):
                self.connection.sendall(said)
            return
        said = self.server.name.encode()  # type: ignore[attr-defined]  # `upstream` gives it one
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


@contextmanager
def upstream(name: str) -> Iterator[int]:
    """A stand-in for an instance of a service, and its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.name = name  # type: ignore[attr-defined]  # for `Upstream`
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Proxy:
    """Caddy with the Caddyfile that is rendered for site `here`, and the folders that the engine keeps."""

    folders: Folders
    port: int

    def lead(self, service: str, number: int, slot: str = "a", label: str = "") -> None:
        """As the engine does it for an instance that serves."""
        unit = LocalUnit(unit=service, app=service, version="1", place="box")
        unit = unit.model_copy(update={"route": Route(label=label or service, port="http")})
        addresses.tell(self.folders, Instance(slot=slot, unit=unit, ports={"http": number}))

    @contextmanager
    def connected(self) -> Iterator[ssl.SSLSocket]:
        """A connection by TLS, as a browser makes it for some name of the lab."""
        (root,) = (self.folders.state / "data").rglob("root.crt")
        context = ssl.create_default_context(cafile=str(root))
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        with context.wrap_socket(plain, server_hostname="any.ops.localhost") as secure:
            yield secure

    def ask(self, label: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and body of one request. What is not a name is asked for all the same."""
        with self.connected() as secure:
            lines = [f"{method} /../x?y HTTP/1.1", f"Host: {label}.ops.localhost", "Connection: close"]
            lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
            secure.sendall("\r\n".join([*lines, "", ""]).encode())
            with closing(http.client.HTTPResponse(secure, method=method)) as answer:
                answer.begin()
                return answer.status, answer.read().decode()

    @contextmanager
    def websocket(self, label: str) -> Iterator[ssl.SSLSocket]:
        """A connection that was upgraded."""
        with self.connected() as secure:
            words = f"GET / HTTP/1.1\r\nHost: {label}.ops.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            secure.sendall(
                f"{words}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n".encode()
            )
            assert secure.recv(4000).startswith(b"HTTP/1.1 101")
            yield secure


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """It serves no service yet."""
    folder = tmp_path_factory.mktemp("proxy")
    folders, port = Folders(folder, Account()), free_port()
    folders.prepare()
    checked = passed(
        folder / "lab", {"lab.yaml": LAB.replace("PORT", str(port)), "services/s.yaml": "caddy: {host: box}\n"}
    )
    text = local.units(local.render(checked))["caddy"].files["Caddyfile"]
    places = {"run": str(folder), "upstreams": str(folders.upstreams), "pages": str(folders.pages)}
    said = [
        p if isinstance(p, str) else places[p.folder] if isinstance(p, FolderPart) else str(free_port()) for p in text
    ]
    with serving(folder, "".join(said), port, name="any.ops.localhost"):
        yield Proxy(folders, port)


def echo(connection: ssl.SSLSocket, word: bytes) -> bytes:
    """What comes back."""
    connection.sendall(word)
    return connection.recv(100)


def test_a_name_leads_to_its_service_or_to_a_page(proxy: Proxy) -> None:
    """New names need no reload. What is down has its page for every method, or one without a reason; what is nobody's
    name is not found."""
    assert proxy.ask("wiki")[0] == 404
    with upstream("one") as port:
        proxy.lead("wiki", port)
        assert proxy.ask("wiki") == (200, "one")
        assert proxy.ask("WIKI") == (200, "one")
    proxy.lead("wiki", 1)
    assert proxy.ask("wiki")[0] == 503
    assert "<h1>wiki is down</h1>" in proxy.ask("wiki")[1]
    (proxy.folders.pages / "wiki.html").write_text("why {env.HOME}")
    (proxy.folders.pages / "other.html").write_text("not here")
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        assert proxy.ask("wiki", method) == (503, "why {env.HOME}")
    assert proxy.ask("wiki", "HEAD") == (503, "")
    assert proxy.ask("wiki", If_None_Match="*", Range="bytes=1-2") == (503, "why {env.HOME}")
    assert proxy.ask("other") == (503, "not here")


@pytest.mark.parametrize("label", [
    "..", ".", "", "%2e%2e", "..%2f..%2fpages", "*", "f*d", "[f]eed", "fe?d", "../x/feed", "x/../feed", ".feed.a", "_",
    "{env.HOME}", "{blumeops.port}", r"..\..", "feed.feed", "f\x00", "a" * 300,
])  # fmt: skip
def test_a_hostile_name_leads_nowhere(proxy: Proxy, label: str) -> None:
    """Whatever stands in the place of a name: no file but those of names is looked at."""
    with upstream("one") as port:
        proxy.lead("feed", port)
        status, text = proxy.ask(label)
        assert status in (400, 404, 431) or (status, text) == (200, ""), text
        assert "one" not in text
        assert "root" not in text


def test_a_swap_loses_no_request(proxy: Proxy) -> None:
    """Instances take turns hundreds of times: each request finds one of them."""
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            answers.append(proxy.ask("busy"))

    with upstream("a") as one, upstream("b") as other:
        proxy.lead("busy", one)
        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        while len(answers) < 300:
            proxy.lead("busy", other, "b")
            proxy.lead("busy", one, "a")
        stop.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {(200, "a"), (200, "b")}


def test_names_come_and_go_beside_a_websocket(proxy: Proxy) -> None:
    """It goes on while its service is updated, other names come, and this one becomes another."""
    with upstream("a") as one, upstream("b") as other:
        proxy.lead("chat", one)
        with proxy.websocket("chat") as connection:
            assert echo(connection, b"hello") == b"hello"
            proxy.lead("chat", other, "b")
            proxy.lead("more", other)
            proxy.lead("chat", other, "b", label="talk")
            assert (proxy.ask("chat")[0], proxy.ask("talk"), proxy.ask("more")) == (404, (200, "b"), (200, "b"))
            assert echo(connection, b"still here") == b"still here"


def test_a_reload_cuts_no_websocket(proxy: Proxy) -> None:
    """Where the Caddyfile does change, open streams go on."""
    folder = proxy.folders.state
    with upstream("a") as one:
        proxy.lead("chat", one)
        with proxy.websocket("chat") as connection:
            assert echo(connection, b"hello") == b"hello"
            file = folder / "Caddyfile"
            file.write_text(file.read_text().replace("Nothing has this name", "No such name"))
            words: list[str | Path] = [
                "reload",
                "--config",
                file,
                "--adapter",
                "caddyfile",
                "--address",
                f"unix/{folder}/admin.sock",
            ]
            subprocess.run([CADDY, *words], check=True, capture_output=True, env={**os.environ, "HOME": str(folder)})
            assert "No such name" in proxy.ask("none")[1]
            assert echo(connection, b"still here") == b"still here"
