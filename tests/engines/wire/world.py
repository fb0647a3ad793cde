"""A checked lab as a small internet of network namespaces: each device with its addresses, each link, each filter.

        tailnet   100.64.0.0/10, fd7a:115c:a1e0::/48   every node; its filter is the one that the engine compiles for it
    lan       192.168.1.0/24                       hosts of nobody's own, a device that is no node, the home's router
    pods      10.244.0.0/16                        a cluster, behind its host or the egress proxy, masqueraded
    wan       203.0.113.0/24                       the internet, people's own devices, the router's outer side

What nodes there are and what the policy says comes from the files that a person would apply; where programs listen,
from what is rendered for hosts. Nothing here knows of verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from blumeops.checks.check import CheckedLab
from blumeops.facts import policy as engine
from blumeops.facts.access.access import Access
from blumeops.facts.access.merged import Merged
from blumeops.facts.policy.filters import FilterRule
from blumeops.render.tailscale import render

from .namespaces import Namespaces
from .nftables import TAILNET, dropped, ruleset

LAN, PODS, WAN = "lan0", "pod0", "wan0"
BRIDGES = {TAILNET: "tailnet", LAN: "lan", PODS: "pods", WAN: "wan"}
SWITCH, ROUTER, INTERNET, NEIGHBOUR = "switch", "router", "internet", "lan"
WIDTHS = {TAILNET: 10, LAN: 24, PODS: 16, WAN: 24}
SHARED_BY = {"ssh": 22, "smb": 445, "nfs": 2049}
HOOK = "{ type filter hook %s priority -500;"
"""The beginning of a chain that comes before all others."""
AGAIN = "#2"
"""After the name of a person's second device."""


@dataclass
class Spot:
    """A namespace: its addresses by interface, and the commands of ip(8) that come last."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    routes: list[str] = field(default_factory=list)
    forwards: bool = False
    masquerades: tuple[str, ...] = ()
    """Interfaces by which forwarded packets leave as this one's own."""


class World:
    """Addresses and filters of a lab. `spots`: the namespaces to be made, by name; a node's is its own."""

    def __init__(self, checked: CheckedLab) -> None:
        self.checked, self.lab = checked, checked.lab
        self.access = Access(checked.lab, checked.facts)
        policy = engine.read(render(checked).files["tailscale/policy.hujson"], "policy.hujson").policy
        assert policy is not None
        self.tailnet = _addressed(Merged(self.access).tailnet)
        self.engine = engine.Engine(policy, self.tailnet)
        self.own = {node.name: node.addresses for node in self.tailnet.nodes}
        self.own |= {service.name: service.addresses for service in self.tailnet.services}
        self.pods = {
            name: f"10.244.1.{number}"
            for number, name in enumerate((n for n, s in self.lab.services.items() if s.cluster), 1)
        }
        self.lan = {
            name: host.address or f"192.168.1.{100 + number}"
            for number, (name, host) in enumerate(self.lab.settings.hosts.items())
            if host.owner is None
        }
        self.spots: dict[str, Spot] = dict(self._spots())

    def filters(self) -> dict[str, list[FilterRule]]:
        """What is enforced in each namespace: what its node is told."""
        found = {node.name: self.engine.filter(node.name) for node in self.tailnet.nodes}
        return found | {service.name: found[service.hosts[0]] for service in self.tailnet.services}

    def device_ports(self, node: str) -> tuple[int, ...]:
        """Where a device itself answers, on all its addresses: SSH, and by what it shares folders."""
        host = self.lab.settings.hosts.get(node.removeprefix("host:"))
        shared = (SHARED_BY[by] for share in (host.shares.values() if host else ()) for by in share.by)
        return tuple(sorted({SHARED_BY["ssh"], *shared}))

    def cluster_of(self, host: str) -> str | None:
        """The cluster that a host carries."""
        clusters = self.lab.settings.clusters
        return next((name for name, cluster in clusters.items() if cluster.host == host), None)

    def build(self, spaces: Namespaces) -> None:
        """Make the namespaces and link them. Filters come by `enforce`."""
        for name in (SWITCH, *self.spots):
            spaces.add(name)
        links = [f"link add {bridge} type bridge mcast_snooping 0" for bridge in BRIDGES.values()]
        links += [f"link set {bridge} up" for bridge in BRIDGES.values()]
        for name, spot in self.spots.items():
            for interface in spot.addresses:
                port = f"p{len(links)}"
                links += [
                    f"link add {port} type veth peer name {interface}",
                    f"link set {interface} netns {spaces.path(name)}",
                    f"link set {port} master {BRIDGES[interface]} up",
                ]
        spaces.ip(SWITCH, *links)
        for name, spot in self.spots.items():
            spaces.ip(name, *_configured(spot))
            if spot.forwards:
                spaces.forwards(name)
            if spot.masquerades:
                leaving = ", ".join(f'"{each}"' for each in spot.masquerades)
                rule = f'iifname {{ "{PODS}", "{LAN}" }} oifname {{ {leaving} }} masquerade'
                chain = f"chain c {{ type nat hook postrouting priority 100; {rule}; }}"
                spaces.run(name, "nft", "-f", "-", stdin=f"table ip leaving {{\n{chain}\n}}\n")
        home = f'chain f {{ type filter hook forward priority 0; policy drop; iifname "{LAN}" accept; '
        home += "ct state established,related accept; }"
        spaces.run(ROUTER, "nft", "-f", "-", stdin=f"table ip home {{\n{home}\n}}\n")

    def enforce(self, spaces: Namespaces, node: str, rules: list[FilterRule]) -> None:
        """Load a node's filter in place of the one before; connections that stand are cut off with it."""
        text = f"table inet tailnet {{}}\ndelete table inet tailnet\n{ruleset(rules)}"
        spaces.run(node, "nft", "-f", "-", stdin=text)

    def carried(self, name: str) -> list[str]:
        """The namespaces of a host or cluster: itself, what it serves as Tailscale Services, its cluster's devices."""
        clusters = [name] if name in self.lab.settings.clusters else [c for c in [self.cluster_of(name)] if c]
        found = [f"host:{name}"] if name in self.lab.settings.hosts else []
        found += [one.name for one in self.tailnet.services if f"host:{name}" in one.hosts]
        for cluster in clusters:
            found += [f"cluster:{cluster}", f"egress:{cluster}"]
            found += [f"service:{service}" for service in self.pods if self.lab.services[service].cluster == cluster]
        return [each for each in found if each in self.spots]

    @contextmanager
    def without(self, spaces: Namespaces, name: str) -> Iterator[None]:
        """A host or cluster is as if its power were off, or a service as if it had ended, while the block lasts."""
        if name in self.lab.services:
            service = self.checked.facts.services[name]
            ports = ", ".join(str(port.port) for port in service.ports.values())
            inside = f"cluster:{service.service.cluster}" if service.service.cluster else f"host:{service.host}"
            to = f"ip daddr {self.pods[name]} " if name in self.pods else ""
            rules = {inside: f"{HOOK % 'input'} {to}tcp dport {{ {ports} }} reject with tcp reset; }}"}
        else:
            off = f"{HOOK % 'prerouting'} drop; }}"
            rules = dict.fromkeys(self.carried(name), off)
        try:
            for place, rule in rules.items():
                spaces.run(place, "nft", "-f", "-", stdin=f"table inet off {{\nchain c {rule}\n}}\n")
            yield
        finally:
            for place in rules:
                spaces.run(place, "nft", "-f", "-", stdin="table inet off {}\ndelete table inet off\n")

    def dropped(self, spaces: Namespaces, node: str) -> set[tuple[str, str, int]]:
        """What a node's filter has dropped since it was loaded."""
        return dropped(spaces.run(node, "nft", "-j", "list", "table", "inet", "tailnet"))

    def _spots(self) -> Iterator[tuple[str, Spot]]:
        settings = self.lab.settings
        for node in self.tailnet.nodes:
            spot = Spot({TAILNET: list(node.addresses)})
            kind, _, name = node.name.partition(":")
            if kind == "host" and name in self.lan:
                spot.addresses[LAN] = [self.lan[name]]
                spot.routes.append("route add default via 192.168.1.1")
                if self.cluster_of(name):
                    spot.addresses[PODS] = ["10.244.0.1"]
                    spot.forwards, spot.masquerades = True, (TAILNET, LAN)
            elif kind == "egress":
                spot.addresses[PODS] = ["10.244.0.2"]
                spot.forwards, spot.masquerades = True, (TAILNET,)
            elif kind == "service":
                spot.addresses[PODS] = [self.pods[name].replace("10.244.1.", "10.244.2.")]
            else:
                spot.addresses[WAN] = [f"203.0.113.{100 + self.tailnet.nodes.index(node)}"]
            yield node.name, spot
        for service in self.tailnet.services:  # tailscaled takes these packets itself: its host's kernel sees none
            yield service.name, Spot({TAILNET: list(service.addresses)})
        for name, cluster in settings.clusters.items():
            spot = Spot({PODS: list(self.pods.values())}, ["route add default via 10.244.0.1"])
            if cluster.egress == "operator":
                spot.routes.append("route add 100.64.0.0/10 via 10.244.0.2")
            yield f"cluster:{name}", spot
        yield NEIGHBOUR, Spot({LAN: ["192.168.1.200"]}, ["route add default via 192.168.1.1"])
        yield ROUTER, Spot({LAN: ["192.168.1.1"], WAN: ["203.0.113.1"]}, forwards=True, masquerades=(WAN,))
        yield INTERNET, Spot({WAN: ["203.0.113.80"]})


def _configured(spot: Spot) -> Iterator[str]:
    for interface, addresses in spot.addresses.items():
        yield f"link set {interface} up"
        for text in addresses:
            width, rest = (48, " nodad") if ":" in text else (WIDTHS[interface], "")
            yield f"addr add {text}/{width} dev {interface}{rest}"
    yield from spot.routes


def _addressed(tailnet: engine.Tailnet) -> engine.Tailnet:
    """The nodes with addresses of both families, and each person with a second device."""
    nodes = [*tailnet.nodes]
    nodes += [replace(node, name=node.name + AGAIN) for node in tailnet.nodes if node.name.startswith("person:")]
    assert len(nodes) < 250
    return replace(
        tailnet,
        nodes=tuple(
            replace(node, addresses=(f"100.64.0.{number}", f"fd7a:115c:a1e0::{number:x}"))
            for number, node in enumerate(nodes, 1)
        ),
        services=tuple(
            replace(service, addresses=(f"100.64.1.{number}", f"fd7a:115c:a1e0::1:{number:x}"))
            for number, service in enumerate(tailnet.services, 1)
        ),
    )
