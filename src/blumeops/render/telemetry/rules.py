"""Prometheus' rules for a lab: what is expected to be there, and the alerts.

At site `here` nothing of it depends on the services: what is expected, the loop itself tells. So a service that comes
or goes leaves Prometheus alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from blumeops.render import yaml
from blumeops.render.telemetry import alerts
from blumeops.render.telemetry.alerts import Alert
from blumeops.render.telemetry.expected import expected, with_backups
from blumeops.render.telemetry.view import View, origin

DAY = 86_400


def groups(view: View) -> Iterator[tuple[str, tuple[Alert, ...]]]:
    """The alerts by group, in the order in which they stand in the file."""
    # By ACME certificates last 90 days and are renewed 30 before their end, the proxy's own 12 hours and 4 before.
    acme = view.checked.lab.settings.network.dns is not None and not view.here
    names = alerts.certificates(21 * DAY, "1h") if acme else alerts.certificates(3600, "15m")
    yield "services", (*alerts.SERVICES, names)
    yield "disks", alerts.DISKS
    yield "backups", alerts.BACKUPS
    yield "loop", alerts.LOOP
    yield "telemetry", alerts.TELEMETRY


def rules(view: View) -> str:
    """rules.yml."""
    known = [] if view.here else list(_expectations(view))
    found = [{"name": "expected", "rules": known}] if known else []
    found += [{"name": name, "rules": [_alert(each) for each in group]} for name, group in groups(view)]
    services = [] if view.here else view.services()
    head = f"# Derived from {origin(view.checked, services)}: change it there\n"
    return head + yaml.text({"groups": found})


def _expectations(view: View) -> Iterator[dict[str, Any]]:
    for told in expected(view):
        yield {"record": alerts.EXPECTED, "expr": "vector(1)", "labels": told}
    for told in with_backups(view):
        yield {"record": f"{alerts.EXPECTED}_backup", "expr": "vector(1)", "labels": told}


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.after,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.description, "runbook": alert.runbook},
    }


def names(view: View) -> Iterable[str]:
    """The names of all alerts."""
    return (alert.name for _, group in groups(view) for alert in group)
