"""Alloy's configurations, as Alloy's own parser reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from blumeops.checks.check import CheckedLab, check_folder
from blumeops.render import ansible, kubernetes, local
from tests.engines.telemetry.readers import read_alloy
from tests.written import passed

LABS = Path(__file__).parents[3] / "labs"
LINUX = {
    "lab.yaml": "lab: small\nhosts: {box: {os: linux, role: compute}, nas: {os: dsm, role: storage, shares: "
    "{backups: {path: /b, by: [ssh]}}}}\nbackup: {to: nas/backups}\nclusters: {pods: {host: box}}\n",
    "services/a.yaml": "alloy: {host: box}\nborgmatic: {host: box}\nweb: {app: miniflux, host: box, database: pg}\n"
    "pg: {app: postgresql, host: box}\nprometheus: {cluster: pods}\nloki: {cluster: pods}\n",
}
HOSTILE = """\
app: odd
version: "1"
sources: [{deb: odd}, {container: registry.example.org/odd}]
command: [odd]
ports: {http: 8000}
health: {http: '/h"\\`{{1}}$(x)'}
metrics: {http: '/m"\\`{{1}}%{x}'}
state: none
"""
Blocks = dict[tuple[str, str], Any]


def example() -> CheckedLab:
    """The lab that ships with the project."""
    checked = check_folder(LABS / "blumeops").passed
    assert checked
    return checked


def on_host(checked: CheckedLab, user: str = "/Users/erich") -> str:
    """What the role writes on the host."""
    text = ansible.render(checked).text("ansible/roles/alloy/templates/config.alloy.j2")
    facts = {"user_dir": user}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text).render(ansible_facts=facts, alloy_prefix="/opt/homebrew").lstrip("\n")


def in_cluster(checked: CheckedLab, name: str = "alloy-k8s") -> str:
    """What the pod reads."""
    data = yaml.safe_load(kubernetes.render(checked).text(f"argocd/manifests/{name}/configmap.yaml"))["data"]
    return str(data["config.alloy"])


def here(checked: CheckedLab) -> str:
    """What the process at site `here` reads."""
    text = local.units(local.render(checked))["alloy"].files["config.alloy"]
    return "".join(part if isinstance(part, str) else "1" for part in text)


def blocks(text: str, folder: Path) -> Blocks:
    """The blocks by name and label: none twice, every reference to one that is there, written as `alloy fmt` would."""
    (folder / "config.alloy").write_text(text)
    read = read_alloy(folder / "config.alloy")
    assert read["formatted"] == text
    found = {(each["name"], each["label"]): each for each in read["blocks"]}
    assert len(found) == len(read["blocks"])
    declared = {".".join(key) for key in found}
    for reference in references(read["blocks"]):
        assert any(reference.startswith(f"{name}.") for name in declared), reference
    return found


def references(values: Any) -> Iterator[str]:
    """Every reference to a component, however deep."""
    if isinstance(values, dict):
        if set(values) == {"expression"}:
            yield from re.findall(r"[a-z_]+(?:\.\w+){2,}", values["expression"])
            return
        values = list(values.values())
    if isinstance(values, list):
        for each in values:
            yield from references(each)


@pytest.mark.parametrize("made", [on_host, in_cluster, here])
def test_alloy_reads_the_example(made: Callable[[CheckedLab], str], tmp_path: Path) -> None:
    """Each collector's configuration parses, refers only to what is in it, and is formatted as Alloy formats it."""
    found = blocks(made(example()), tmp_path)
    assert ("prometheus.remote_write", "lab") in found


def test_the_parser_refuses_what_is_none(tmp_path: Path) -> None:
    """The same reading sees a brace that is missing: it can fail."""
    (tmp_path / "config.alloy").write_text(on_host(example()).removesuffix("}\n"))
    with pytest.raises(ValueError, match=r"config\.alloy:"):
        read_alloy(tmp_path / "config.alloy")


def test_the_mac_is_watched_whole(tmp_path: Path) -> None:
    """Device, services, the file of backups, each log where launchd writes it; and it is sent by names of the proxy."""
    checked = example()
    found = blocks(on_host(checked), tmp_path)
    assert found["discovery.relabel", "device"]["blocks"][2]["values"] == {
        "target_label": "host", "replacement": "indri",
    }  # fmt: skip
    targets = {each["service"]: each for each in found["prometheus.scrape", "services"]["values"]["targets"]}
    assert targets["forgejo"]["__address__"] == "127.0.0.1:3000"
    assert set(targets) == {"alloy", "caddy", "forgejo", "zot"}
    told = found["prometheus.exporter.unix", "borgmatic_files"]["blocks"][0]["values"]
    assert told == {"directory": "/opt/homebrew/var/borgmatic/metrics"}
    logs = {each["service"]: each for each in found["local.file_match", "logs"]["values"]["path_targets"]}
    tree = ansible.render(checked)
    for name, each in logs.items():
        written = yaml.safe_load(tree.text(f"ansible/roles/{name}/vars/darwin.yml"))[f"{name}_log"]
        assert each["__path__"] == written.replace("{{ ansible_facts['user_dir'] }}", "/Users/erich")
    assert set(logs) == {"alloy", "borgmatic", "caddy", "forgejo", "jellyfin", "zot"}
    urls = [found[sink, "lab"]["blocks"][0]["values"]["url"] for sink in ("prometheus.remote_write", "loki.write")]
    assert urls == ["https://prometheus.ops.eblu.me/api/v1/write", "https://loki.ops.eblu.me/loki/api/v1/push"]


def test_a_linux_host_reads_its_journal(tmp_path: Path) -> None:
    """The units that are the lab's, by the names of services; its unit may read the journal and the backup's file."""
    checked = passed(tmp_path / "lab", LINUX)
    found = blocks(on_host(checked), tmp_path)
    keep, *rules = (each["values"] for each in found["loki.relabel", "journal"]["blocks"])
    assert keep["regex"] == "(alloy|borgmatic|pg|web)\\.service"
    assert {"regex": "web\\.service", "target_label": "app", "replacement": "miniflux"}.items() <= rules[-1].items()
    told = found["prometheus.exporter.unix", "borgmatic_files"]["blocks"][0]["values"]
    tree = ansible.render(checked)
    variables = yaml.safe_load(tree.text("ansible/roles/borgmatic/vars/linux.yml"))
    assert told == {"directory": variables["borgmatic_state"]["metrics"]}
    unit = tree.text("ansible/roles/alloy/templates/systemd.service.j2")
    assert "\nSupplementaryGroups=systemd-journal\n" in unit
    tasks = yaml.safe_load(tree.text("ansible/roles/borgmatic/tasks/main.yml"))
    (folder,) = (each for each in tasks if "files of metrics" in each["name"])
    assert folder["ansible.builtin.file"]["mode"] == "0755"


def test_every_service_is_asked_by_its_name(tmp_path: Path) -> None:
    """In the cluster: each service with pages once, by the proxy's name and its own health check's path."""
    checked = example()
    found = blocks(in_cluster(checked), tmp_path)
    asked = {each["service"]: each for each in found["prometheus.exporter.blackbox", "names"]["values"]["targets"]}
    for route in checked.facts.routes:
        if route.service != "alloy-k8s":
            url = f"https://{route.label}.ops.eblu.me"
            assert asked[route.service]["address"].startswith(f"{url}/")
    assert asked["miniflux"]["address"] == "https://feed.ops.eblu.me/healthcheck"
    assert (asked["postgresql"]["module"], asked["uptime"]["module"]) == ("tcp_connects", "http_answers")
    modules = yaml.safe_load(found["prometheus.exporter.blackbox", "names"]["values"]["config"])["modules"]
    assert {each["module"] for each in asked.values()} == set(modules)


def test_what_a_person_writes_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """Quotes, backslashes, backticks and braces in paths, on a host and in a cluster."""
    files = {**LINUX, "apps/odd/app.yaml": HOSTILE}
    files["services/a.yaml"] += "far: {app: odd, host: box}\nnear: {app: odd, cluster: pods}\n"
    files["services/a.yaml"] += "eye: {app: alloy, cluster: pods}\n"
    files["lab.yaml"] += "network: {domain: ops.example.org, tailnet: example.ts.net}\n"
    files["services/a.yaml"] += "caddy: {host: box}\n"
    checked = passed(tmp_path / "lab", files)
    found = blocks(on_host(checked), tmp_path)
    targets = {each["service"]: each for each in found["prometheus.scrape", "services"]["values"]["targets"]}
    assert targets["far"]["__metrics_path__"] == '/m"\\`{{1}}%{x}'
    found = blocks(in_cluster(checked, "eye"), tmp_path)
    asked = {each["service"]: each for each in found["prometheus.exporter.blackbox", "names"]["values"]["targets"]}
    assert asked["near"]["address"] == 'https://near.ops.example.org/h"\\`{{1}}$(x)'
