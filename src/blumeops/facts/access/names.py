"""From where a name resolves, and from where what it leads to is routed.

MagicDNS answers clients of the tailnet and nobody else. The proxy's names stand in public DNS with an address of the
tailnet: everybody resolves them, and only what is on the tailnet, or sends its packets through a host that is, gets
there. Names of a cluster's own DNS are its pods'. https://tailscale.com/docs/features/magicdns
"""

from __future__ import annotations

from typing import Literal

from blumeops.facts.access.access import Access
from blumeops.facts.derive import ServiceFacts

Viewpoint = Literal["device", "host", "container", "pod", "lan", "internet"]
"""A person's device on the tailnet; a process of a host; a container of one; a pod; what is beside them; the rest."""

WORDS: dict[Viewpoint, str] = {
    "device": "a device on the tailnet", "host": "a process of a host", "container": "a container", "pod": "a pod",
    "lan": "a device of the home network that is not on the tailnet", "internet": "the internet",
}  # fmt: skip
MAGIC: frozenset[Viewpoint] = frozenset({"device", "host"})
"""Who resolves the names of MagicDNS."""
ROUTED: frozenset[Viewpoint] = frozenset({"device", "host", "container", "pod"})
"""Whose packets to an address of the tailnet arrive."""
BESIDE: frozenset[Viewpoint] = frozenset({"host", "container", "pod", "lan"})
"""Who reaches a host's address in the home network."""


def viewpoint(service: ServiceFacts) -> Viewpoint:
    """From where a service looks at names."""
    if service.service.cluster:
        return "pod"
    return "container" if service.service.image else "host"


def place_words(access: Access, service: str) -> str:
    """`no pod of minikube`, as a finding says it."""
    described = access.lab.services[service]
    if described.cluster:
        egress = access.lab.settings.clusters[described.cluster].egress
        return f"no pod of {described.cluster} can resolve (egress: {egress})"
    return f"no container of {described.host} can resolve"
