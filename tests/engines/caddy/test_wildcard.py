"""The proxy of a host with certificates by DNS, as the real Caddy serves it: one certificate for every name.

No provider is asked: Caddy's own authority stands in for ACME, and so for the one plugin that the file needs.
"""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jinja2
import pytest
from cryptography import x509

from blumeops.render import ansible
from tests.ports import free_port
from tests.written import passed

CADDY = Path(sys.executable).parent / "caddy"
DNS = "tls {\n\t\tdns gandi {env.DNS_TOKEN}\n\t}"


class Upstream(http.server.BaseHTTPRequestHandler):
    """Says which name it was asked by."""

    def do_GET(self) -> None:
        """Answer with the name."""
        said = f"you asked {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


@contextmanager
def upstream() -> Iterator[int]:
    """A stand-in for a service, and its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving(
    folder: Path, text: str, port: int, program: Path = CADDY, name: str = "x.ops.example.org"
) -> Iterator[None]:
    """The real program, once it has a certificate for `name` and listens, until the block ends."""
    (folder / "Caddyfile").write_text(text)
    env = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder), "PATH": ""}
    argv: list[str | Path] = [program, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, env=env, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + 20
            while not any((folder / "data").rglob("*.crt")) or not listens(port, name):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(20)


def listens(port: int, name: str) -> bool:
    """Whether the handshake with the proxy succeeds: before, it has no certificate."""
    with suppress(OSError):
        return bool(asked(name, port))
    return False


def asked(name: str, port: int) -> tuple[str, str]:
    """The name that the certificate is for, and the answer's body. Raises OSError where nobody answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        certificate = x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"")
        wrapped.sendall(f"GET / HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: wrapped.recv(4096), b"")).decode()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[0], answer.partition("\r\n\r\n")[2]


@pytest.mark.skipif(not CADDY.exists(), reason="Caddy is not in this environment: the extra `here` brings it")
def test_one_certificate_serves_every_name(tmp_path: Path) -> None:
    """Two names are served with the certificate of all, no other is made, a name that no service has is not answered,
    and of the admin API nothing but a socket is there."""
    port, metrics = free_port(), free_port()
    with upstream() as one, upstream() as other:
        lab = "lab: small\nhosts: {box: {os: linux, role: compute}}\nclusters: {pods: {host: box}}\n"
        lab += "network: {domain: ops.example.org, tailnet: t.ts.net, "
        lab += "dns: {provider: gandi, token: op://v/gandi/pat}}\n"
        checked = passed(tmp_path / "lab", {
            "lab.yaml": lab,
            "services/s.yaml": "caddy: {host: box, ports: "
            f"{{https: {{port: {port}, entry: true}}, metrics: {metrics}}}}}\n"
            f"prometheus: {{host: box, name: one, ports: {{http: {one}}}}}\n"
            f"loki: {{host: box, ports: {{http: {other}}}}}\n",
        })  # fmt: skip
        template = ansible.render(checked).text("ansible/roles/caddy/templates/Caddyfile.j2")
        assert template.count(DNS) == template.count("tls") == 1
        text = jinja2.Template(template.replace(DNS, "tls internal")).render(caddy_run=str(tmp_path))
        with serving(tmp_path, text, port):
            for label in ("one", "loki"):
                name = f"{label}.ops.example.org"
                assert asked(name, port) == ("*.ops.example.org", f"you asked {name}:{port}")
            assert asked("nobodys.ops.example.org", port) == ("*.ops.example.org", "")
            assert (tmp_path / "admin.sock").is_socket()
            with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 2019), 1):
                pass
    made = {path.stem for path in (tmp_path / "data" / "caddy" / "certificates").rglob("*.crt")}
    assert made == {"wildcard_.ops.example.org"}


@pytest.mark.skipif(not CADDY.exists(), reason="Caddy is not in this environment: the extra `here` brings it")
@pytest.mark.parametrize("name", ['a} "b" {c} {$HOME} `.yaml', "{{ 7 * 7 }}{% raw %}#}.yaml"])
def test_no_name_of_a_file_is_read_as_a_directive(tmp_path: Path, name: str) -> None:
    """All that a person chooses freely and that stands in the file is where a route is from: a comment, whatever it
    holds; one with an end of line no lab may have. Through Ansible's templates and Caddy's own reader, the routes are
    the same."""
    found = []
    for number, file in enumerate(("plain.yaml", name)):
        checked = passed(tmp_path / str(number), {
            "lab.yaml": "lab: small\nhosts: {box: {os: linux, role: compute}}\nnetwork: {domain: ops.example.org}\n",
            f"services/{file}": "caddy: {host: box}\nprometheus: {host: box, name: one}\n",
        })  # fmt: skip
        template = ansible.render(checked).text("ansible/roles/caddy/templates/Caddyfile.j2")
        (tmp_path / "Caddyfile").write_text(jinja2.Template(template).render(caddy_run="/run/caddy") + "\n")
        argv: list[str | Path] = [CADDY, "adapt", "--config", tmp_path / "Caddyfile", "--adapter", "caddyfile"]
        found.append(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    assert found[0] == found[1]
