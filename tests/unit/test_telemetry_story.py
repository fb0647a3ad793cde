"""What `show` tells of measuring: by whom, at which address, under which labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from blumeops.checks.check import check_folder
from blumeops.render.telemetry.story import Measured

LABS = Path(__file__).parents[2] / "labs"


def told(lab: str, name: str) -> list[tuple[str, str, str]]:
    """The rows about a service: topic, text, and the file that each is from."""
    checked = check_folder(LABS / lab).passed
    assert checked
    return [(each.topic, each.text, each.place.file) for each in Measured(checked).tell(name)]


def test_a_service_of_a_cluster_is_scraped_by_prometheus() -> None:
    """Asked by the proxy's name, its lines under its labels, shown with pictures of its own."""
    assert told("blumeops", "miniflux") == [
        ("scraped by", "prometheus", "services/cluster.yaml"),
        ("asked", "https://feed.ops.eblu.me/healthcheck, by alloy-k8s", "services/cluster.yaml"),
        ("lines", '{job="logs", service="miniflux"} in loki, by alloy-k8s', "services/cluster.yaml"),
        ("dashboards", "blumeops-services, blumeops-app-miniflux", "services/cluster.yaml"),
    ]


@pytest.mark.parametrize(
    ("service", "topics"),
    [
        ("zot", {"scraped by": "alloy", "lines": '{job="logs", service="zot"} in loki, by alloy'}),
        ("postgresql", {"asked": "a connection to its port, by alloy-k8s"}),
        ("kiwix", {"dashboards": "blumeops-services"}),
    ],
)
def test_others_by_who_is_beside_them(service: str, topics: dict[str, str]) -> None:
    """On a host by its collector; without metrics by nobody; without pages by a connection."""
    found = {topic: text for topic, text, _ in told("blumeops", service)}
    assert topics.items() <= found.items()
    assert ("scraped by" in found) is (service == "zot")


def test_a_lab_that_measures_nothing_tells_nothing() -> None:
    """No collector, no Prometheus, no Grafana."""
    assert told("first", "miniflux") == []
