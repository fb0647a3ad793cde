"""What pods call outside their cluster, and what comes into it from there, each with the line that says so.

Where a call leaves to: `internet` (any address that no private network has), `tailnet` (an address that the tailnet's
own policy guards further: the proxy, and what has a name there), `operator` (the egress proxies of Tailscale's
operator), `host` (a device by its address in the home network), `api` (the cluster's own API server) and `nodes`.
Where one comes in from: `door` (the operator's proxy of this service), `anywhere` (a port that callers outside know),
`operators` (CloudNativePG, which looks after its databases).

NAMES of other clusters and hosts become addresses before a packet leaves, and a policy of the cluster knows addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from blumeops.facts.access.access import Reason
from blumeops.facts.access.grants import SHARE_PORTS
from blumeops.facts.access.pods import DATABASE_PORT, Pods, Span, derives
from blumeops.facts.access.uses import Uses
from blumeops.facts.callers import caller
from blumeops.facts.derive import ServiceFacts

API = {"minikube": 8443, "k3s": 6443, "kubernetes": 6443}
"""The port of a cluster's API."""
KUBELET = 10250
STATUS = 8000
"""Where CloudNativePG's operator asks an instance how it is."""

To = Literal["internet", "tailnet", "operator", "host", "api", "nodes"]
From = Literal["door", "anywhere", "operators"]


@dataclass(frozen=True, slots=True)
class Outward:
    """`user` calls `ports` (none: all) of something outside; `host`: the device, where it is one."""

    user: str
    to: To
    ports: tuple[Span, ...]
    reason: Reason
    host: str = ""


@dataclass(frozen=True, slots=True)
class Inward:
    """Something outside calls `ports` of `used`."""

    used: str
    source: From
    ports: tuple[Span, ...]
    reason: Reason


class Borders:
    """What crosses the borders of the clusters of a lab."""

    def __init__(self, pods: Pods) -> None:
        self.pods, self.access = pods, pods.access
        self.lab, self.facts, self.ids = pods.lab, pods.facts, pods.access.ids
        self.uses = Uses(self.access)

    def outward(self, user: ServiceFacts) -> tuple[Outward, ...]:
        """What a service calls outside its cluster; each once."""
        found = (
            *self._internet(user), *self._database(user), *self._telemetry(user), *self._named(user),
            *self._allowed(user), *self._backup(user), *self._cluster(user),
        )  # fmt: skip
        return tuple(dict.fromkeys(found))

    def leaves(self, user: ServiceFacts, to: To, port: int) -> bool:
        """Whether it may call a port of something outside; the internet has no address that the others have."""
        return any(
            each.to == to and (not each.ports or any(number == port for number, _ in each.ports))
            for each in self.outward(user)
        )

    def inward(self, used: ServiceFacts) -> Iterator[Inward]:
        """What comes to a service from outside its cluster."""
        lab, name, ports = self.lab, used.name, used.ports
        door = self.ids.doors.get(name)
        if door is not None:
            http = ((ports["http"].port, "tcp"),) if "http" in ports else self.pods.all_ports(used)
            place = lab.service_place(name, "allow") if used.service.allow else lab.service_place(name)
            yield Inward(name, "door", http, Reason(place, f"{name} is {door.name}"))
        entries = tuple((port.port, port.protocol) for port in ports.values() if port.entry)
        if entries:
            yield Inward(name, "anywhere", entries, Reason(lab.service_place(name), f"{name} is an entry of the lab"))
        if self.pods.operated(used):
            operator = self.access.parts[used.service.cluster or "", "cloudnative-pg"]
            reason = Reason(lab.service_place(operator), f"{operator} looks after {name}")
            yield Inward(name, "operators", ((DATABASE_PORT, "tcp"), (STATUS, "tcp")), reason)

    # what is said, by kind

    def _internet(self, user: ServiceFacts) -> Iterator[Outward]:
        own = user.service.internet
        if own if own is not None else user.app.internet:
            place = self.lab.service_place(user.name, *(("internet",) if own else ()))
            yield Outward(user.name, "internet", (), Reason(place, f"{user.name} calls hosts of the internet"))

    def _database(self, user: ServiceFacts) -> Iterator[Outward]:
        use = user.database
        provider = self.facts.services.get(use.provider) if use else None
        if use is None or provider is None or provider.service.place == user.service.place:
            return
        if use.port in provider.ports:
            port = provider.ports[use.port]
            place = self.lab.service_place(user.name, "database")
            reason = Reason(place, f"{user.name} keeps its database in {provider.name}")
            if led := self.ids.by_tcp_route(user, provider.name, use.port):
                yield from self._to_tailnet(user, ((led.number, "tcp"),), reason)
            else:
                yield from self._to(user, provider, ((port.port, port.protocol),), reason)

    def _telemetry(self, user: ServiceFacts) -> Iterator[Outward]:
        """The stores of a collector and of Grafana, where they are elsewhere; the names that a collector asks."""
        place = self.lab.service_place(user.name)
        collects = derives(user, "collector")
        for what in ("scrape", "logs") if collects or derives(user, "grafana") else ():
            store = self.pods.nearest(user, what)
            if store is not None and store.service.place != user.service.place:
                reason = Reason(place, f"{user.name} reaches {store.name}")
                yield from self._by_name(user, store, reason)
        if not collects:
            return
        if self.facts.routes and self.ids.domain:
            text = f"{user.name} asks each service by its name of {self.ids.domain}"
            yield from self._to_proxy(user, Reason(place, text))
        for each in self.facts.services.values():
            entry = next((port for port in each.ports.values() if port.entry and port.protocol == "tcp"), None)
            if entry is not None and each.service.host:
                reason = Reason(place, f"{user.name} tries the port of {each.name}")
                yield Outward(user.name, "host", ((entry.port, "tcp"),), reason, each.service.host)

    def _named(self, user: ServiceFacts) -> Iterator[Outward]:
        """Names of the domain or the tailnet that it is given word for word."""
        for named in self.uses.of(user):
            reason = Reason(named.place, f"{user.name} is given the name {named.name}")
            if named.magic:
                yield from self._to_tailnet(user, (), reason)
            else:
                yield from self._to_proxy(user, reason, named.used)

    def _allowed(self, user: ServiceFacts) -> Iterator[Outward]:
        """Services elsewhere that let it in, by its name or as a pod."""
        for used, entry, who in self._opened:
            if used.service.place != user.service.place and (who is None or who == user.name):
                reason = Reason(self.lab.service_place(used.name, "allow"), f"{used.name}: allow: [{entry}]")
                yield from self._by_name(user, used, reason)

    @cached_property
    def _opened(self) -> tuple[tuple[ServiceFacts, str, str | None], ...]:
        """Each entry of `allow:` that lets pods in, in the order of names: of which service (None: of all)."""
        found = (
            (used, entry, caller(self.lab, entry))
            for _, used in sorted(self.facts.services.items())
            for entry in used.service.allow
        )
        return tuple(
            (used, entry, None if who.kind == "cluster" else who.name)
            for used, entry, who in found
            if who is not None and who.kind in ("cluster", "service")
        )

    def _backup(self, user: ServiceFacts) -> Iterator[Outward]:
        backup = self.lab.settings.backup
        host, _, folder = (backup.to if backup else "").partition("/")
        hosts = self.lab.settings.hosts
        if user.app.app == "borgmatic" and host in hosts and folder in hosts[host].shares:
            ports = tuple((SHARE_PORTS[by], "tcp") for by in hosts[host].shares[folder].by)
            reason = Reason(self.lab.place("backup", "to"), f"{user.name} keeps its backups on {host}/{folder}")
            yield Outward(user.name, "host", ports, reason, host)

    def _cluster(self, user: ServiceFacts) -> Iterator[Outward]:
        """Collectors read pods and nodes; the instances of a database are told by the API server what to be."""
        cluster = self.lab.settings.clusters[user.service.cluster or ""]
        place = self.lab.service_place(user.name, "cluster")
        collects = derives(user, "collector")
        brought = self.lab.brought.get(user.name)
        if collects or self.pods.operated(user) or (brought and brought.asks_api):
            text = f"{user.name} asks the API server of {user.service.cluster}"
            yield Outward(user.name, "api", ((API[cluster.kind], "tcp"),), Reason(place, text), cluster.host)
        if collects:
            reason = Reason(place, f"{user.name} reads the metrics of the nodes of {user.service.cluster}")
            yield Outward(user.name, "nodes", ((KUBELET, "tcp"),), reason, cluster.host)

    # the ways out

    def _by_name(self, user: ServiceFacts, used: ServiceFacts, reason: Reason) -> Iterator[Outward]:
        """By the proxy's name where there is one, else as `_to`."""
        if self.ids.proxy is not None and (used.machine_url or self.ids.tcp_routes_to(used.name)):
            yield from self._to_proxy(user, reason, used.name)
        else:
            yield from self._to(user, used, self.pods.all_ports(used), reason)

    def _to(self, user: ServiceFacts, used: ServiceFacts, ports: tuple[Span, ...], reason: Reason) -> Iterator[Outward]:
        if used.service.cluster and self.ids.tailnet:
            yield from self._to_tailnet(user, ports, reason)
        else:
            yield Outward(user.name, "host", ports, reason, used.host)

    def _to_proxy(self, user: ServiceFacts, reason: Reason, used: str = "") -> Iterator[Outward]:
        """At the port of pages and those of TCP routes to one service. A proxy in the same cluster is called like any
        service beside: its own `allow:` says by whom."""
        proxy = self.ids.proxy
        if proxy is None:
            return
        web = (self.ids.proxy_port,) if not used or used in self.ids.routed else ()
        numbers = (*web, *(route.number for route in self.ids.tcp_routes_to(used)))
        ports: tuple[Span, ...] = tuple((number, "tcp") for number in numbers or (self.ids.proxy_port,))
        if self.ids.tailnet:
            yield from self._to_tailnet(user, ports, reason)
        else:
            yield Outward(user.name, "host", ports, reason, proxy.host)

    def _to_tailnet(self, user: ServiceFacts, ports: tuple[Span, ...], reason: Reason) -> Iterator[Outward]:
        cluster = self.lab.settings.clusters[user.service.cluster or ""]
        yield Outward(user.name, "operator" if cluster.egress == "operator" else "tailnet", ports, reason)
