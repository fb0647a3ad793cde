"""Prometheus' configuration and rules, as promtool reads them; and each alert where it fires and where it does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
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
def test_an_alert_fires_where_it_should(alert: str, tmp_path: Path) -> None:
    """It fires about whom it should, with every text filled in."""
    case = CASES[alert]
    (labels, annotations), *more = fired(alert, case.at, case.fires, tmp_path)
    assert not more
    assert labels[case.who[0]] == case.who[1]
    assert labels["severity"] in ("critical", "warning")
    assert set(annotations) == {"summary", "description", "runbook"}
    for text in annotations.values():
        assert text and text.strip() == text
        assert not [word for word in ("{{", "<no value>", "<error", "%!") if word in text], text


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_is_quiet_where_it_should_be(alert: str, tmp_path: Path) -> None:
    """The same series, or one more, with values that are well or bad for too short a time."""
    assert fired(alert, CASES[alert].at, CASES[alert].quiet, tmp_path) == []


Labels = dict[str, str]


def fired(alert: str, minutes: int, series: Mapping[str, str], folder: Path) -> list[tuple[Labels, Labels]]:
    """The labels and annotations of this alert where these series are known for so long, as promtool tells them."""
    made = yaml.safe_load(rules(view(here=False)))
    made["groups"] = [group for group in made["groups"] if group["name"] != "expected"]  # the case says what is
    (folder / "rules.yml").write_text(yaml.safe_dump(made))
    wanted = {"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": []}
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": given, "alert_rule_test": [wanted]}
    (folder / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    done = promtool("test", "rules", folder / "test.yml")
    got = [
        dict(PAIR.findall(line)) for line in done.stdout.splitlines() + done.stderr.splitlines() if FOUND.match(line)
    ]
    assert bool(got) is bool(done.returncode), done.stdout + done.stderr  # it expects none, and says what there is
    return list(zip(got[::2], got[1::2], strict=True))
