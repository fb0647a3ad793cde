"""`reach`: may a source reach a destination, by which name, and which lines decide it.

Three things stand between a caller and a service: a name that resolves where the caller is, a policy that lets the
packet through, and a listener. Each way in is tried in the order in which a person would use it; the first that holds
is the answer, with the line of each link. When none does, each way's broken link is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from blumeops.base.findings import Place
from blumeops.facts.access.access import Access, Reason
from blumeops.facts.access.grants import SHARE_PORTS
from blumeops.facts.access.identities import ports_of
from blumeops.facts.access.names import BESIDE, MAGIC, ROUTED, WORDS, Viewpoint, viewpoint
from blumeops.facts.callers import names_people
from blumeops.facts.derive import ServiceFacts
from blumeops.lab.app import Port

API = {"minikube": 8443, "k3s": 6443, "kubernetes": 6443}
"""The port of a cluster's API."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who asks: `end` is empty for what is not on the tailnet; `place` is the host or cluster that it runs in."""

    name: str
    view: Viewpoint
    end: str = ""
    place: str = ""
    host: str = ""
    about: Reason | None = None
    """The line that says what it is."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in: by this name, at this port; open when nothing is `missing`."""

    name: str
    port: int
    links: tuple[Reason, ...]
    missing: tuple[Reason, ...] = ()
    beside: bool = False
    """Whether it stays within one cluster or host."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, with the links of the way that is open, or what is missing of each."""

    source: str
    destination: str
    port: int | None
    reachable: bool
    name: str
    because: tuple[Reason, ...]

    def as_json(self) -> dict[str, object]:
        """The object of `reach --json`."""
        return {
            "version": 1, "src": self.source, "dst": self.destination, "port": self.port,
            "reachable": self.reachable, "name": self.name or None,
            "because": [
                {"file": each.place.file, "line": each.place.line, "text": each.text} for each in self.because
            ],
        }  # fmt: skip


def source(access: Access, text: str) -> Source:
    """Who `text` is: a person, host, service, cluster, `internet` or `lan`; `KIND:NAME` where it is ambiguous.

    Raises LookupError for others.
    """
    kind, name = kind_of(access, text)
    lab, settings = access.lab, access.lab.settings
    match kind:
        case "person":
            person = settings.people[name]
            about = Reason(lab.place("people", name), f"{name} is {person.login}, role {person.role}")
            return Source(name, "device", f"person:{name}", about=about)
        case "host":
            host = settings.hosts[name]
            what = f"{host.owner}'s own device" if host.owner else f"tag:{name}"
            place = lab.place("hosts", name, *(("owner",) if host.owner else ()))
            about = Reason(place, f"{name} is {what}")
            return Source(name, "device" if host.owner else "host", f"host:{name}", name, name, about)
        case "cluster":
            return _pods(access, name, name)
        case "service":
            service = access.facts.services[name]
            if service.service.cluster:
                return _pods(access, name, service.service.cluster)
            about = Reason(lab.service_place(name, "host"), f"{name} runs on {service.host}")
            return Source(name, viewpoint(service), f"host:{service.host}", service.host, service.host, about)
    where: Viewpoint = "lan" if kind == "lan" else "internet"
    return Source(text, where)


def _pods(access: Access, name: str, cluster: str) -> Source:
    settings = access.lab.settings.clusters[cluster]
    as_whom = f"as {settings.host}" if settings.egress == "host" else f"as tag:{cluster}-egress"
    place = access.lab.place("clusters", cluster)
    about = Reason(place, f"pods of {cluster} send {as_whom} (egress: {settings.egress})")
    return Source(name, "pod", access.end_of_cluster(cluster), cluster, settings.host, about)


def kind_of(access: Access, text: str) -> tuple[str, str]:
    """What a name on the command line stands for: kind and name. Raises LookupError."""
    settings = access.lab.settings
    known: dict[str, Collection[str]] = {
        "person": settings.people, "host": settings.hosts, "service": access.facts.services,
        "cluster": settings.clusters,
    }  # fmt: skip
    kind, colon, name = text.partition(":")
    if colon and kind in known and name in known[kind]:
        return kind, name
    if text in ("internet", "lan"):
        return text, text
    found = [kind for kind, names in known.items() if text in names]
    if not found:
        by_label = [name for name, each in access.facts.services.items() if each.label == text]
        if by_label:
            return "service", by_label[0]
        raise LookupError(text)
    return found[0], text


def reach(access: Access, src: str, dst: str, port: int | None = None) -> Verdict:
    """The verdict about one pair. Raises LookupError for a name that nothing in the lab has."""
    who = source(access, src)
    kind, name = kind_of(access, dst)
    ways = list(_ways(access, who, kind, name, port))
    about = (who.about,) if who.about else ()
    for way in ways:
        if not way.missing:
            return Verdict(src, dst, way.port or None, True, way.name, (*about, *way.links))
    # What the lab says of the service itself comes first: it is what a person would change.
    own = {access.lab.service_place(name).file} if kind == "service" else set()
    missing = dict.fromkeys(
        sorted((reason for way in ways for reason in way.missing), key=lambda reason: reason.place.file not in own)
    )
    if not ways:
        missing = dict.fromkeys([_no_way(access, kind, name, port)])
    return Verdict(src, dst, port or (ways[0].port if ways else None), False, "", (*about, *missing))


def _no_way(access: Access, kind: str, name: str, port: int | None) -> Reason:
    where = f"at port {port}" if port else ""
    place = access.lab.service_place(name) if kind == "service" else access.lab.place(f"{kind}s", name)
    return Reason(place, f"nothing of {name} listens {where}".rstrip() + " for others")


def _ways(access: Access, who: Source, kind: str, name: str, port: int | None) -> Iterator[Way]:
    match kind:
        case "service":
            yield from (way for way in to_service(access, who, name) if port in (None, way.port))
        case "host":
            yield from to_host(access, who, name, port)
        case "cluster":
            yield from _to_cluster(access, who, name, port)
        case "person":
            yield from _to_person(access, who, name, port)
        case "internet":
            place = access.lab.place("network") if who.view != "internet" else access.lab.place("lab")
            link = Reason(place, "what leaves the lab is not filtered: the tailnet's policy is about the tailnet")
            yield Way("", port or 0, (link,))
        case "lan":
            host = access.lab.place("network")
            yield Way("", port or 0, (), (Reason(host, "devices beside the tailnet have no name in the lab"),))


# services


def to_service(access: Access, who: Source, name: str) -> Iterator[Way]:
    """The ways to a service, best first: people by its own name, machines by the proxy."""
    service = access.facts.services[name]
    direct = [*_beside(access, who, service)]
    if who.view == "device" and names_people(access.lab, service.service):
        yield from (*_by_door(access, who, service), *_by_proxy(access, who, service), *direct)
    else:
        yield from (*_by_proxy(access, who, service), *direct, *_by_door(access, who, service))
    yield from _by_address(access, who, service)


def _by_door(access: Access, who: Source, service: ServiceFacts) -> Iterator[Way]:
    """By a name of MagicDNS, through the policy, to an ingress or a Tailscale Service."""
    door = access.ids.doors.get(service.name)
    if door is None:
        return
    web = "http" in ports_of(service)
    how = "the Tailscale operator's ingress" if door.kind == "ingress" else f"the Tailscale Service {door.selector}"
    named = Reason(access.lab.place("network", "tailnet"), f"{door.name} is a name of MagicDNS")
    for port in door.ports:
        links = [named] if who.view in MAGIC else []
        missing = [] if who.view in MAGIC else [_unresolved(access, who, door.name)]
        let = access.lets(who.end, access.end_of_door(service.name), port, udp=_udp(service, port)) if who.end else ()
        links += let[:1]
        if not let and who.end:
            missing.append(_closed(access, who, service))
        place = access.lab.service_place(service.name, "cluster" if door.kind == "ingress" else "host")
        links.append(Reason(place, f"{how} leads to {service.name}"))
        yield Way(f"https://{door.name}" if web else f"{door.name}:{port}", port, tuple(links), tuple(missing))


def _udp(service: ServiceFacts, port: int) -> bool:
    found: list[Port] = [each for each in ports_of(service).values() if each.port == port]
    return bool(found) and all(each.protocol == "udp" for each in found)


def _closed(access: Access, who: Source, service: ServiceFacts) -> Reason:
    """No line lets this one in."""
    name = service.name
    place = access.lab.service_place(name, "allow") if service.service.allow else access.lab.service_place(name)
    said = f"[{', '.join(service.service.allow)}]" if service.service.allow else "nobody"
    return Reason(place, f"{name} allows {said}, so {who.name} is denied; admins reach everything")


def _unresolved(access: Access, who: Source, name: str) -> Reason:
    place = access.lab.place("network", "tailnet")
    where = f"no pod of {who.place}" if who.view == "pod" else WORDS[who.view]
    tail = "can resolve" if who.view == "pod" else "does not resolve"
    return Reason(place, f"{name} is a name of MagicDNS, which {where} {tail}")


def _by_proxy(access: Access, who: Source, service: ServiceFacts) -> Iterator[Way]:
    """By the proxy's name: everybody resolves it, the policy guards one address, and every name is behind it."""
    ids, lab = access.ids, access.lab
    proxy = ids.proxy
    if proxy is None or (service.name not in ids.routed and service.name != proxy.name):
        return
    full = f"{service.label}.{ids.domain}"
    links = [Reason(lab.place("network", "domain"), f"{full} leads to {proxy.name} on {proxy.host}")]
    missing: list[Reason] = []
    if who.view not in ROUTED:
        place = lab.place("network", "domain")
        missing.append(Reason(place, f"{full} resolves, but leads to an address of the tailnet: {WORDS[who.view]} "
                                     "has no route there"))  # fmt: skip
    elif who.end == f"host:{proxy.host}":
        links.append(Reason(lab.service_place(proxy.name), f"{who.name} and {proxy.name} are on {proxy.host}"))
    else:
        let = access.lets(who.end, f"host:{proxy.host}", ids.proxy_port) if ids.tailnet else ()
        links += (
            [Reason(let[0].place, f"{let[0].text}: a grant to its address opens every name behind it")] if let else []
        )
        if not let and ids.tailnet:
            place = lab.place("network", "domain")
            missing.append(Reason(place, f"{proxy.name} is for machines and admins: {who.name} is neither"))
    if service.name != proxy.name:
        up = _upstream(access, proxy, service)
        (missing if up[0] else links).append(up[1])
    port = ids.proxy_port
    yield Way(f"https://{full}" + ("" if port == 443 else f":{port}"), port, tuple(links), tuple(missing))


def _upstream(access: Access, proxy: ServiceFacts, service: ServiceFacts) -> tuple[bool, Reason]:
    """Whether the proxy cannot get to a service that it routes; and why, or how it does."""
    lab, ids = access.lab, access.ids
    place = lab.service_place(service.name)
    if service.service.place == proxy.service.place:
        return False, Reason(place, f"{proxy.name} leads to {service.name}, beside it on {service.service.place}")
    if not service.service.cluster:
        return False, Reason(place, f"{proxy.name} leads to {service.name} on {service.host}")
    door = ids.doors.get(service.name)
    if door is None:
        return True, Reason(place, f"{proxy.name} has no way to {service.name}: it has no name outside its cluster")
    if viewpoint(proxy) not in MAGIC:
        return True, Reason(place, f"{proxy.name} runs where {door.name}, a name of MagicDNS, does not resolve")
    let = access.lets(access.end_of_place(proxy.name), access.end_of_door(service.name), door.ports[0])
    if not let:
        return True, Reason(place, f"no line lets {proxy.name} reach {door.name}")
    return False, Reason(let[0].place, f"{proxy.name} leads to {service.name} by {door.name}")


def _beside(access: Access, who: Source, service: ServiceFacts) -> Iterator[Way]:
    """In the same cluster, or on the same host: no policy of the tailnet stands between."""
    cluster = service.service.cluster
    inside = who.place == service.service.place and bool(who.place)
    if not inside or (who.view == "container" and not cluster):
        return
    for port in ports_of(service).values():
        if cluster:
            link = Reason(
                access.lab.service_place(service.name, "cluster"),
                f"both are in {cluster}, where no policy stands between pods",
            )
            yield Way(f"{object_of(access, service)}.{service.name}.svc:{port.port}", port.port, (link,), beside=True)
        else:
            place = access.lab.service_place(service.name, "host")
            both = Reason(place, f"both are on {service.host}")
            yield Way(f"127.0.0.1:{port.port}", port.port, (both,), beside=True)


def object_of(access: Access, service: ServiceFacts) -> str:
    """The Kubernetes Service of a service; CloudNativePG calls the one that writes go to `NAME-rw`."""
    provide = service.app.provides.get("database")
    operated = (service.service.cluster, "cloudnative-pg") in access.parts
    postgres = provide is not None and provide.scheme in ("postgres", "postgresql")
    return f"{service.name}-rw" if operated and postgres else service.name


def _by_address(access: Access, who: Source, service: ServiceFacts) -> Iterator[Way]:
    """What listens on all addresses of a host is reached by its address from beside it, past the tailnet's policy."""
    lab = access.lab
    if service.service.cluster or service.host not in lab.settings.hosts or who.host == service.host == who.place:
        return
    address = lab.settings.hosts[service.host].address
    if not listens_wide(access, service.name):
        return
    for port in ports_of(service).values():
        place = lab.place("hosts", service.host, *(("address",) if address else ()))
        if port.entry:
            continue  # of the proxy: without one of its names it answers nothing
        if address and who.view in BESIDE:
            text = f"{service.name} listens on all addresses of {service.host}: past the tailnet's policy"
            yield Way(f"{address}:{port.port}", port.port, (Reason(place, text),))
        elif who.end and access.ids.tailnet and who.view in MAGIC:
            let = access.lets(who.end, f"host:{service.host}", port.port, udp=port.protocol == "udp")
            missing = () if let else (_closed(access, who, service),)
            yield Way(f"{service.host}.{access.ids.tailnet}:{port.port}", port.port, let[:1], missing)


def listens_wide(access: Access, name: str) -> bool:
    """Whether a native service listens on all addresses: somebody who uses it is on another machine."""
    host = access.lab.services[name].host
    users = set(access.users.get(name, ()))
    if name in access.ids.routed and access.ids.proxy is not None:
        users.add(access.ids.proxy.name)
    return any(user not in access.lab.services or access.lab.services[user].host != host for user in users)


# devices


def known_ports(access: Access, host: str) -> tuple[int, ...]:
    """The ports of a host itself that the lab speaks of: SSH, shares, and the proxy's."""
    entry = access.lab.settings.hosts[host]
    found = [SHARE_PORTS["ssh"], *(SHARE_PORTS[by] for share in entry.shares.values() for by in share.by)]
    if access.ids.proxy is not None and access.ids.proxy.host == host:
        found.append(access.ids.proxy_port)
    return tuple(dict.fromkeys(found))


def to_host(access: Access, who: Source, name: str, port: int | None) -> Iterator[Way]:
    """A device by its name on the tailnet, at one port or at any that the lab speaks of."""
    lab, tailnet = access.lab, access.ids.tailnet
    place = lab.place("hosts", name)
    for number in (port,) if port else known_ports(access, name):
        if who.host == name:
            at = "127.0.0.1" if who.view in ("host", "device") else lab.settings.hosts[name].address or ""
            yield Way(at, number, (Reason(place, f"{who.name} is on {name} itself"),))
            continue
        if not tailnet:
            address = lab.settings.hosts[name].address or name
            missing = () if who.view in BESIDE else (Reason(place, f"{who.name} is not beside {name}"),)
            yield Way(address, number, (Reason(place, "there is no tailnet, and so no policy"),), missing)
            continue
        if not who.end:
            text = f"{name} has an address of the tailnet, to which {WORDS[who.view]} has no route"
            yield Way("", number, (), (Reason(lab.place("network", "tailnet"), text),))
            continue
        let = access.lets(who.end, f"host:{name}", number)
        closed = Reason(place, f"no line lets {who.name} reach port {number} of {name}")
        full = f"{name}.{tailnet}" if who.view in MAGIC else lab.settings.hosts[name].address or ""
        absent = [] if full else [_unresolved(access, who, f"{name}.{tailnet}")]
        yield Way(full, number, let[:1], (*absent, *(() if let else (closed,))))


def _to_cluster(access: Access, who: Source, name: str, port: int | None) -> Iterator[Way]:
    """A cluster's API: minikube's is on its host's loopback."""
    cluster = access.lab.settings.clusters[name]
    number = port or API[cluster.kind]
    place = access.lab.place("clusters", name)
    if who.place == name:
        yield Way("kubernetes.default.svc", number, (Reason(place, f"{who.name} is a pod of {name}"),))
    elif who.host == cluster.host:
        yield Way("127.0.0.1", number, (Reason(place, f"{who.name} is on {cluster.host}, which carries {name}"),))
    elif cluster.kind == "minikube":
        text = f"the API of {name} listens on the loopback of {cluster.host} alone"
        yield Way("", number, (), (Reason(place, text),))
    else:
        yield from to_host(access, who, cluster.host, number)


def _to_person(access: Access, who: Source, name: str, port: int | None) -> Iterator[Way]:
    """Any device of a person: the policy opens one by name of its user alone."""
    number = port or SHARE_PORTS["ssh"]
    place: Place = access.lab.place("people", name)
    if who.end == f"person:{name}":
        yield Way("", number, (), (Reason(place, f"no line lets the devices of {name} reach each other"),))
        return
    let = access.lets(who.end, f"person:{name}", number) if who.end else ()
    closed = Reason(place, f"no line lets {who.name} reach a device of {name}")
    yield Way("", number, let[:1], () if let else (closed,))
