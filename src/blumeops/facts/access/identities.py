"""Who is who on the tailnet: people, hosts, pods, and the services that have an identity of their own there.

Enters a lab with its facts, whole or not; what is described wrongly is passed over, since other checks find it. Leaves
for each of them the selector by which the policy knows it: a login for a person's own devices, a tag for all others.
A device of a person never has a tag: Tailscale would take it away from its user.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal

from blumeops.facts.backup import held
from blumeops.facts.callers import ROLES, Caller, caller, names_people, people_of
from blumeops.facts.derive import Facts, ServiceFacts
from blumeops.facts.plugins import plugin
from blumeops.lab.app import Port
from blumeops.lab.model import Lab

ADMINS, MEMBERS = "group:admins", "group:members"
OPERATOR = "tag:k8s-operator"
"""What the Tailscale operator itself is; it owns the tags of what it makes."""
OURS = frozenset({"k8s-operator", "k8s"})
"""Tags that the operator has for itself: no host and no service may be called so."""
HTTPS = 443


@dataclass(frozen=True, slots=True)
class Door:
    """A way into a service from the tailnet: `ports` of `selector`, by `name`, each with the port that it leads to.

    `ingress`: a device that the Tailscale operator makes, with a tag of its own. `service`: a Tailscale Service, which
    the service's host, a tagged one, serves.
    """

    service: str
    kind: Literal["ingress", "service"]
    selector: str
    name: str
    ports: tuple[tuple[int, Port], ...]


@dataclass(frozen=True, slots=True)
class TcpRoute:
    """A number at which the proxy leads callers to a port of a service, whatever they speak."""

    number: int
    service: str
    port: str


class Identities:
    """The selectors of everything in a lab."""

    def __init__(self, lab: Lab, facts: Facts) -> None:
        self.lab, self.facts = lab, facts
        self.settings = lab.settings
        self.tailnet = lab.settings.network.tailnet
        self.domain = lab.settings.network.domain
        self.routed = frozenset(route.service for route in facts.routes) if self.domain else frozenset()

    # selectors

    def of_person(self, name: str) -> str:
        """A login, in lower case as policies compare them."""
        return self.settings.people[name].login.lower()

    def of_host(self, name: str) -> str:
        """The tag of a host; of an owned one its owner's login, which is all that the policy knows of it."""
        host = self.settings.hosts.get(name)
        if host is not None and host.owner in self.settings.people:
            return self.of_person(host.owner or "")
        return f"tag:{name}"

    def of_cluster(self, name: str) -> str:
        """Where packets of its pods come from: the host's identity, or that of the operator's egress proxies."""
        cluster = self.settings.clusters[name]
        return f"tag:{name}-egress" if cluster.egress == "operator" else self.of_host(cluster.host)

    def of_place(self, service: str) -> str:
        """Where packets of a service come from."""
        described = self.lab.services[service]
        if described.cluster in self.settings.clusters:
            return self.of_cluster(described.cluster or "")
        return self.of_host(described.host or "")

    def selectors(self, who: Caller) -> tuple[str, ...]:
        """What a caller is in the policy; nothing where it stands for nobody."""
        match who.kind:
            case "role":
                return (f"group:{who.name}",) if people_of(self.lab, who) else ()
            case "group":
                return (f"group:{who.name}",) if people_of(self.lab, who) else ()
            case "person":
                return (self.of_person(who.name),)
            case "host":
                return (self.of_host(who.name),)
            case "service":
                return (self.of_place(who.name),)
        return tuple(dict.fromkeys(self.of_cluster(name) for name in self.placed_clusters))

    @cached_property
    def placed_clusters(self) -> tuple[str, ...]:
        """The clusters whose host is described."""
        return tuple(name for name, cluster in self.settings.clusters.items() if cluster.host in self.settings.hosts)

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups of the policy with the people in each; those with nobody are left out."""
        named = [Caller("role", role) for role in ROLES] + [Caller("group", name) for name in self.settings.groups]
        return {f"group:{who.name}": people for who in named if (people := people_of(self.lab, who))}

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """The selectors of all that is nobody's own device: tagged hosts, egress proxies."""
        hosts = [self.of_host(name) for name, host in self.settings.hosts.items() if host.owner is None]
        return tuple(dict.fromkeys([*hosts, *(self.of_cluster(name) for name in self.placed_clusters)]))

    # the proxy

    @cached_property
    def proxy(self) -> ServiceFacts | None:
        """The service that routes the names of `domain`; None where there is no domain, or nothing routes."""
        found = self.facts.services.get(self.settings.network.proxy) if self.domain else None
        return found if found is not None and found.host in self.settings.hosts else None

    @cached_property
    def proxy_port(self) -> int:
        """The port of the proxy that callers know."""
        found = self.proxy.ports.values() if self.proxy else ()
        return next((port.port for port in found if port.entry), HTTPS)

    @cached_property
    def tcp_routes(self) -> tuple[TcpRoute, ...]:
        """What the proxy leads to by TCP, services in the order of names: what is beside it, and what has an ingress.

        Only a proxy that is built for this lab can: no package of Caddy has what it takes. What listens at its number
        on the proxy's own host is there already.
        """
        proxy = self.proxy
        if proxy is None or plugin(self.lab) is None or all(f.derived != "routes" for f in proxy.app.files.values()):
            return ()
        found = []
        for name in sorted(self.facts.services.keys() - {proxy.name}):
            service, door = self.facts.services[name], self.doors.get(name)
            for word, port in service.ports.items():
                if port.routed is None:
                    continue
                if service.service.place == proxy.service.place:
                    leads = port.port != port.routed
                else:
                    leads = door is not None and door.kind == "ingress" and (port.port, port) in door.ports
                if leads:
                    found.append(TcpRoute(port.routed, name, word))
        return tuple(found)

    def tcp_routes_to(self, name: str) -> tuple[TcpRoute, ...]:
        """Those that lead to one service."""
        return self._tcp_routes_by_service.get(name, ())

    @cached_property
    def _tcp_routes_by_service(self) -> Mapping[str, tuple[TcpRoute, ...]]:
        found = groupby(self.tcp_routes, lambda route: route.service)
        return {name: tuple(routes) for name, routes in found}

    def by_tcp_route(self, user: ServiceFacts, name: str, port: str) -> TcpRoute | None:
        """How a pod or a container gets to a port of a service in another cluster: it knows no names of MagicDNS."""
        cluster = self.lab.services[name].cluster
        if not cluster or cluster == user.service.cluster or not (user.service.cluster or user.service.image):
            return None
        return next((route for route in self.tcp_routes_to(name) if route.port == port), None)

    def is_inside(self, name: str, port: str) -> bool:
        """Whether a port of a host is found at another number alone, the proxy's or the Tailscale Service's: those call
        it from beside it, so it listens on loopback. The users of a database know its own number, and its host's name.
        """
        service = self.facts.services[name]
        numbers = {ports[port].routed for ports in (service.app.ports, service.service.ports) if port in ports}
        elsewhere = numbers - {None, service.ports[port].port}
        return bool(elsewhere) and (name, port) not in self._lent_ports

    @cached_property
    def proxy_ports(self) -> tuple[int, ...]:
        """Every port of the proxy that callers know: of pages, then those of TCP routes."""
        return tuple(dict.fromkeys((self.proxy_port, *(route.number for route in self.tcp_routes))))

    # services

    @cached_property
    def doors(self) -> dict[str, Door]:
        """The ways in from the tailnet, by service."""
        if not self.tailnet:
            return {}
        found = {}
        for name in sorted(self.facts.services):
            service = self.facts.services[name]
            ports = _of_door(service)
            served = name != self.settings.network.proxy and service.app.kind != "job" and ports
            if not served or not self._wants_door(service):
                continue
            full = f"{service.label}.{self.tailnet}"
            if service.service.cluster:
                found[name] = Door(name, "ingress", f"tag:{name}", full, ports)
            else:
                found[name] = Door(name, "service", f"svc:{service.label}", full, ports)
        return found

    def afar(self, name: str) -> bool:
        """Whether `allow:` names a machine that is elsewhere than the service."""
        place = self.lab.services[name].place
        return any(place not in self.places(who) for entry in self.lab.services[name].allow if (who := self._of(entry)))

    def places(self, who: Caller) -> tuple[str, ...]:
        """The hosts and clusters that a machine among the callers is at; for people, none."""
        match who.kind:
            case "host":
                return (who.name,)
            case "service":
                return (self.lab.services[who.name].place,)
            case "cluster":
                return self.placed_clusters
        return ()

    def _wants_door(self, service: ServiceFacts) -> bool:
        """People use a name of their own; so does a proxy that runs elsewhere, and what speaks no HTTP."""
        if names_people(self.lab, service.service):
            return True
        name, cluster = service.name, service.service.cluster
        if "http" in service.ports:
            if self.proxy is None or name not in self.routed:
                return bool(cluster) and self.afar(name)
            return bool(cluster) and self.proxy.service.cluster != cluster
        return (bool(cluster) and name in self._lent) or self.afar(name)

    @cached_property
    def _lent(self) -> frozenset[str]:
        """The providers with a user, or a maker of their backups, in another place."""
        return frozenset(provider for _, provider in (*self.guests(), *self.dumped()))

    @cached_property
    def _lent_ports(self) -> frozenset[tuple[str, str]]:
        """Providers that have users in another place, each with the port that those call."""
        provided = ((name, self.facts.services[name].app.provides.get("database")) for name in self._lent)
        return frozenset((name, provide.port) for name, provide in provided if provide)

    def guests(self) -> Iterator[tuple[ServiceFacts, str]]:
        """The users of a database that is in another place, each with its provider."""
        for user in self.facts.services.values():
            if user.database and self.lab.services[user.database.provider].place != user.service.place:
                yield user, user.database.provider

    def dumped(self) -> Iterator[tuple[ServiceFacts, str]]:
        """The makers of backups on hosts, each with the providers in other places whose databases they stream."""
        for maker, kept in held(self.facts.services, self.facts.kept).items():
            for provider in dict.fromkeys(each.database.provider for each in kept if each.database):
                if self.lab.services[provider].place != self.lab.services[maker].place:
                    yield self.facts.services[maker], provider

    def _of(self, entry: str) -> Caller | None:
        return caller(self.lab, entry)


def _of_door(service: ServiceFacts) -> tuple[tuple[int, Port], ...]:
    """The ports of a way in. Pages are HTTPS, and beside them an ingress carries nothing, a Tailscale Service what is
    routed. What has no pages has all its ports: in a cluster by their own numbers, at a host as the proxy would have
    them, so that one number is right for both names."""
    ports, in_cluster = service.ports, service.service.cluster is not None
    if "http" not in ports:
        return tuple((port.port if in_cluster else port.routed or port.port, port) for port in ports.values())
    beside = () if in_cluster else ports.values()
    return ((HTTPS, ports["http"]), *((port.routed, port) for port in beside if port.routed))
