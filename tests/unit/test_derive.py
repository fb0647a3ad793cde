"""What follows from a description: places, addresses, routes, secrets and order."""

from __future__ import annotations

from pathlib import Path

import pytest

from blumeops.checks.check import CheckedLab
from tests.written import LAB, check, passed

NAMES = f"{LAB}network: {{tailnet: example.ts.net, domain: ops.example.org}}\n"


def lab(folder: Path, services: str) -> CheckedLab:
    """A lab with names, a proxy and these services."""
    return passed(folder, {"lab.yaml": NAMES, "services/a.yaml": f"caddy: {{host: box}}\n{services}"})


def test_facts_are_derived_from_what_is_whole(tmp_path: Path) -> None:
    """A lab that does not pass has facts all the same, of the services that could be read."""
    checked = check(tmp_path, {"services/a.yaml": "caddy: {host: box}\ngone: {host: box}\nminiflux: {cluster: no}\n"})
    assert checked.passed is None
    assert set(checked.facts.services) == {"caddy", "miniflux"}
    assert checked.facts.services["miniflux"].host == ""


@pytest.mark.parametrize(
    ("service", "wanted"),
    [
        (
            "{cluster: pods, name: dash, allow: [members]}",
            ("https://dash.ops.localhost:8443", "https://dash.example.ts.net", "https://dash.ops.example.org"),
        ),
        (
            "{cluster: pods}",
            ("https://web.ops.localhost:8443", "https://web.ops.example.org", "https://web.ops.example.org"),
        ),
        ("{cluster: pods, app: postgresql}", ("", "", "")),
    ],
)
def test_the_addresses_of_a_service(service: str, wanted: tuple[str, str, str], tmp_path: Path) -> None:
    """Here, for people, for machines; none for what speaks no HTTP."""
    described = service if "app" in service else service.replace("{", "{app: grafana, ")
    found = lab(tmp_path, f"web: {described}\n").facts.services["web"]
    assert (found.here_url, found.people_url, found.machine_url) == wanted


def test_the_routes_are_what_speaks_http(tmp_path: Path) -> None:
    """In the order of the services' names; the proxy does not lead to itself."""
    found = lab(
        tmp_path, "loki: {cluster: pods, name: a}\npostgresql: {cluster: pods}\ngrafana: {cluster: pods}\n"
    ).facts.routes
    assert [(route.label, route.service, route.port) for route in found] == [
        ("grafana", "grafana", "http"),
        ("a", "loki", "http"),
    ]


def test_the_device_of_a_service(tmp_path: Path) -> None:
    """Its host, or the one that carries its cluster."""
    found = lab(tmp_path, "grafana: {cluster: pods}\n").facts.services
    assert (found["caddy"].host, found["grafana"].host) == ("box", "box")


def test_the_secrets_of_a_service(tmp_path: Path) -> None:
    """Each with its reference, how it is made, and its place; a database brings a password."""
    services = "postgresql: {cluster: pods}\nminiflux: {cluster: pods, database: postgresql, secrets: {admin_password: op://v/i/f}}\n"
    found = lab(tmp_path, services).facts.services["miniflux"].secrets
    assert [(use.name, use.reference, use.recipe and use.recipe.length, use.place.line) for use in found] == [
        ("admin_password", "op://v/i/f", 24, 3),
        ("database_password", "op://lab/miniflux/database-password", 32, 3),
    ]


def test_a_version_is_the_services_or_the_apps(tmp_path: Path) -> None:
    """The catalogue's is only the default."""
    found = lab(tmp_path, "grafana: {cluster: pods, version: '12.1'}\nloki: {cluster: pods}\n").facts.services
    assert found["grafana"].version == "12.1"
    assert found["loki"].version == found["loki"].app.version
