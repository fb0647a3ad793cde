"""The forge's HTTP by itself: who is let in, what exists, and clients that go away."""

from __future__ import annotations

import gzip
import http.client
import os
import socket
from base64 import b64encode

import psutil
import pytest

from tests.engines.forge.live import Client, Live
from tests.eventually import eventually

REFS = "/lab.git/info/refs?service=git-upload-pack"


def ask(forge: Live, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """One request; status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", forge.port, timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8480", "127.0.0.1:8480", "[::1]:1", "forge.ops.localhost"])
def test_own_hosts_are_served(forge: Live, host: str) -> None:
    """Every name of this machine is served."""
    assert ask(forge, "GET", REFS, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["example.com", "localhost.example.com", "127.0.0.1.example.com", "192.168.1.50", "", "evil@localhost"]
)
def test_foreign_host_is_refused(forge: Live, host: str) -> None:
    """A name that a foreign DNS server points at this machine is refused, also with the token."""
    assert ask(forge, "GET", REFS, Host=host, Authorization=_basic(forge.token))[0] == 421


@pytest.mark.parametrize(
    ("origin", "status"), [("http://localhost:1", 200), ("https://evil.example", 403), ("null", 403)]
)
def test_foreign_origin_is_refused(forge: Live, origin: str, status: int) -> None:
    """A page from elsewhere cannot make a browser ask."""
    assert ask(forge, "GET", REFS, Origin=origin)[0] == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/lab.git/HEAD", 404),
        ("GET", "/lab.git/config", 404),
        ("GET", "/lab.git/objects/info/packs", 404),
        ("GET", "/lab.git/info/refs", 404),
        ("GET", "/lab.git/info/refs?service=git-upload-archive", 404),
        ("GET", "/lab.git/../forge-token", 404),
        ("GET", "/lab.git/%2e%2e/%2e%2e/forge-token", 404),
        ("GET", "/other.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/lab.git/git-upload-pack", 405),
        ("POST", REFS, 405),
        ("GET", "/lab.git/info/refs?service=git-receive-pack", 401),
        ("POST", "/lab.git/git-receive-pack", 401),
    ],
)
def test_only_the_smart_protocol_exists(forge: Live, method: str, path: str, status: int) -> None:
    """Files of the repository cannot be had, nothing outside it exists, and pushing needs the token."""
    assert ask(forge, method, path)[0] == status


def test_wrong_content_type_is_refused(forge: Live) -> None:
    """What a form of a foreign page could post is refused."""
    status, _ = ask(forge, "POST", "/lab.git/git-upload-pack", b"0000", Content_Type="text/plain")
    assert status == 415


def test_compressed_request(forge: Live, client: Client) -> None:
    """A gzip'ed request (as git sends long ones) is understood."""
    client.push()
    command = b"0014command=ls-refs\n00010009peel\n0000"
    status, body = ask(
        forge, "POST", "/lab.git/git-upload-pack", gzip.compress(command),
        Content_Type="application/x-git-upload-pack-request", Content_Encoding="gzip", Git_Protocol="version=2",
    )  # fmt: skip
    assert status == 200
    assert b"refs/heads/main" in body


def test_client_that_goes_away_while_it_sends(forge: Live, client: Client) -> None:
    """Half a push and a closed connection leave no process and no quarantine."""
    head = (
        f"POST /lab.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nAuthorization: {_basic(forge.token)}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000000\r\n\r\n"
    )
    line = f"{'0' * 40} {'1' * 40} refs/heads/main\0report-status\n".encode()
    start = b"%04x" % (len(line) + 4) + line + b"0000PACK\0\0\0\2\0\0\0\5"
    with socket.create_connection(("127.0.0.1", forge.port)) as connection:
        connection.sendall(head.encode() + start)
        eventually(lambda: "git" in _children())
    eventually(lambda: not _children())
    eventually(lambda: forge.pushes)
    assert forge.repository.head() is None
    assert client.push()[0] == 0


def test_client_that_goes_away_while_it_reads(forge: Live, client: Client) -> None:
    """A clone that is left in the middle leaves no process and no open pipe."""
    (client.folder / "noise").write_bytes(os.urandom(4 << 20))
    for number in range(3):
        (client.folder / f"{number}").write_bytes(os.urandom(4 << 20))
    revision = client.commit("lab.yaml", b"lab: large\n")
    assert client.push()[0] == 0
    want = f"want {revision} no-progress\n".encode()
    body = b"%04x" % (len(want) + 4) + want + b"00000009done\n"
    head = (
        "POST /lab.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    eventually(lambda: not _children())
    before = psutil.Process().num_fds()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", forge.port)) as connection:
            connection.sendall(head.encode() + body)
            assert b"200 OK" in connection.recv(1000)
            eventually(lambda: "git" in _children())
        eventually(lambda: not _children())
    eventually(lambda: psutil.Process().num_fds() <= before)


def _children() -> list[str]:
    names = []
    for child in psutil.Process().children(recursive=True):
        try:
            names.append(child.name())
        except psutil.NoSuchProcess:
            continue
    return names


def _basic(token: str) -> str:
    return "Basic " + b64encode(f"me:{token}".encode()).decode()
