"""What is lost when a host, a cluster or a service is down, and for whom.

What cannot do without it is lost with it: what stands on it, what keeps its database there, what is reached through it.
What only comes into being by it (an image, a revision, a secret, a name) runs on as it is, and cannot change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from blumeops.base.findings import Place
from blumeops.facts.access.access import Access
from blumeops.facts.access.services import to_service
from blumeops.facts.access.sources import source
from blumeops.facts.graph import cluster_node

WITHOUT: Mapping[str, str] = {
    "pulls its images from": "gets no new images", "pulls from": "follows no new revision",
    "gets its secrets by": "gets no new secrets", "gets its name on the tailnet from": "gets no new name",
    "is run by": "is not changed or repaired", "fetches secrets from": "fetches no new secrets",
}  # fmt: skip
"""Edges whose user runs on without what it uses, and what it lacks then."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that is lost, or only lacks something: `why`, with the line that says so."""

    name: str
    why: str
    place: Place


@dataclass(frozen=True)
class Outage:
    """Everything that follows when `name` is down. `users`: by person, what each reached and reaches no more."""

    name: str
    kind: str
    lost: tuple[Loss, ...]
    lacking: tuple[Loss, ...]
    users: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, object]:
        """The object of `whatif --json`."""

        def told(losses: tuple[Loss, ...]) -> list[dict[str, object]]:
            return [{"name": x.name, "why": x.why, "file": x.place.file, "line": x.place.line} for x in losses]

        return {
            "version": 1, "what": self.name, "kind": self.kind, "lost": told(self.lost), "lacking": told(self.lacking),
            "for": {person: list(names) for person, names in self.users.items()},
        }  # fmt: skip


class Outages:
    """Answers for one lab."""

    def __init__(self, access: Access) -> None:
        self.access, self.lab, self.facts = access, access.lab, access.facts

    def of(self, name: str) -> Outage:
        """What is lost without a host, a cluster or a service. Raises LookupError for other names."""
        kind = self.kind(name)
        node = cluster_node(name) if kind == "cluster" else f"host:{name}" if kind == "host" else name
        lost: dict[str, Loss] = {}
        lacking: dict[str, Loss] = {}
        queue = [node]
        while queue:
            down = queue.pop(0)
            for user, why, place in self._users.get(down, ()):
                if user in lost or user == node:
                    continue
                if why in WITHOUT:
                    lacking.setdefault(user, Loss(_shown(user), f"{WITHOUT[why]}: it {why} {_shown(down)}", place))
                else:
                    lost[user] = Loss(_shown(user), f"{why} {_shown(down)}", place)
                    queue.append(user)
        gone = {*(name for name in lost), node}
        lacking = {user: loss for user, loss in lacking.items() if user not in gone}
        return Outage(name, kind, tuple(lost.values()), tuple(lacking.values()), self._people(gone))

    def kind(self, name: str) -> str:
        """What a name stands for."""
        for kind, known in (
            ("host", self.lab.settings.hosts), ("cluster", self.lab.settings.clusters), ("service", self.facts.services)
        ):  # fmt: skip
            if name in known:
                return kind
        raise LookupError(name)

    def single_points(self) -> list[Outage]:
        """Everything without which something else is lost, the worst first."""
        nodes = [*self.lab.settings.hosts, *self.lab.settings.clusters, *self.facts.services]
        found = [self.of(name) for name in dict.fromkeys(nodes)]
        return sorted((each for each in found if each.lost), key=lambda each: (-len(each.lost), each.name))

    @cached_property
    def _users(self) -> dict[str, list[tuple[str, str, Place]]]:
        """By node: who uses it, how, and the line."""
        found: dict[str, list[tuple[str, str, Place]]] = {}
        for user, used, why, place in self._edges():
            found.setdefault(used, []).append((user, why, place))
        return found

    def _edges(self) -> Iterator[tuple[str, str, str, Place]]:
        lab, settings = self.lab, self.lab.settings
        for name, service in lab.services.items():
            if service.host:
                yield name, f"host:{service.host}", "runs on", lab.service_place(name, "host")
            for mount, share in service.mounts.items():
                host = share.partition("/")[0]
                if host != self.facts.services[name].host:
                    yield name, f"host:{host}", "mounts a share of", lab.service_place(name, "mounts", mount)
        for name, cluster in settings.clusters.items():
            yield cluster_node(name), f"host:{cluster.host}", "is carried by", lab.place("clusters", name, "host")
        for edge in self.facts.edges:
            yield edge.user, edge.used, edge.why, edge.place
        if settings.backup:
            host = settings.backup.to.partition("/")[0]
            yield "backups", f"host:{host}", "are kept on", lab.place("backup", "to")
            for name, each in self.facts.services.items():
                if each.app.app == "borgmatic":
                    yield "backups", name, "are made by", lab.service_place(name)
        proxy = self.access.ids.proxy
        if proxy is not None:
            yield f"*.{self.access.ids.domain}", proxy.name, "is served by", lab.place("network", "domain")
            for user, provider in self.access.ids.guests():
                if user.database and self.access.ids.by_tcp_route(user, provider, user.database.port):
                    yield user.name, proxy.name, "finds its database by", lab.service_place(user.name, "database")

    def _people(self, gone: set[str]) -> dict[str, tuple[str, ...]]:
        """By person: the services that are lost, of those that they reach."""
        proxied = self.access.ids.proxy is not None and self.access.ids.proxy.name in gone
        found = {}
        for person in self.lab.settings.people:
            who = source(self.access, f"person:{person}")
            names = []
            for name in sorted(self.facts.services):
                if not self.facts.services[name].ports or not (name in gone or proxied):
                    continue
                ways = [way for way in to_service(self.access, who, name) if not way.missing]
                other = [way for way in ways if f".{self.access.ids.domain}" not in way.name]
                if ways and (name in gone or not other):
                    names.append(name)
            if names:
                found[person] = tuple(names)
        return found


def _shown(node: str) -> str:
    return node.removeprefix(cluster_node("")).removeprefix("host:")
