"""What Prometheus watches: the same targets for each engine, at the addresses that are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from blumeops.checks.check import CheckedLab
from blumeops.render import ansible, kubernetes, local
from blumeops.render.local_unit import FolderPart
from tests.written import passed

LAB = """\
lab: test
hosts: {server: {os: linux, role: compute}, other: {os: linux, role: compute}}
clusters: {pods: {host: server, kind: k3s}}
"""
DEMO = """\
app: demo
version: "1"
sources: [{deb: demo}, {container: registry.example.org/demo}]
command: [demo]
ports: {http: 8000, metrics: 8001}
metrics: {http: '/a"b{{1}}', port: metrics}
state: none
"""
SERVICES = """\
prometheus: {PLACE}
grafana: {PLACE}
shown: {app: demo, PLACE}
kiwix: {PLACE}
far: {app: demo, host: other}
"""


def lab(folder: Path, place: str) -> CheckedLab:
    """A lab whose Prometheus and neighbours are at `place`."""
    services = SERVICES.replace("PLACE", place)
    return passed(folder, {"lab.yaml": LAB, "services/a.yaml": services, "apps/demo/app.yaml": DEMO})


def targets(text: str) -> list[tuple[str, dict[str, str]]]:
    """The one job's static targets, with their labels."""
    found: list[dict[str, Any]] = yaml.safe_load(text)["scrape_configs"][0]["static_configs"]
    return [(target, each["labels"]) for each in found for target in each["targets"]]


def labels(service: str, app: str, path: str = "/metrics", place: str = "host", at: str = "server") -> dict[str, str]:
    """The labels of a target."""
    return {"service": service, "app": app, place: at, "__metrics_path__": path}


def test_on_this_machine_prometheus_watches_files(tmp_path: Path) -> None:
    """No service is named in its unit: one that comes, goes or moves changes nothing of it."""
    tree = local.units(local.render(lab(tmp_path, "host: server")))
    text = tree["prometheus"].files["prometheus.yml"]
    folders = [part for part in text if isinstance(part, FolderPart)]
    assert [(part.folder, part.name) for part in folders] == [("config", "rules.yml"), ("targets", "*.json")]
    read = yaml.safe_load("".join(part if isinstance(part, str) else f"/t/{part.name}" for part in text))  # type: ignore[union-attr]  # folders alone
    assert read["scrape_configs"][0]["file_sd_configs"] == [{"files": ["/t/*.json"]}]
    assert read["scrape_configs"][1]["job_name"] == "loop"
    assert read["rule_files"] == ["/t/rules.yml"]
    told = tree["shown"].metrics
    assert told and told.labels == {"service": "shown", "app": "demo", "host": "server"}
    metrics = {name: unit.metrics and (unit.metrics.port, unit.metrics.path) for name, unit in tree.items()}
    assert metrics["shown"] == ("metrics", '/a"b{{1}}')
    assert metrics["kiwix"] is None


def test_on_a_host_it_watches_its_neighbours(tmp_path: Path) -> None:
    """Services of the same host at its loopback; what another host's loopback hides is left out."""
    tree = ansible.render(lab(tmp_path, "host: server"))
    text = tree.text("ansible/roles/prometheus/templates/prometheus.yml.j2")
    raw = text.partition("#}\n")[2].replace("{{ '{{' }}", "{{")
    assert [target for target, _ in targets(raw)] == ["127.0.0.1:3000", "127.0.0.1:9090", "127.0.0.1:8001"]
    assert [each for _, each in targets(raw)] == [
        labels("grafana", "grafana"), labels("prometheus", "prometheus"), labels("shown", "demo", '/a"b{{1}}'),
    ]  # fmt: skip


def test_in_a_cluster_it_watches_the_clusters_services(tmp_path: Path) -> None:
    """By the names of their Services, each with the path and the port that its app says."""
    tree = kubernetes.render(lab(tmp_path, "cluster: pods"))
    text = yaml.safe_load(tree.text("argocd/manifests/prometheus/configmap.yaml"))["data"]["prometheus.yml"]
    assert targets(text) == [
        ("grafana.grafana.svc:3000", labels("grafana", "grafana", place="cluster", at="pods")),
        ("prometheus.prometheus.svc:9090", labels("prometheus", "prometheus", place="cluster", at="pods")),
        ("shown.shown.svc:8001", labels("shown", "demo", '/a"b{{1}}', "cluster", "pods")),
    ]
