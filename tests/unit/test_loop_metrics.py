"""The loop's own metrics: the names that the rules ask for, in a form that Prometheus reads."""

from __future__ import annotations

import re

from blumeops.render.telemetry.alerts import DISKS, LOOP
from blumeops.status.jobs import Planned
from blumeops.status.records import Run, Site, Unit
from blumeops.telemetry.loop_metrics import Disk, exposition

WEB = Unit("web", "app", "box", "running", "healthy", "", "a1", 5.0)
HOSTILE = Unit('w"e\\b\n', "app", "box", "failed", "unhealthy", "", "a1", 5.0)
IMAGE = Unit("zot", "zot", "box", "unavailable", "unknown", "no program", "a1", 5.0)
RUN = Run(3, "a1", 10.0, 12.5, "applied", "", (), ())
JOBS = (Planned("web", 3.0, None), Planned("zot", 3.0, 8.5), Planned("gone", 3.0, 4.0))
LINE = re.compile(r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\.)*"(,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? [0-9.e+-]+')


def told(*units: Unit, site: Site, last: Run | None = RUN) -> dict[str, float]:
    """Each sample by its series."""
    lines = exposition(site, units, last, 7.0, Disk(100, 5), JOBS).splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in samples)
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in samples)}


def test_a_site_that_is_settled_says_so() -> None:
    """Everything wanted is applied; what cannot run here does not count."""
    found = told(WEB, IMAGE, site=Site("here", "a1", "a1"))
    assert found["blumeops_settled"] == 1
    assert found['blumeops_unit_healthy{service="web",app="app"}'] == 1
    assert found['blumeops_unit_state{service="zot",app="zot",state="unavailable"}'] == 1
    assert not any("unit_healthy" in series and "zot" in series for series in found)
    assert (found["blumeops_last_sync_ok"], found["blumeops_last_sync_duration_seconds"]) == (1, 2.5)


def test_a_service_that_failed_is_told_whatever_its_name_is() -> None:
    """Quotes, backslashes and newlines are escaped as the format wants."""
    found = told(HOSTILE, site=Site("here", "a1", "b2"), last=None)
    assert found["blumeops_settled"] == 0
    assert found['blumeops_unit_healthy{service="w\\"e\\\\b\\n",app="app"}'] == 0
    assert "blumeops_last_sync_ok" not in found


def test_jobs_tell_when_they_ended_well() -> None:
    """One that never did says since when it should; one of no unit says nothing."""
    found = told(WEB, IMAGE, site=Site("here", "a1", "a1"))
    assert found['blumeops_job_since_timestamp_seconds{service="web",app="app"}'] == 3
    assert 'blumeops_job_last_success_timestamp_seconds{service="web",app="app"}' not in found
    assert found['blumeops_job_last_success_timestamp_seconds{service="zot",app="zot"}'] == 8.5
    assert not any("gone" in series for series in found)


def test_what_the_rules_ask_for_is_told() -> None:
    """Each metric of ours in an alert about the loop or its disk is one that the loop tells."""
    names = {series.partition("{")[0] for series in told(WEB, IMAGE, site=Site("here", "a1", "a1"))}
    asked = {name for alert in (*LOOP, *DISKS) for name in re.findall(r"blumeops_\w+", alert.expr)}
    assert asked
    assert asked <= names
