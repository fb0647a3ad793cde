"""Who calls whom inside a cluster, each call with the line that says so.

Pods of one cluster reach each other unless its network is told otherwise. What is said here is what they have to
reach: what a service needs, whom it allows, what reads its metrics, what leads callers to it. Everything else is
nobody's business. The renderer makes NetworkPolicies of it, and `reach` looks it up. What goes in and out of the
cluster is in `borders`.

Each call is said `by` one of its two ends: the service whose own words it follows from. So a change of one service is
a change of that service's files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from blumeops.facts.access.access import Access, Reason
from blumeops.facts.callers import caller
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.graph import Edge
from blumeops.lab.app import Port

K = TypeVar("K")
V = TypeVar("V")

EVERYBODY = "*"
"""The caller that `allow: [cluster]` means: any pod."""
DATABASE_PORT = 5432
"""Of a PostgreSQL that CloudNativePG runs."""
DATABASE_METRICS = 9187
"""https://cloudnative-pg.io/docs/current/monitoring/"""

Span = tuple[int, str]
"""The number of a port and its protocol: `tcp` or `udp`."""


@dataclass(frozen=True, slots=True)
class Call:
    """`user` (a service, or EVERYBODY) calls `ports` of `used`, in the same cluster; `by`: whose words say it."""

    user: str
    used: str
    ports: tuple[Span, ...]
    reason: Reason
    by: str


class Pods:
    """The calls of all clusters of a lab."""

    def __init__(self, access: Access) -> None:
        self.access, self.lab, self.facts = access, access.lab, access.facts
        self.settings = access.lab.settings

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """All of them, services in the order of names."""
        found: list[Call] = []
        for name in sorted(self.facts.services):
            service = self.facts.services[name]
            if service.service.cluster:
                found += [*self._needed(service), *self._allowed(service), *self._watched(service)]
                found += [*self._watching(service), *self._routed(service)]
        return tuple(dict.fromkeys(found))

    @cached_property
    def of_user(self) -> Mapping[str, tuple[Call, ...]]:
        """By caller."""
        return _by((call.user, call) for call in self.calls)

    @cached_property
    def of_used(self) -> Mapping[str, tuple[Call, ...]]:
        """By the service that is called."""
        return _by((call.used, call) for call in self.calls)

    @cached_property
    def said_by(self) -> Mapping[str, tuple[Call, ...]]:
        """By the service whose words say it."""
        return _by((call.by, call) for call in self.calls)

    def lets(self, user: str, used: str, port: int) -> Reason | None:
        """The line by which a service (empty: a pod that is none of the lab's) may call a port of one beside it."""
        one, other = self.lab.members.get(user), self.lab.members.get(used)
        if one and other and one.project == other.project:
            return Reason(self.lab.service_place(user), f"{user} and {used} are parts of {one.file}")
        for call in self.of_used.get(used, ()):
            if call.user in (user, EVERYBODY) and any(number == port for number, _ in call.ports):
                return call.reason
        return None

    def apart(self, cluster: str | None) -> bool:
        """Whether the network of a cluster enforces what is said here."""
        found = self.settings.clusters.get(cluster or "")
        return found is not None and found.network_policies

    def passes(self, user: str, used: ServiceFacts, port: int) -> bool:
        """Whether a pod of a service (empty: one that is none of the lab's) gets to a port of a service beside it.

        Namespaces of charts take and send all, but for that of Connect, which takes what is said.
        """
        if self.lets(user, used.name, port):
            return True
        asks = self.facts.services.get(user)
        if asks is not None and _kept(asks):
            return False
        if used.app.app == "onepassword-connect":
            return asks is not None and asks.app.app == "external-secrets"
        return not _kept(used)

    def free(self, service: ServiceFacts) -> bool:
        """Whether its pods call whom they like."""
        return not _kept(service)

    def operated(self, service: ServiceFacts) -> bool:
        """Whether CloudNativePG runs it."""
        provide = service.app.provides.get("database")
        postgres = provide is not None and provide.scheme in ("postgres", "postgresql")
        return postgres and (service.service.cluster, "cloudnative-pg") in self.access.parts

    def all_ports(self, service: ServiceFacts) -> tuple[Span, ...]:
        """Every port that it has."""
        if self.operated(service):
            return ((DATABASE_PORT, "tcp"),)
        return tuple((port.port, port.protocol) for port in service.ports.values())

    def nearest(self, reader: ServiceFacts, what: str) -> ServiceFacts | None:
        """The Prometheus (`scrape`) or Loki (`logs`) of a reader: the one beside it, else the first."""
        found = [
            each for each in self.facts.services.values()
            if (each.app.app == "loki" if what == "logs" else derives(each, what))
        ]  # fmt: skip
        own = reader.service.place
        return min(found, key=lambda each: (each.service.place != own, each.name), default=None)

    # what is said, by kind

    def _needed(self, user: ServiceFacts) -> Iterator[Call]:
        """What it cannot start without: a database, the other parts of a Compose file, the forge of Argo CD."""
        for edge in self._edges.get(user.name, ()):
            used = self.facts.services.get(edge.used)
            if used is None or used.app.kind == "platform":
                continue
            ports = self.all_ports(used)
            use = user.database
            if use is not None and use.provider == used.name and not self.operated(used):
                ports = _spans([used.ports[use.port]]) if use.port in used.ports else ()
            yield from self._call(user, used, ports, Reason(edge.place, f"{user.name} {edge.why} {used.name}"), user)

    @cached_property
    def _edges(self) -> Mapping[str, tuple[Edge, ...]]:
        return _by((edge.user, edge) for edge in self.facts.edges)

    def _allowed(self, used: ServiceFacts) -> Iterator[Call]:
        """Services and pods that `allow:` lets in. People and hosts come by a door."""
        for entry in used.service.allow:
            who = caller(self.lab, entry)
            if who is None or who.kind not in ("service", "cluster"):
                continue
            place = self.lab.service_place(used.name, "allow")
            reason = Reason(place, f"{used.name}: allow: [{entry}]")
            if who.kind == "cluster" and used.app.kind != "platform":
                yield Call(EVERYBODY, used.name, self.all_ports(used), reason, used.name)
            elif who.kind == "service" and who.name in self.facts.services and who.name != used.name:
                yield from self._call(self.facts.services[who.name], used, self.all_ports(used), reason, used)

    def _watched(self, used: ServiceFacts) -> Iterator[Call]:
        """Who reads its metrics (Prometheus its own as well), and who tries its port where it has no page."""
        place = self.lab.service_place(used.name)
        collectors = [each for each in self._beside(used, "collector") if each.name != used.name]
        metrics = used.app.metrics
        if metrics and not metrics.folder and used.app.kind == "service" and metrics.port in used.ports:
            stores = self._beside(used, "scrape")
            for reader in stores or [each for each in collectors if self.nearest(each, "scrape")]:
                reason = Reason(place, f"{reader.name} reads the metrics of {used.name}")
                yield from self._call(reader, used, _spans([used.ports[metrics.port]]), reason, used)
        if self.operated(used):
            for reader in collectors:
                reason = Reason(place, f"{reader.name} reads what CloudNativePG tells of {used.name}")
                yield from self._call(reader, used, ((DATABASE_METRICS, "tcp"),), reason, used)
        probed = self._probed(used)
        for reader in collectors if probed else ():
            reason = Reason(place, f"{reader.name} tries the port of {used.name}")
            yield from self._call(reader, used, probed, reason, used)

    def _probed(self, used: ServiceFacts) -> tuple[Span, ...]:
        """The port that a collector connects to; none where it asks by the proxy's name instead."""
        if used.app.kind != "service" or (used.machine_url and used.name != self.settings.network.proxy):
            return ()
        if self.operated(used):
            return ((DATABASE_PORT, "tcp"),)
        health, ports = used.service.health or used.app.health, used.ports
        word = health.tcp if health and health.tcp else next((w for w, p in ports.items() if p.protocol == "tcp"), "")
        return _spans([ports[word]]) if word in ports else ()

    def _watching(self, user: ServiceFacts) -> Iterator[Call]:
        """Where a collector's metrics and lines go, what of the cluster itself it reads, where Grafana looks."""
        collects, shows = derives(user, "collector"), derives(user, "grafana")
        if not collects and not shows:
            return
        place = self.lab.service_place(user.name)
        for what, verb in (("scrape", "metrics"), ("logs", "lines")):
            store = self.nearest(user, what)
            if store is not None and "http" in store.ports:
                does = f"sends {verb} to" if collects else f"reads {verb} in"
                reason = Reason(place, f"{user.name} {does} {store.name}")
                yield from self._call(user, store, _spans([store.ports["http"]]), reason, user)
        for part in self.facts.services.values() if collects else ():
            metrics = part.app.metrics
            if part.app.kind == "platform" and metrics and metrics.port in part.ports:
                reason = Reason(place, f"{user.name} reads the metrics of {part.name}")
                yield from self._call(user, part, _spans([part.ports[metrics.port]]), reason, user)

    def _routed(self, used: ServiceFacts) -> Iterator[Call]:
        """A proxy in the same cluster leads callers to its page."""
        proxy = self.facts.services.get(self.settings.network.proxy)
        if proxy is not None and proxy.name != used.name and "http" in used.ports:
            reason = Reason(self.lab.service_place(used.name), f"{proxy.name} leads callers to {used.name}")
            yield from self._call(proxy, used, _spans([used.ports["http"]]), reason, used)

    def _call(
        self, user: ServiceFacts, used: ServiceFacts, ports: tuple[Span, ...], reason: Reason, by: ServiceFacts
    ) -> Iterator[Call]:
        """A call, where both are in one cluster. Parts of the cluster itself have no policy to write it into."""
        beside = user.service.cluster is not None and user.service.cluster == used.service.cluster
        if not beside or not ports:
            return
        if by.app.kind == "platform":
            by = used if by is user else user
        if by.app.kind != "platform":
            yield Call(user.name, used.name, ports, reason, by.name)

    def _beside(self, service: ServiceFacts, what: str) -> list[ServiceFacts]:
        """The services of its cluster with a file that is derived so."""
        return list(self._derivers.get((service.service.cluster, what), ()))

    @cached_property
    def _derivers(self) -> Mapping[tuple[str | None, str], tuple[ServiceFacts, ...]]:
        services = [self.facts.services[name] for name in sorted(self.facts.services)]
        return _by(
            ((each.service.cluster, what), each)
            for each in services if each.service.cluster
            for what in ("scrape", "collector", "grafana") if derives(each, what)
        )  # fmt: skip


def derives(service: ServiceFacts, what: str) -> bool:
    """Whether one of the app's files is derived so."""
    return any(file.derived == what for file in service.app.files.values())


def _kept(service: ServiceFacts) -> bool:
    """Whether policies close its namespace: of a chart nobody knows what its pods have to call."""
    return service.app.kind != "platform" and service.service.chart is None


def _spans(ports: Iterable[Port]) -> tuple[Span, ...]:
    return tuple((port.port, port.protocol) for port in ports)


def _by(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
