"""Alloy itself, with the components that are derived: what it gathers reaches the real Prometheus under our labels."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.engines.telemetry.programs import prometheus
from tests.engines.telemetry.test_alloy import on_host
from tests.engines.telemetry.validator import validator
from tests.ports import free_port
from tests.written import passed

pytestmark = [
    pytest.mark.skipif(
        not validator().exists(), reason="not built yet: python -m tests.engines.telemetry.validator"
    ),
    pytest.mark.slow,
    pytest.mark.timeout(180),
]  # fmt: skip

LAB = """\
lab: small
network: {domain: ops.example.org, tailnet: example.ts.net, dns: {provider: gandi, token: op://v/i/f}}
hosts: {box: {os: macos, role: compute}, nas: {os: dsm, role: storage, shares: {backups: {path: /b, by: [ssh]}}}}
clusters: {pods: {host: box}}
backup: {to: nas/backups}
"""
SERVICES = """\
caddy: {host: box}
alloy: {host: box}
borgmatic: {host: box}
tea: {app: pot, host: box, ports: {http: PORT}}
prometheus: {cluster: pods}
loki: {cluster: pods}
"""
POT = """\
app: pot
version: "1"
sources: [{deb: pot}]
command: [pot]
ports: {http: 1}
logs: {format: logfmt}
metrics: {http: '/m"\\x'}
state: none
"""


class Told(BaseHTTPRequestHandler):
    """Tells metrics to a GET, and keeps what is POSTed: a program of the lab, and Loki's door."""

    kept: list[bytes] = []
    paths: set[str] = set()

    def do_GET(self) -> None:
        self.paths.add(self.path)
        self.answer(200, b"pot_cups 3\n")

    def do_POST(self) -> None:
        self.kept.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(204, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def pot() -> Iterator[int]:
    """The port of such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[Path]:
    """A program until the end of the block; the file of what it says."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(20)


def test_what_a_host_has_arrives_under_its_labels(state: Path) -> None:
    """The device, a service with a strange path, a backup's file and a line of a log; each by host and service."""
    with pot() as port:
        writes, own = free_port(), free_port()  # after the pot has its own: any free number is anybody's
        files = {"lab.yaml": LAB, "services/a.yaml": SERVICES.replace("PORT", str(port)), "apps/pot/app.yaml": POT}
        text = on_host(passed(state / "lab", files), str(state / "home"))
        text = text.replace("https://prometheus.ops.example.org", f"http://127.0.0.1:{writes}")
        text = text.replace("https://loki.ops.example.org", f"http://127.0.0.1:{port}")
        text = text.replace('"30s"', '"10s"').replace("/opt/homebrew", str(state))
        text = re.sub(r'set_collectors = \["boottime".*\]', 'set_collectors = ["loadavg", "filesystem"]', text)
        (state / "config.alloy").write_text(text)
        (state / "var/borgmatic/metrics").mkdir(parents=True)
        (state / "var/borgmatic/metrics/backup.prom").write_text("blumeops_backup_last_success_timestamp_seconds 7\n")
        (state / "home/Library/Logs").mkdir(parents=True)
        (state / "home/Library/Logs/tea.log").write_text('level=warn msg="cold"\n')
        (state / "prometheus.yml").write_text("global: {}\n")
        program = Path(prometheus().folder) / "prometheus"
        server = [
            str(program), f"--config.file={state}/prometheus.yml", f"--storage.tsdb.path={state}/p",
            f"--web.listen-address=127.0.0.1:{writes}", "--web.enable-remote-write-receiver",
        ]  # fmt: skip
        collector = [str(validator()), "run", str(state / "config.alloy"), str(state / "data"), f"127.0.0.1:{own}"]
        with running(server, state), running(collector, state) as log:

            def value(query: str) -> list[str]:
                url = f"http://127.0.0.1:{writes}/api/v1/query?query={urllib.parse.quote(query)}"
                try:
                    with urllib.request.urlopen(url, timeout=5) as answer:
                        return [each["value"][1] for each in json.load(answer)["data"]["result"]]
                except OSError:
                    return []

            where = 'host="box"'
            until(lambda: value(f'pot_cups{{job="services", service="tea", app="pot", {where}}}') == ["3"], log)
            assert '/m"\\x' in {urllib.parse.unquote(path) for path in Told.paths}
            backup = f'blumeops_backup_last_success_timestamp_seconds{{service="borgmatic", {where}}}'
            until(lambda: value(backup) == ["7"], log)
            until(lambda: bool(value(f'node_load1{{job="hosts", instance="box", {where}}}')), log)
            until(lambda: value(f'up{{job="services", service="tea", {where}}}') == ["1"], log)
            until(lambda: value(f'up{{job="services", service="caddy", {where}}}') == ["0"], log)
            until(lambda: any(b'service="tea"' in body and b'level="warn"' in body for body in Told.kept), log)


def until(condition: Callable[[], bool], log: Path, seconds: float = 50) -> None:
    """Ask again and again until it is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.3)
