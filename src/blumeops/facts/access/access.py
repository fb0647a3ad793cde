"""What may reach what on the tailnet: the derived grants, with those of the lab's own policy where it brings one.

Ends are named by kind: `person:NAME` (any device of that user), `host:NAME`, `egress:CLUSTER` (the operator's proxies),
`service:NAME` (an ingress), `svc:LABEL` (a Tailscale Service). Without a policy.hujson all is looked up in the derived
grants, and the policy engine is not even imported; with one it decides about the two together. Both give the same
answer about what is derived: a property test holds them against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from blumeops.base.findings import Place
from blumeops.facts.access.grants import Grant, grants
from blumeops.facts.access.identities import Identities
from blumeops.facts.derive import Facts
from blumeops.facts.graph import parts
from blumeops.lab.model import Lab

if TYPE_CHECKING:
    from blumeops.facts.access.borders import Borders
    from blumeops.facts.access.merged import Merged
    from blumeops.facts.access.pods import Pods


@dataclass(frozen=True, slots=True)
class Reason:
    """A line of a file that lets something through, and what it says."""

    place: Place
    text: str


class Access:
    """All that a lab lets through."""

    def __init__(self, lab: Lab, facts: Facts) -> None:
        self.lab, self.facts = lab, facts
        self.ids = Identities(lab, facts)
        self.grants = grants(self.ids)
        self._by_destination: dict[str, list[Grant]] = {}
        for grant in self.grants:
            for destination in grant.destinations:
                self._by_destination.setdefault(destination, []).append(grant)

    @cached_property
    def merged(self) -> Merged | None:
        """The derived policy together with the lab's own, where there is one."""
        if self.lab.policy is None or not self.ids.tailnet:
            return None
        from blumeops.facts.access.merged import Merged

        return Merged(self)

    @cached_property
    def pods(self) -> Pods:
        """Who calls whom inside the clusters."""
        from blumeops.facts.access.pods import Pods

        return Pods(self)

    @cached_property
    def borders(self) -> Borders:
        """What crosses the clusters' borders."""
        from blumeops.facts.access.borders import Borders

        return Borders(self.pods)

    def sources(self, end: str) -> frozenset[str]:
        """The selectors that an end is meant by, as a source."""
        kind, _, name = end.partition(":")
        if kind == "egress":
            return frozenset({f"tag:{name}-egress"})
        own = self.ids.of_person(name) if kind == "person" else self.ids.of_host(name)
        return frozenset({own, *self.groups_of.get(own, ())})

    def destination(self, end: str) -> str:
        """The selector that an end is meant by, as a destination."""
        kind, _, name = end.partition(":")
        if kind == "svc":
            return end
        if kind == "person":
            return self.ids.of_person(name)
        return self.ids.of_host(name) if kind == "host" else f"tag:{name}"

    @cached_property
    def groups_of(self) -> Mapping[str, tuple[str, ...]]:
        """The groups of each login."""
        found: dict[str, tuple[str, ...]] = {}
        for group, people in self.ids.groups.items():
            for person in people:
                login = self.ids.of_person(person)
                found[login] = (*found.get(login, ()), group)
        return found

    @cached_property
    def parts(self) -> Mapping[tuple[str, str], str]:
        """The parts of clusters, by cluster and app."""
        return parts(self.lab)

    @cached_property
    def users(self) -> Mapping[str, frozenset[str]]:
        """By service or cluster: who cannot start without it."""
        found: dict[str, set[str]] = {}
        for edge in self.facts.edges:
            found.setdefault(edge.used, set()).add(edge.user)
        return {used: frozenset(users) for used, users in found.items()}

    def lets(self, source: str, destination: str, port: int, *, udp: bool = False) -> tuple[Reason, ...]:
        """The lines that let one end reach a port of another; none: it is denied."""
        if self.merged is not None:
            return self.merged.lets(source, destination, port, udp=udp)
        return self.derived(source, destination, port, udp=udp)

    def derived(self, source: str, destination: str, port: int, *, udp: bool = False) -> tuple[Reason, ...]:
        """The same, of what is derived alone."""
        sources = self.sources(source)
        candidates = [*self._by_destination.get(self.destination(destination), ()), *self._by_destination.get("*", ())]
        return tuple(
            Reason(grant.place, grant.why)
            for grant in candidates
            if not sources.isdisjoint(grant.sources)
            and (grant.everything or port in (grant.udp if udp else grant.ports))
        )

    # ends

    def end_of_host(self, name: str) -> str:
        """A host's own end."""
        return f"host:{name}"

    def end_of_place(self, service: str) -> str:
        """The end that packets of a service come from."""
        described = self.lab.services[service]
        if described.cluster in self.lab.settings.clusters:
            return self.end_of_cluster(described.cluster or "")
        return f"host:{described.host}"

    def end_of_cluster(self, name: str) -> str:
        """The end that packets of its pods come from."""
        cluster = self.lab.settings.clusters[name]
        return f"egress:{name}" if cluster.egress == "operator" else f"host:{cluster.host}"

    def end_of_door(self, service: str) -> str:
        """The end of a service that has a door."""
        door = self.ids.doors[service]
        return door.selector if door.kind == "service" else f"service:{service}"
