"""Grafana's files: dashboards as its own model reads them, with queries that Prometheus itself can parse."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from blumeops.checks.check import check_folder
from blumeops.lab.app import Panel
from blumeops.render import ansible, kubernetes
from blumeops.render.telemetry.grafana.panels import SCHEMA
from blumeops.render.telemetry.grafana.topics import uid
from tests.engines.telemetry.programs import promtool
from tests.engines.telemetry.readers import read_dashboards
from tests.written import passed

LABS = Path(__file__).parents[3] / "labs"
TOPICS = {"hosts", "services", "databases", "backups", "loop"}


@cache
def files() -> dict[str, str]:
    """What the pod of the example finds in the folder, by path."""
    checked = check_folder(LABS / "blumeops").passed
    assert checked
    tree = kubernetes.render(checked)
    data = yaml.safe_load(tree.text("argocd/manifests/grafana/configmap.yaml"))["data"]
    pod = yaml.safe_load(tree.text("argocd/manifests/grafana/statefulset.yaml"))["spec"]["template"]["spec"]
    (volume,) = (each["configMap"] for each in pod["volumes"] if "configMap" in each)
    (mount,) = (each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "files-provisioning")
    assert mount["mountPath"] == "/etc/grafana/provisioning"
    return {each["path"]: data[each["key"]] for each in volume["items"]}


def dashboards() -> dict[str, Any]:
    """Each by the name of its file."""
    found = {path: text for path, text in files().items() if path.endswith(".json")}
    return {Path(path).stem: json.loads(text) for path, text in found.items()}


def test_grafanas_own_model_takes_every_dashboard(tmp_path: Path) -> None:
    """Strictly: no field that it does not know, none missing, each of the type that it wants."""
    for name, read in dashboards().items():
        (tmp_path / f"{name}.json").write_text(json.dumps(read))
    assert read_dashboards(sorted(tmp_path.glob("*.json"))) == []


@pytest.mark.parametrize(("field", "value"), [("gridPos", "left"), ("fieldConfigg", {}), ("targets", {})])
def test_the_model_refuses_what_is_none(field: str, value: Any, tmp_path: Path) -> None:
    """The same reading sees a field misspelt, and a value of another type: it can fail."""
    read = dashboards()["hosts"]
    read["panels"][0][field] = value
    (tmp_path / "hosts.json").write_text(json.dumps(read))
    assert read_dashboards([tmp_path / "hosts.json"])


def test_a_dashboard_a_topic(tmp_path: Path) -> None:
    """And one an app that says what to show; their identities are stable, of their own and short enough."""
    found = dashboards()
    apps = {name for name in found if name.startswith("app-")}
    assert found.keys() - apps == TOPICS
    assert {"app-miniflux", "app-caddy", "app-zot"} <= apps
    uids = [read["uid"] for read in found.values()]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", each) for each in uids)
    assert {read["schemaVersion"] for read in found.values()} == {SCHEMA}
    long = "a" * 50
    assert len(uid(long)) == 40 and uid(long) != uid(long[:-1] + "b")


def test_every_picture_asks_a_source_that_is_there() -> None:
    """Of the type of its panel, by the identity that the data sources are provisioned with."""
    sources = yaml.safe_load(files()["datasources/lab.yaml"])["datasources"]
    known = {(each["type"], each["uid"]) for each in sources}
    assert {each["url"] for each in sources} == {"http://prometheus.prometheus.svc:9090", "http://loki.loki.svc:3100"}
    for read in dashboards().values():
        for panel in read["panels"]:
            for each in (panel, *panel["targets"]):
                assert (each["datasource"]["type"], each["datasource"]["uid"]) in known
    (provider,) = yaml.safe_load(files()["dashboards/lab.yaml"])["providers"]
    assert provider["options"] == {"path": "/etc/grafana/provisioning/dashboards"}


def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    """Each query of a dashboard, as a rule that records it."""
    queries = [
        target["expr"].replace("$service", "a").replace("$host", "b")
        for read in dashboards().values()
        for panel in read["panels"]
        for target in panel["targets"]
        if target["datasource"]["type"] == "prometheus"
    ]
    assert len(queries) > 30
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "q.yml").write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "q.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_picture_lies_on_another() -> None:
    """Each has its place, within the 24 columns."""
    for read in dashboards().values():
        taken: set[tuple[int, int]] = set()
        for panel in read["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_what_a_person_writes_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """Titles and queries with quotes, braces and backslashes, by way of Ansible's templates and of a ConfigMap."""
    title, query = "a \"b\" {{ c }} \\ {% d %} 'e' é", 'x{service="$service", y=~"\\\\d{2}"}'
    panel = Panel(title=title, query=query, legend="{{y}}")
    app = {
        "app": "odd", "version": "1", "sources": [{"deb": "odd"}, {"container": "r.example.org/odd"}],
        "command": ["odd"], "ports": {"http": 1}, "state": "none", "metrics": {"panels": [panel.model_dump()]},
    }  # fmt: skip
    for place in ("host: box", "cluster: pods"):
        services = f"grafana: {{{place}}}\nprometheus: {{{place}}}\nodd: {{{place}}}\n"
        folder = tmp_path / place[:4]
        checked = passed(folder, {"services/a.yaml": services, "apps/odd/app.yaml": yaml.safe_dump(app)})
        if place.startswith("host"):
            name = "ansible/roles/grafana/templates/provisioning/dashboards/app-odd.json.j2"
            text = evaluated(ansible.render(checked).text(name))
        else:
            made = kubernetes.render(checked).text("argocd/manifests/grafana/configmap.yaml")
            text = yaml.safe_load(made)["data"]["provisioning.dashboards.app-odd.json"]
        shown = json.loads(text)["panels"][0]
        assert (shown["title"], shown["targets"][0]["expr"]) == (title, query)
        assert shown["targets"][0]["legendFormat"] == "{{y}}"


def test_a_dashboard_of_the_labs_own_is_there_too(tmp_path: Path) -> None:
    """As it was saved, whatever stands in it, on a host and in a cluster."""
    saved = {"title": "Tea", "panels": [], "odd": 'a "b" {{ c }} \\ {% d %} \ud800 é\r'}
    files = {"services/a.yaml": "grafana: {host: box}\nshown: {app: grafana, cluster: pods}\n"}
    checked = passed(tmp_path, {**files, "dashboards/tea.json": json.dumps(saved)})
    name = "ansible/roles/grafana/templates/provisioning/dashboards/own-tea.json.j2"
    assert json.loads(evaluated(ansible.render(checked).text(name))) == saved
    made = kubernetes.render(checked).text("argocd/manifests/shown/configmap.yaml")
    assert json.loads(yaml.safe_load(made)["data"]["provisioning.dashboards.own-tea.json"]) == saved


def evaluated(template: str) -> str:
    """A template as Ansible writes it."""
    return jinja2.Environment(keep_trailing_newline=True).from_string(template).render()
