"""The grants that follow from a lab: who may reach what on the tailnet, each with the line that it comes from.

From `allow:` come the grants to services; from roles, those of admins; from the proxy, those of machines to it and of
it to what it routes; from databases and shares, those of their users. Nothing else is let through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from blumeops.base.findings import Place
from blumeops.facts.access.identities import ADMINS, HTTPS, Identities
from blumeops.facts.callers import caller
from blumeops.facts.derive import ServiceFacts

Section = Literal["admins", "services", "proxy", "databases", "shares"]

SHARE_PORTS = {"ssh": 22, "smb": 445, "nfs": 2049}
"""NFS by version 4, which needs no other port."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Sources, destinations and ports (`*`: all, of any protocol); `why` in a person's words."""

    section: Section
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[int, ...]
    why: str
    place: Place
    subject: str = ""
    """The service that it is about, if it is about one."""
    udp: tuple[int, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether it opens all."""
        return self.destinations == ("*",)

    def spans(self) -> tuple[str, ...]:
        """The ports as a grant's `ip` says them."""
        if self.everything:
            return ("*",)
        return (*(f"tcp:{port}" for port in self.ports), *(f"udp:{port}" for port in self.udp))


def grants(ids: Identities) -> tuple[Grant, ...]:
    """All of them: by section, services in the order of names. None without a tailnet."""
    if not ids.tailnet:
        return ()
    return (*_admins(ids), *_services(ids), *_proxy(ids), *_databases(ids), *_shares(ids))


def _admins(ids: Identities) -> Iterator[Grant]:
    if ADMINS in ids.groups:
        first = ids.groups[ADMINS][0]
        place = ids.lab.place("people", first, "role")
        yield Grant("admins", (ADMINS,), ("*",), (), "admins reach everything", place)


def _services(ids: Identities) -> Iterator[Grant]:
    for name, door in ids.doors.items():
        service = ids.lab.services[name]
        sources: dict[str, None] = {}
        for entry in service.allow:
            who = caller(ids.lab, entry)
            if who is not None and ids.places(who) != (service.place,):
                sources |= dict.fromkeys(ids.selectors(who))
        if sources:
            place = ids.lab.service_place(name, "allow")
            why = f"{name}: allow: [{', '.join(service.allow)}]"
            tcp, udp = (tuple(n for n, port in door.ports if port.protocol == kind) for kind in ("tcp", "udp"))
            yield Grant("services", tuple(sources), (door.selector,), tcp, why, place, name, udp)


def _proxy(ids: Identities) -> Iterator[Grant]:
    """Machines to the proxy, and the proxy to the ingresses: one address with every name behind it."""
    proxy, lab = ids.proxy, ids.lab
    if proxy is None:
        return
    place = lab.place("network", "proxy") if "proxy" in _written(ids) else lab.service_place(proxy.name)
    here = ids.of_host(proxy.host)
    if ids.machines:
        why = f"machines reach every name of {ids.domain} by {proxy.name} on {proxy.host}"
        yield Grant("proxy", ids.machines, (here,), ids.proxy_ports, why, place, proxy.name)
    allowed = [who for entry in proxy.service.allow if (who := caller(lab, entry)) is not None]
    if extra := tuple(dict.fromkeys(s for who in allowed for s in ids.selectors(who) if s not in ids.machines)):
        why = f"{proxy.name}: allow: [{', '.join(proxy.service.allow)}], and so every name of {ids.domain}"
        yield Grant("proxy", extra, (here,), ids.proxy_ports, why, lab.service_place(proxy.name, "allow"), proxy.name)
    upstreams = [
        door.selector
        for name, door in ids.doors.items()
        if name in ids.routed and door.kind == "ingress" and ids.lab.services[name].place != proxy.service.place
    ]
    if upstreams:
        why = f"{proxy.name} leads to the services of clusters by their own names"
        yield Grant("proxy", (ids.of_place(proxy.name),), tuple(upstreams), (HTTPS,), why, place, proxy.name)
    for route in ids.tcp_routes:
        door, port = ids.doors.get(route.service), ids.facts.services[route.service].ports[route.port].port
        if door is not None and door.kind == "ingress":
            why = f"{proxy.name} leads to {route.service} by TCP"
            yield Grant("proxy", (ids.of_place(proxy.name),), (door.selector,), (port,), why, place, proxy.name)


def _written(ids: Identities) -> Mapping[str, object]:
    data = ids.lab.documents["lab.yaml"].data
    network = data.get("network") if isinstance(data, dict) else None
    return network if isinstance(network, dict) else {}


def _databases(ids: Identities) -> Iterator[Grant]:
    """Users of a database that is in another place, and who streams a backup of it from there."""
    for user, provider in sorted(ids.guests(), key=lambda pair: pair[0].name):
        place = ids.lab.service_place(user.name, "database")
        yield from _to_database(ids, user, provider, f"{user.name} keeps its database in {provider}", place)
    for maker, provider in ids.dumped():
        why, place = f"{maker.name} keeps backups of the databases in {provider}", ids.lab.service_place(maker.name)
        yield from _to_database(ids, maker, provider, why, place)


def _to_database(ids: Identities, user: ServiceFacts, provider: str, why: str, place: Place) -> Iterator[Grant]:
    found = ids.facts.services.get(provider)
    provides = found.app.provides.get("database") if found else None
    if found is None or provides is None or provides.port not in found.ports:
        return
    if ids.by_tcp_route(user, provider, provides.port):
        return  # machines get to the proxy as it is
    door = ids.doors.get(provider) if found.service.cluster else None
    if found.service.cluster and door is None:
        return
    to = door.selector if door else ids.of_host(found.host)
    source = ids.of_place(user.name)
    if source != to:
        yield Grant("databases", (source,), (to,), (found.ports[provides.port].port,), why, place, user.name)


def _shares(ids: Identities) -> Iterator[Grant]:
    """Mounts by NFS or SMB, from where the service is; backups by SSH, from where they are made."""
    hosts = ids.settings.hosts
    for name in sorted(ids.facts.services):
        for mount, share in ids.lab.services[name].mounts.items():
            host, _, folder = share.partition("/")
            offered = hosts[host].shares.get(folder) if host in hosts else None
            if offered is None or ids.facts.services[name].host == host:
                continue
            ports = tuple(SHARE_PORTS[by] for by in offered.by if by != "ssh") or (SHARE_PORTS["ssh"],)
            place = ids.lab.service_place(name, "mounts", mount)
            yield Grant(
                "shares", (ids.of_place(name),), (ids.of_host(host),), ports, f"{name} mounts {share}", place, name
            )
    backup = ids.settings.backup
    host, _, folder = (backup.to if backup else "").partition("/")
    offered = hosts[host].shares.get(folder) if host in hosts else None
    if offered is None:
        return
    ports = tuple(SHARE_PORTS[by] for by in offered.by)
    for name, service in sorted(ids.facts.services.items()):
        if service.app.app == "borgmatic" and service.host != host:
            why = f"{name} keeps its backups on {backup.to if backup else ''}"
            place = ids.lab.place("backup", "to")
            yield Grant("shares", (ids.of_place(name),), (ids.of_host(host),), ports, why, place, name)
