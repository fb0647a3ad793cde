"""What follows for one service, told: each derived thing in words, with the place that it follows from.

In: a lab and its facts. Out: lines in a fixed order, so that the same lab is told the same. No secret value is in any:
only references. What a renderer makes of it (files) is told by whoever renders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blumeops.base.findings import Place
from blumeops.facts.access.access import Access
from blumeops.facts.access.services import to_service
from blumeops.facts.access.sources import source as caller
from blumeops.facts.callers import names_people
from blumeops.facts.derive import HERE_DOMAIN, Facts, ServiceFacts
from blumeops.facts.graph import cluster_node
from blumeops.lab.app import Health
from blumeops.lab.model import Lab
from blumeops.lab.quantities import size_text


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that follows: what it is about (a word or two), the thing, and where it follows from."""

    topic: str
    text: str
    place: Place


def needed_by(facts: Facts, name: str) -> list[str]:
    """The services that cannot start without this one, by name."""
    return sorted(each.name for each in facts.services.values() if name in each.needs)


def tell(lab: Lab, facts: Facts, name: str, access: Access | None = None) -> list[Told]:
    """Everything that follows for a service of `facts`. `access`: that of the lab, where more than one is told."""
    return list(_Teller(lab, facts, facts.services[name], access or Access(lab, facts)).all())


class _Teller:
    def __init__(self, lab: Lab, facts: Facts, service: ServiceFacts, access: Access) -> None:
        self.access = access
        self.lab, self.facts, self.facts_of, self.name = lab, facts, service, service.name
        self.service, self.app = service.service, service.app
        files = (f"{root}/{self.app.app}/app.yaml" for root in ("apps", "catalogue"))
        self.document = next((lab.documents[file] for file in files if file in lab.documents), None)

    def all(self) -> Iterator[Told]:
        yield from self.program()
        yield from self.where()
        yield from self.addresses()
        yield from self.network()
        yield from self.order()
        yield from self.kept()
        yield from self.health()
        yield from self.update()

    def own(self, *path: str) -> Place:
        return self.lab.service_place(self.name, *path)

    def of_app(self, *path: str | int, of_key: bool = False) -> Place:
        """In app.yaml; an image has none, and says all on the service."""
        return self.document.place(*path, of_key=of_key) if self.document else self.own(*map(str, path))

    def first(self, field: str, *path: str) -> Place:
        """On the service, where that says it; else in its app."""
        return self.own(field, *path) if getattr(self.service, field) else self.of_app(field, *path)

    def program(self) -> Iterator[Told]:
        about = f": {self.app.about}" if self.app.about else ""
        field = "image" if self.service.image else "version"
        yield Told("app", f"{self.app.app} {self.facts_of.version}{about}", self.first_version(field))
        for index, source in enumerate(self.app.sources):
            version = f" {source.version}" if source.version else ""
            where = self.of_app("sources", index) if not self.service.image else self.own("image")
            yield Told("source", f"{source.kind} {source.name}{version}", where)
        for option, spec in self.app.options.items():
            given = option in self.service.options
            value = self.service.options.get(option, spec.default)
            if value is not None:
                place = self.own("options", option) if given else self.of_app("options", option, "default")
                yield Told("option", f"{option}: {_value(value)}{'' if given else ' (default)'}", place)

    def first_version(self, field: str) -> Place:
        given = self.service.image or self.service.version
        return self.own(field) if given else self.of_app("version")

    def where(self) -> Iterator[Told]:
        kind = "cluster" if self.service.cluster else "host"
        on = f", which {self.facts_of.host} carries" if kind == "cluster" and self.facts_of.host else ""
        yield Told("place", f"{kind} {self.service.place}{on}", self.own(kind))
        for name, share in self.service.mounts.items():
            yield Told("mount", f"{name}: the share {share}", self.own("mounts", name))

    def addresses(self) -> Iterator[Told]:
        found, network = self.facts_of, self.lab.settings.network
        named = self.own("name") if self.service.name else self.own()
        if found.here_url:
            yield Told("here", found.here_url, named)
        if found.people_url:
            tailnet = network.tailnet and names_people(self.lab, self.service)
            by = self.lab.place("network", "tailnet" if tailnet else "domain")
            yield Told("people", f"{found.people_url} (site home)", by)
        if found.machine_url:
            yield Told("machines", f"{found.machine_url} (site home)", self.lab.place("network", "domain"))
        for route in self.facts.routes:
            if route.service == self.name:
                yield Told("route", f"{route.label}.{HERE_DOMAIN} to port {route.port}, by {network.proxy}", named)
        for tcp in self.access.ids.tcp_routes_to(self.name):
            said = f"{found.label}.{network.domain}:{tcp.number} to port {tcp.port} as it is, by {network.proxy}"
            yield Told("route", f"{said} (site home)", named)
        allowed = self.own("allow") if self.service.allow else self.own()
        yield Told(
            "allow", ", ".join(("admins", *self.service.allow)) if self.service.allow else "admins alone", allowed
        )
        yield from self.exposure()

    def exposure(self) -> Iterator[Told]:
        """Who reaches it at site home, by which name: people, then machines, then the home network."""
        access = self.access
        settings = self.lab.settings
        if not (access.ids.tailnet or access.ids.domain) or not self.facts_of.ports:
            return
        ends = [f"person:{name}" for name in settings.people]
        ends += [f"host:{name}" for name, host in settings.hosts.items() if host.owner is None]
        ends += [f"cluster:{name}" for name in access.ids.placed_clusters]
        for end in (*ends, "lan"):
            ways = to_service(access, caller(access, end), self.name)
            way = next((way for way in ways if not way.missing), None)
            if way is not None:
                who = "the home network" if end == "lan" else end.partition(":")[2]
                links = [link.place for link in way.links]
                yield Told("reached by", f"{who}, on {way.port}, as {way.name}", links[0] if links else self.own())

    def network(self) -> Iterator[Told]:
        for name, port in self.facts_of.ports.items():
            entry = ", an entry: it never moves" if port.entry else ""
            place = self.own("ports", name) if name in self.service.ports else self.of_app("ports", name)
            yield Told("port", f"{name} {port.port}/{port.protocol}{entry}", place)
        for scrape in self.facts.scrapes:
            if scrape.service == self.name:
                yield Told("metrics", f"GET {scrape.path} on port {scrape.port}", self.of_app("metrics"))

    def order(self) -> Iterator[Told]:
        for edge in self.facts.edges:
            if edge.user == self.name:
                used = edge.used.replace(cluster_node(""), "cluster ")
                yield Told("needs", f"{used}: {edge.why} it", edge.place)
        for edge in self.facts.edges:
            if edge.used == self.name:
                user = edge.user.replace(cluster_node(""), "cluster ")
                yield Told("needed by", f"{user}: {edge.why} it", edge.place)

    def kept(self) -> Iterator[Told]:
        use, backup = self.facts_of.database, self.lab.settings.backup
        if use:
            yield Told("database", f"{use.name}, and its role, in {use.provider}", self.own("database"))
        for secret in self.facts_of.secrets:
            yield Told("secret", f"{secret.name}: {secret.reference}", secret.place)
        state = self.service.state or self.app.state
        for folder in state.folders:
            yield Told("state", f"the folder {folder}", self.first("state", folder))
        if state.database:
            yield Told("state", "its database", self.first("state", "database"))
        if not state.folders and not state.database:
            yield Told("state", "none", self.first("state"))
        elif backup:
            yield Told("backup", f"to {backup.to} at {backup.at}", self.lab.place("backup", "to"))

    def health(self) -> Iterator[Told]:
        health = self.service.health or self.app.health
        if health:
            within = f", within {health.within:g} s"
            yield Told("health", _probe(health) + within, self.first("health"))

    def update(self) -> Iterator[Told]:
        how = {
            "replace": "replace: the new one is healthy first",
            "stop-start": "stop-start: a short break",
        }
        if self.app.kind == "service":
            yield Told("update", how[self.app.update], self.of_app("update"))
        memory = (self.service.resources or self.app.resources).memory
        if memory:
            yield Told("memory", size_text(memory), self.first("resources", "memory"))


def _probe(health: Health) -> str:
    if health.http:
        return f"GET {health.http} on port {health.port}"
    return f"port {health.tcp} accepts" if health.tcp else f"{health.command[0]} exits with 0"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
