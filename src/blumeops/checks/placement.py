"""BLU30x: what is placed can run there."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
from blumeops.lab.model import Lab


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Services on machines that are always on; parts of a cluster in one; what is routed is reachable."""
    hosts = lab.settings.hosts
    for name, service in lab.services.items():
        app = lab.app_of(name)
        host = hosts.get(service.host or "")
        if host and host.role == "workstation":
            message = f"is placed on {service.host}, a workstation, which is not always on"
            yield Finding("BLU302", lab.service_place(name, "host"), name, message, "choose a host of role compute")
        if host and host.os == "dsm":
            message = f"is placed on {service.host}, whose system (dsm) runs no service of ours"
            yield Finding("BLU302", lab.service_place(name, "host"), name, message, "choose a host of role compute")
        if service.host and app and app.kind == "platform":
            message = f"{app.app} is a part of a Kubernetes cluster"
            yield Finding("BLU303", lab.service_place(name, "host"), name, message, "place it with `cluster:`")
        if service.host and service.image and host and host.os == "macos":
            message = f"is an image, and {service.host} (macos) runs native programs"
            yield Finding("BLU304", lab.service_place(name, "image"), name, message, "place it in a cluster")
    network = lab.settings.network
    proxy = lab.services.get(network.proxy)
    if network.domain and not network.tailnet and proxy is not None and proxy.host:
        for route in facts.routes:
            if facts.services[route.service].service.cluster:
                message = (
                    f"cannot be reached by {network.proxy} on {proxy.host}: a cluster's services have tailnet names"
                )
                hint = "name the tailnet in `network: {tailnet: …}`"
                yield Finding("BLU305", lab.service_place(route.service), route.service, message, hint)
