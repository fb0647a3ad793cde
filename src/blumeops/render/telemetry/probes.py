"""What a collector asks as callers do: each service of the lab by the name that it is used by.

The name is the proxy's, with the path of the service's own health check: that resolves in pods, and tries name,
certificate, proxy and service in one. What has no web page is tried by a connection to its port. (The names of the
tailnet do not resolve in pods.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import Address, Text
from blumeops.render.telemetry.view import View

Module = Literal["http_healthy", "http_answers", "tcp_connects"]
"""`http_healthy`: a status that the health check takes; `http_answers`: any that is not the server's own failure."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question."""

    service: ServiceFacts
    module: Module
    target: Text


def probes(view: View, collector: ServiceFacts) -> Iterator[Probe]:
    """The questions of a cluster's collector, in the order of names; it is not asked itself."""
    for service in view.services():
        if service.app.kind == "job" or service is collector:
            continue
        health = service.service.health or service.app.health
        ports = service.ports
        routed = service.name != view.checked.lab.settings.network.proxy
        if service.machine_url and routed:
            own = health is not None and health.http is not None and health.port == "http"
            path = health.http if own and health and health.http else "/"
            yield Probe(service, "http_healthy" if own else "http_answers", (service.machine_url, path))
            continue
        port = health.tcp if health and health.tcp else next((n for n, p in ports.items() if p.protocol == "tcp"), None)
        if port and _within_reach(view, service, port, collector):
            address: Text = (Address(service.name, port, "host"), ":", Address(service.name, port, "port"))
            yield Probe(service, "tcp_connects", address)


def _within_reach(view: View, service: ServiceFacts, port: str, collector: ServiceFacts) -> bool:
    """Whether a pod can connect: to what runs in its own cluster, and on a host to what listens for everybody."""
    if service.service.cluster:
        return service.service.cluster == collector.service.cluster and service.app.kind == "service"
    entry = service.ports[port].entry
    return entry and bool(service.service.host)
