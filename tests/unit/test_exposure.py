"""Changes of who reaches what, in words: between two labs, and from none."""

from __future__ import annotations

from pathlib import Path

import pytest

from blumeops.checks.check import CheckedLab
from blumeops.plan.exposure import exposure, exposure_lines
from tests.written import passed

LAB = """\
lab: l
network: {tailnet: t.ts.net, domain: ops.l.org}
people:
  ann: {login: ann@l.org, role: admin}
  household: {login: household@l.org}
hosts: {box: {os: linux, role: compute}, lap: {os: macos, role: workstation, owner: household}}
clusters: {pods: {host: box, kind: k3s}}
"""
SERVICES = """\
external-secrets: {cluster: pods}
tailscale-operator: {cluster: pods}
caddy: {host: box}
grafana: {cluster: pods}
"""


def made(folder: Path, lab: str = LAB, services: str = SERVICES, **more: str) -> CheckedLab:
    """A lab of these two files."""
    return passed(folder, {"lab.yaml": lab, "services/a.yaml": services, **more})


GRAFANA = "grafana: {cluster: pods}"
CHANGES = [
    (GRAFANA, "grafana: {cluster: pods, allow: [household]}", "household can now reach grafana on 443"),
    (GRAFANA, "grafana: {cluster: pods, allow: [members]}", "household can now reach grafana on 443"),
    (
        GRAFANA, "grafana: {cluster: pods}\npostgresql: {cluster: pods, allow: [members]}",
        "household can now reach postgresql on 5432",
    ),
    (
        GRAFANA, "grafana: {cluster: pods}\nkiwix: {host: box}",
        "the host box can now reach kiwix on 443\nthe pods of pods can now reach kiwix on 443",
    ),
    (GRAFANA, "grafana: {cluster: pods, options: {home: /g}}", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), CHANGES)
def test_a_change_is_said_in_words_and_its_undoing_too(tmp_path: Path, old: str, new: str, words: str) -> None:
    """What one way opens, the other way closes."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before, after = made(tmp_path / "a"), made(tmp_path / "b", services=SERVICES.replace(old, new))
    assert "\n".join(exposure_lines(exposure(before, after))) == words
    back = words.replace("can now reach", "can no longer reach")
    assert "\n".join(exposure_lines(exposure(after, before))) == back


def test_who_becomes_an_admin_reaches_everything(tmp_path: Path) -> None:
    """Said once, not a line a service."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    after = made(tmp_path / "b", LAB.replace("household@l.org}", "household@l.org, role: admin}"))
    assert exposure_lines(exposure(made(tmp_path / "a"), after)) == ["household can now reach everything"]


def test_a_policy_of_ones_own_is_said_too(tmp_path: Path) -> None:
    """What policy.hujson opens beside the lab's own words."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    own = '{"grants": [{"src": ["group:members"], "dst": ["tag:box"], "ip": ["tcp:22"]}]}'
    after = made(tmp_path / "b", **{"policy.hujson": own})
    assert exposure_lines(exposure(made(tmp_path / "a"), after)) == ["household can now reach the host box on 22"]


def test_from_nothing_everything_is_new(tmp_path: Path) -> None:
    """A lab that was never up: who reaches what, a line a subject."""
    lines = exposure_lines(exposure(None, made(tmp_path)))
    assert "ann can now reach everything" in lines
    assert not [line for line in lines if line.startswith("household")]


def test_a_lab_without_a_network_exposes_nothing(tmp_path: Path) -> None:
    """It lives at site `here` alone."""
    lab = LAB.replace("network: {tailnet: t.ts.net, domain: ops.l.org}\n", "")
    assert exposure(None, made(tmp_path, lab)) == ()
