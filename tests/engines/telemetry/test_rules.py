"""Prometheus' configuration and rules, as promtool reads them; and each alert where it fires and where it does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.render import kubernetes, local
from blumeops.render.telemetry.rules import names, rules
from blumeops.render.telemetry.view import View
from tests.engines.telemetry.cases import CASES
from tests.engines.telemetry.programs import promtool
from tests.engines.telemetry.test_alloy import blocks, on_host
from tests.engines.telemetry.test_alloy import in_cluster as collector_in_cluster

ABOUT = re.compile(r"alertname: (\w+), time:")
FOUND = re.compile(r"\s+(Labels|Annotations):\{")
PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
LABS = Path(__file__).parents[3] / "labs"


@cache
def view(here: bool) -> View:
    """The example lab, as its Prometheus sees it."""
    checked = check_folder(LABS / "blumeops").passed
    assert checked
    return View(checked, checked.facts.services["prometheus"], here)


def in_cluster() -> dict[str, str]:
    """The files of the Prometheus that runs in the lab's cluster."""
    tree: FileTree = kubernetes.render(view(here=False).checked)
    data: dict[str, str] = yaml.safe_load(tree.text("argocd/manifests/prometheus/configmap.yaml"))["data"]
    return data


def on_this_machine() -> dict[str, str]:
    """The files of the one at site `here`, with its paths filled in."""
    files = local.units(local.render(view(here=True).checked))["prometheus"].files
    return {
        name: "".join(part if isinstance(part, str) else f"/nowhere/{part.name}" for part in text)  # type: ignore[union-attr]  # folders alone
        for name, text in files.items()
    }


@pytest.mark.parametrize("files", [in_cluster, on_this_machine])
def test_promtool_takes_configuration_and_rules(files: Any, tmp_path: Path) -> None:
    """`promtool check config` reads the configuration and the rules that it names, without a word of warning."""
    made: Mapping[str, str] = files()
    for name, text in made.items():
        text = text.replace("/etc/prometheus/", f"{tmp_path}/").replace("/nowhere/rules.yml", f"{tmp_path}/rules.yml")
        (tmp_path / name).write_text(text)
    done = promtool("check", "config", "--lint-fatal", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 1 rule files found" in done.stdout


@pytest.mark.parametrize("here", [True, False])
def test_every_alert_has_its_case(here: bool) -> None:
    """None was added without a case in which it fires and one in which it does not."""
    assert sorted(names(view(here))) == sorted(CASES)


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_where_it_should(alert: str) -> None:
    """It fires about whom it should, with every text filled in."""
    case = CASES[alert]
    ((labels, annotations),) = fired("fires")[alert]
    assert labels[case.who[0]] == case.who[1]
    assert labels["severity"] in ("critical", "warning")
    assert set(annotations) == {"summary", "description", "runbook"}
    for text in annotations.values():
        assert text and text.strip() == text
        assert not [word for word in ("{{", "<no value>", "<error", "%!") if word in text], text


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_is_quiet_where_it_should_be(alert: str) -> None:
    """The same series, or one more, with values that are well or bad for too short a time."""
    assert fired("quiet")[alert] == []


def test_what_is_expected_is_what_is_scraped(tmp_path: Path) -> None:
    """Each target that the files of Prometheus and of both collectors name, by the labels that alerts match."""
    lab = view(here=False).checked
    scraped = {
        key({"job": "services", **each["labels"]})
        for each in yaml.safe_load(in_cluster()["prometheus.yml"])["scrape_configs"][0]["static_configs"]
    }
    on_mac, pods = (blocks(text, tmp_path) for text in (on_host(lab), collector_in_cluster(lab)))
    scraped |= {
        key({"job": "services", **each}) for each in on_mac["prometheus.scrape", "services"]["values"]["targets"]
    }
    asked = pods["prometheus.exporter.blackbox", "names"]["values"]["targets"]
    scraped |= {key({"job": "probes", **each}) for each in asked} | {key({"job": "hosts", "host": "indri"})}
    rules = yaml.safe_load(in_cluster()["rules.yml"])["groups"][0]["rules"]
    expected = [key(rule["labels"]) for rule in rules if rule["record"] == "blumeops_expected"]
    assert len(set(expected)) == len(expected)
    assert set(expected) == scraped
    (backups,) = (rule["labels"]["service"] for rule in rules if rule["record"] == "blumeops_expected_backup")
    assert backups == "borgmatic"


def key(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The labels by which alerts find that something is absent."""
    return tuple(labels.get(name, "") for name in ("job", "service", "host", "cluster"))


Labels = dict[str, str]


@cache
def fired(which: str) -> dict[str, list[tuple[Labels, Labels]]]:
    """By alert, in its case that `fires` or is `quiet`: labels and annotations of each that fires.

    promtool expects none of any, and says what there is.
    """
    with TemporaryDirectory() as folder:
        made = yaml.safe_load(rules(view(here=False)))
        made["groups"] = [group for group in made["groups"] if group["name"] != "expected"]  # the case says what is
        (Path(folder) / "rules.yml").write_text(yaml.safe_dump(made))
        tests = [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in getattr(case, which).items()],
                "alert_rule_test": [{"eval_time": f"{case.at}m", "alertname": alert, "exp_alerts": []}],
            }
            for alert, case in CASES.items()
        ]
        (Path(folder) / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": tests}))
        said = promtool("test", "rules", Path(folder) / "test.yml")
    assert (said.returncode == 0) is (which == "quiet") or "alertname" in said.stdout + said.stderr, said
    found: dict[str, list[tuple[Labels, Labels]]] = {alert: [] for alert in CASES}
    about, labels = "", {}
    for line in (said.stdout + said.stderr).splitlines():
        if match := ABOUT.search(line):
            about = match[1]
        elif match := FOUND.match(line):
            pairs = dict(PAIR.findall(line))
            if match[1] == "Labels":
                labels = pairs
            else:
                found[about].append((labels, pairs))
    return found
