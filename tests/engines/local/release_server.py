"""A publisher's server on loopback, that behaves as a test asks, and remembers what it was asked for."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[["Handler", bytes], None]


@dataclass
class Publisher:
    """`files`: what it has, by path; `behave`: how it gives them."""

    port: int
    scheme: str = "http"
    files: dict[str, bytes] = field(default_factory=dict)
    behave: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Each request's path and range."""

    def url(self, path: str) -> str:
        """The address of a file."""
        return f"{self.scheme}://localhost:{self.port}{path}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    publisher: Publisher
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Whole, or from a byte on."""
        asked = self.headers.get("Range", "")
        self.publisher.asked.append((self.path, asked))
        self.close_connection = True
        if self.path not in self.publisher.files and self.path not in self.publisher.behave:
            self.send_error(404)
            return
        content = self.publisher.files.get(self.path, b"")
        with suppress(OSError):  # the client went away
            self.publisher.behave.get(self.path, whole)(self, content)

    def start(self, status: int, headers: Mapping[str, object]) -> None:
        """Status and headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    @property
    def begin(self) -> int:
        """The byte that is asked for."""
        asked = self.headers.get("Range", "")
        return int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0

    def log_message(self, *args: object) -> None:
        """Quiet."""


def whole(handler: Handler, content: bytes) -> None:
    """As a good server does: the part that is asked for."""
    begin = handler.begin
    if begin >= len(content) and begin:
        handler.start(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": 0})
        return
    headers: dict[str, object] = {"Content-Length": len(content) - begin}
    if begin:
        headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
    handler.start(206 if begin else 200, headers)
    handler.wfile.write(content[begin:])


def without_ranges(handler: Handler, content: bytes) -> None:
    """As a simple server does: always all of it."""
    handler.start(200, {"Content-Length": len(content)})
    handler.wfile.write(content)


def cut_off(at: int) -> Behaviour:
    """Each transfer ends after so many bytes."""

    def give(handler: Handler, content: bytes) -> None:
        rest = content[handler.begin :]
        status = 206 if handler.begin else 200
        headers = {"Content-Length": len(rest)}
        extra = {"Content-Range": f"bytes {handler.begin}-{len(content) - 1}/{len(content)}"} if handler.begin else {}
        handler.start(status, {**headers, **extra})
        handler.wfile.write(rest[:at])

    return give


def slowly(pieces: int, pause: float, then: threading.Event | None = None) -> Behaviour:
    """In so many pieces with a pause between them; `then`: it waits for this before the last one."""

    def give(handler: Handler, content: bytes) -> None:
        handler.start(200, {"Content-Length": len(content)})
        size = -(-len(content) // pieces)
        for at in range(0, len(content), size):
            if then and at + size >= len(content):
                then.wait(20)
            handler.wfile.write(content[at : at + size])
            handler.wfile.flush()
            time.sleep(pause)

    return give


def answering(status: int, headers: Mapping[str, object]) -> Behaviour:
    """No content, but these words."""

    def give(handler: Handler, content: bytes) -> None:
        handler.start(status, {"Content-Length": 0, **headers})

    return give


def endless(handler: Handler, content: bytes) -> None:
    """It never ends, and does not say so; as a redirect, where the path says that."""
    handler.start(302 if "redirect" in handler.path else 200, {"Location": "/tool"})
    while True:
        handler.wfile.write(b"x" * 65536)


@contextmanager
def publishing(certificate: tuple[Path, Path] | None = None) -> Iterator[Publisher]:
    """The server, by HTTPS where there is a certificate with its key."""

    class Own(Handler):
        """A server knows itself by the class of its requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    publisher = Publisher(server.server_address[1], "https" if certificate else "http")
    Own.publisher = publisher
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = folder / "localhost.crt", folder / "localhost.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
