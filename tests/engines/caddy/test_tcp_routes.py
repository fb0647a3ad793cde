"""TCP routes, as the real Caddy serves them: built with the plugin that takes them, in front of a real PostgreSQL."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import jinja2
import pytest

from blumeops.checks.check import check_folder
from blumeops.engines.local.engine import LocalEngine
from blumeops.render import ansible
from tests.engines.caddy.built import FIRST, LABS, caddy
from tests.engines.caddy.test_wildcard import DNS, serving
from tests.engines.local import units
from tests.engines.local.conftest import apply, engine, secret  # noqa: F401 - a fixture is found by its name
from tests.ports import free_port
from tests.written import passed

pytestmark = pytest.mark.timeout(FIRST)


def test_psql_by_the_proxy(engine: LocalEngine, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """Bytes go both ways, PostgreSQL itself asks for a password; once it is stopped the connection is closed."""
    apply(engine, units.postgresql(), "started")
    sql = engine.observe()["postgresql"].ports["postgres"]
    routed, https, metrics = free_port(), free_port(), free_port()
    checked = passed(tmp_path / "lab", {
        "lab.yaml": "lab: small\nhosts: {box: {os: linux, role: compute}}\n"
        "network: {domain: ops.example.org, tailnet: t.ts.net, dns: {provider: gandi, token: op://v/gandi/pat}}\n",
        "services/s.yaml": "caddy: {host: box, ports: "
        f"{{https: {{port: {https}, entry: true}}, metrics: {metrics}}}}}\n"
        f"postgresql: {{host: box, ports: {{sql: {{port: {sql}, routed: {routed}}}}}}}\n",
    })  # fmt: skip
    template = ansible.render(checked).text("ansible/roles/caddy/templates/Caddyfile.j2")
    text = jinja2.Template(template.replace(DNS, "tls internal")).render(caddy_run=str(tmp_path))
    assert f"\t\t:{routed} {{" in text
    text = text.replace(f"\t\t:{routed} {{", f"\t\t127.0.0.1:{routed} {{").replace(
        "{\n", "{\n\tdefault_bind 127.0.0.1\n", 1
    )
    spec = engine.manager.defined("postgresql.a") or engine.manager.defined("postgresql.b")
    assert spec
    where = ["-h", "127.0.0.1", "-p", str(routed), "-U", "postgres", "-d", "postgres"]
    words = ["psql", "-XAt", "-w", *where, "-c", "SELECT count(*) FROM generate_series(1, 100000)"]
    env = {"PATH": spec.env["PATH"], "PGPASSWORD": secret(units.PASSWORD)}
    with serving(tmp_path, text, https, caddy()):
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        assert done.stdout == "100000\n"
        wrong = subprocess.run(words, env={**env, "PGPASSWORD": "wrong"}, capture_output=True, text=True, check=False)
        assert "password authentication failed" in wrong.stderr
        engine.stop_all(["postgresql"])
        with socket.create_connection(("127.0.0.1", routed), 5) as made:
            made.settimeout(10)
            assert made.recv(1) == b""


def test_the_examples_whole_file_is_valid(tmp_path: Path) -> None:
    """But for the provider's plugin, which is not asked; and it is written as Caddy itself would."""
    checked = check_folder(LABS / "blumeops").passed
    assert checked
    template = ansible.render(checked).text("ansible/roles/caddy/templates/Caddyfile.j2")
    (tmp_path / "Caddyfile").write_text(
        jinja2.Template(template.replace(DNS, "tls internal")).render(caddy_run=str(tmp_path)) + "\n"
    )
    env = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": ""}
    given: list[str | Path] = ["--config", tmp_path / "Caddyfile", "--adapter", "caddyfile"]
    done = subprocess.run([caddy(), "validate", *given], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for number in (2222, 5432):
        assert (
            f":{number}"
            in subprocess.run([caddy(), "adapt", *given], env=env, capture_output=True, text=True, check=True).stdout
        )
    formatted = subprocess.run(
        [caddy(), "fmt", tmp_path / "Caddyfile"], env=env, capture_output=True, text=True, check=False
    )
    assert formatted.stdout.strip() == (tmp_path / "Caddyfile").read_text().strip()
