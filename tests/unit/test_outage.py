"""What is lost without a host, a cluster or a service of the example lab."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from blumeops.facts.access.access import Access
from blumeops.facts.derive import derive
from blumeops.facts.outage import WITHOUT, Outages
from blumeops.lab.load import load

LAB = Path(__file__).parents[2] / "labs" / "blumeops"


@cache
def outages() -> Outages:
    """Of labs/blumeops."""
    lab = load(LAB).lab
    return Outages(Access(lab, derive(lab)))


LOST = [
    ("sifaka", {"jellyfin", "navidrome", "backups"}),
    ("postgresql", {"miniflux"}),
    ("caddy", {"*.ops.eblu.me"}),
    ("kiwix", set()),
    ("gilbert", set()),
    ("zot", set()),
    ("forgejo", set()),
]


@pytest.mark.parametrize(("name", "lost"), LOST)
def test_what_cannot_do_without_it_is_lost(name: str, lost: set[str]) -> None:
    """And nothing else: what only comes into being by it runs on."""
    assert {each.name for each in outages().of(name).lost} == lost


def test_the_loss_of_the_server_is_everything() -> None:
    """Services on it, its cluster, and all that runs in there."""
    lost = {each.name for each in outages().of("indri").lost}
    assert set(outages().facts.services) <= lost
    assert {"minikube", "backups"} <= lost


def test_for_whom_it_is_lost() -> None:
    """A member loses what it reached; an admin what only the proxy leads to."""
    assert outages().of("sifaka").users["household"] == ("jellyfin", "navidrome")
    assert "household" not in outages().of("prometheus").users
    assert outages().of("prometheus").users == {"erich": ("prometheus",)}
    assert "household" not in outages().of("caddy").users


def test_what_runs_on_lacks_something() -> None:
    """Without the registry the cluster gets no new images; without the forge Argo CD follows no new revision."""
    assert {each.name for each in outages().of("zot").lacking} == {"minikube"}
    assert {each.name for each in outages().of("forgejo").lacking} == {"argocd"}


def test_the_worst_single_point_of_failure_comes_first() -> None:
    """By how much is lost."""
    points = outages().single_points()
    assert [each.name for each in points[:2]] == ["indri", "minikube"]
    assert all(each.lost for each in points)


def test_every_reason_that_is_no_loss_is_one_of_the_graph() -> None:
    """A reason that the graph calls otherwise would make a loss of it, silently."""
    source = (Path(__file__).parents[2] / "src/blumeops/facts/graph.py").read_text()
    assert all(f'"{why}"' in source for why in WITHOUT)
