"""What is told of a service: each thing with the line that says it."""

from __future__ import annotations

from pathlib import Path

from blumeops.checks.check import check
from blumeops.facts.story import needed_by, tell
from blumeops.lab.files import CATALOGUE
from blumeops.lab.load import load

LAB = Path(__file__).parents[1] / "cli/labs/show"


def told(folder: Path, service: str) -> list[tuple[str, str, str]]:
    """Topic, text, and the text of the line that it follows from."""
    loaded = load(folder)
    found = tell(loaded.lab, check(loaded).facts, service)
    roots = {True: CATALOGUE.parent, False: folder}
    lines = [
        (roots[each.place.file.startswith("catalogue/")] / each.place.file).read_text().split("\n") for each in found
    ]
    return [(each.topic, each.text, line[each.place.line - 1]) for each, line in zip(found, lines, strict=True)]


def test_each_thing_follows_from_its_line() -> None:
    """The line that is named holds what the thing is made of: on the service, in its app, or in lab.yaml."""
    wanted = {
        "app": '  version: "2.0"', "source": "  - {container: registry.example.org/web}", "place": "  host: box",
        "mount": "  mounts: {songs: nas/music}", "here": "  name: site", "people": "  tailnet: example.ts.net",
        "machines": "  domain: ops.example.org", "allow": "  allow: [members]", "metrics": "metrics: {http: /numbers}",
        "secret": "  secrets: {key: op://shown/keys/web}", "state": "state: {database: true}",
        "backup": 'backup: {to: nas/backups, at: "03:30"}', "health": "health: {http: /ready, within: 20s}",
        "update": "update: replace", "memory": "resources: {memory: 64Mi}", "database": "  database: store",
    }  # fmt: skip
    found = {topic: line for topic, _, line in told(LAB, "web")}
    assert {topic: found[topic] for topic in wanted} == wanted


def test_what_stands_on_the_service_counts_before_its_app(tmp_path: Path) -> None:
    """A health check, a limit or kept folders of the service's own are what is told, and their line with them."""
    own = "{host: box, app: grafana, health: {tcp: http}, resources: {memory: 1Gi}, state: {mine: /x}}"
    (tmp_path / "services").mkdir()
    (tmp_path / "lab.yaml").write_text("lab: small\nhosts: {box: {os: linux, role: compute}}\n")
    (tmp_path / "services/a.yaml").write_text(f"caddy: {{host: box}}\nboard: {own}\n")
    found = {topic: (text, line) for topic, text, line in told(tmp_path, "board")}
    for topic, text in (("health", "port http accepts, within 30 s"), ("memory", "1Gi"), ("state", "the folder mine")):
        assert found[topic] == (text, f"board: {own}")


def test_who_needs_a_service() -> None:
    """The other end of `needs`."""
    facts = check(load(LAB)).facts
    assert needed_by(facts, "store") == ["web"]
    assert needed_by(facts, "web") == []
