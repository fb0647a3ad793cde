"""How kubelet sees that a pod works: the app's own health check as the three probes of its container."""

from __future__ import annotations

import math
from collections.abc import Sequence

from blumeops.facts.derive import ServiceFacts
from blumeops.lab.app import Health
from blumeops.render.kubernetes.manifest import Manifest


def probes(service: ServiceFacts, run: Sequence[str]) -> Manifest:
    """It has `within` to start; then one that fails gets no more callers, and is at last started anew.

    `run`: the health check's command as the pod says it, where it is one.
    """
    health = service.service.health or service.app.health
    if health is None or service.app.kind == "job":
        return {}
    how, tries = _looks(service, health, run), max(1, math.ceil(health.within / 2))
    return {
        "startupProbe": {**how, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": tries},
        "readinessProbe": {**how, "periodSeconds": 10, "timeoutSeconds": 5},
        "livenessProbe": {**how, "periodSeconds": 30, "timeoutSeconds": 5},
    }


def _looks(service: ServiceFacts, health: Health, run: Sequence[str]) -> Manifest:
    ports = service.ports
    if health.http:
        return {"httpGet": {"path": health.http, "port": ports[health.port].port}}
    if health.tcp:
        return {"tcpSocket": {"port": ports[health.tcp].port}}
    return {"exec": {"command": list(run)}}
