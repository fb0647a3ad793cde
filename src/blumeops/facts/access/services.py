"""The ways to a service: by a name of its own on the tailnet, by the proxy, from beside it, and by its host's address.

Each way in is told with the line of each link, and with what is missing where it is closed.
"""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.facts.access.access import Access, Reason
from blumeops.facts.access.borders import To
from blumeops.facts.access.identities import HTTPS
from blumeops.facts.access.names import BESIDE, MAGIC, ROUTED, WORDS, viewpoint
from blumeops.facts.access.sources import Source, Way, unresolved
from blumeops.facts.callers import names_people
from blumeops.facts.derive import ServiceFacts


def to_service(access: Access, who: Source, name: str) -> Iterator[Way]:
    """The ways to a service, best first: people by its own name, machines by the proxy."""
    service = access.facts.services[name]
    direct = [*_beside(access, who, service)]
    if who.view == "device" and names_people(access.lab, service.service):
        yield from (*_by_door(access, who, service), *_by_proxy(access, who, service))
        yield from (*_by_tcp_route(access, who, service), *direct)
    else:
        yield from (*_by_proxy(access, who, service), *direct)
        yield from (*_by_tcp_route(access, who, service), *_by_door(access, who, service))
    yield from _by_address(access, who, service)


def _by_door(access: Access, who: Source, service: ServiceFacts) -> Iterator[Way]:
    """By a name of MagicDNS, through the policy, to an ingress or a Tailscale Service."""
    door = access.ids.doors.get(service.name)
    if door is None:
        return
    web = "http" in service.ports
    how = "the Tailscale operator's ingress" if door.kind == "ingress" else f"the Tailscale Service {door.selector}"
    named = Reason(access.lab.place("network", "tailnet"), f"{door.name} is a name of MagicDNS")
    for port, led_to in door.ports:
        links = [named] if who.view in MAGIC else []
        missing = [] if who.view in MAGIC else [unresolved(access, who, door.name)]
        udp = led_to.protocol == "udp"
        let = access.lets(who.end, access.end_of_door(service.name), port, udp=udp) if who.end else ()
        links += let[:1]
        if not let and who.end:
            missing.append(_closed(access, who, service))
        missing += _kept_in(access, who, port)
        place = access.lab.service_place(service.name, "cluster" if door.kind == "ingress" else "host")
        links.append(Reason(place, f"{how} leads to {service.name}"))
        name = f"https://{door.name}" if web and port == HTTPS else f"{door.name}:{port}"
        yield Way(name, port, tuple(links), tuple(missing))


def _closed(access: Access, who: Source, service: ServiceFacts) -> Reason:
    """No line lets this one in."""
    name = service.name
    place = access.lab.service_place(name, "allow") if service.service.allow else access.lab.service_place(name)
    said = f"[{', '.join(service.service.allow)}]" if service.service.allow else "nobody"
    return Reason(place, f"{name} allows {said}, so {who.name} is denied; admins reach everything")


def _by_proxy(access: Access, who: Source, service: ServiceFacts) -> Iterator[Way]:
    """By the proxy's name: everybody resolves it, the policy guards one address, and every name is behind it."""
    ids = access.ids
    proxy = ids.proxy
    if proxy is None or (service.name not in ids.routed and service.name != proxy.name):
        return
    port = ids.proxy_port
    links, missing = _to_proxy(access, who, service, port)
    if service.name != proxy.name:
        up = _upstream(access, proxy, service)
        (missing if up[0] else links).append(up[1])
    label = "*" if service.name == proxy.name else service.label  # the proxy answers by the names of others alone
    name = f"https://{label}.{ids.domain}" + ("" if port == HTTPS else f":{port}")
    yield Way(name, port, tuple(links), (*missing, *_kept_in(access, who, port)))


def _by_tcp_route(access: Access, who: Source, service: ServiceFacts) -> Iterator[Way]:
    """The same for what speaks no HTTP: the proxy has a port for each, and goes by that alone."""
    ids = access.ids
    if ids.proxy is None:
        return
    for route in ids.tcp_routes_to(service.name):
        links, missing = _to_proxy(access, who, service, route.number)
        up = _upstream(access, ids.proxy, service, service.ports[route.port].port)
        (missing if up[0] else links).append(up[1])
        missing += _kept_in(access, who, route.number)
        yield Way(f"{service.label}.{ids.domain}:{route.number}", route.number, tuple(links), tuple(missing))


def _to_proxy(access: Access, who: Source, service: ServiceFacts, port: int) -> tuple[list[Reason], list[Reason]]:
    """How one gets to a port of the proxy by the name of a service, and what is missing."""
    ids, lab, proxy = access.ids, access.lab, access.ids.proxy
    assert proxy is not None
    full = f"every name of {ids.domain}" if service.name == proxy.name else f"{service.label}.{ids.domain}"
    domain = lab.place("network", "domain")
    links = [Reason(domain, f"{full} leads to {proxy.name} on {proxy.host}")]
    if not ids.tailnet:  # then the name leads to an address of the home network, and no policy is before it
        closed = Reason(domain, f"{full} leads to {proxy.host}, to which the internet has no way")
        return links, [closed] if who.view == "internet" else []
    if who.view not in ROUTED:
        text = f"{full} resolves, but leads to an address of the tailnet: {WORDS[who.view]} has no route there"
        return links, [Reason(domain, text)]
    if who.end == f"host:{proxy.host}":
        return [*links, Reason(lab.service_place(proxy.name), f"{who.name} and {proxy.name} are on {proxy.host}")], []
    let = access.lets(who.end, f"host:{proxy.host}", port)
    if not let:
        return links, [Reason(domain, f"{proxy.name} is for machines and admins: {who.name} is neither")]
    opens = "a grant to its address opens every name behind it"
    if port != ids.proxy_port:
        opens = f"a grant to its port {port} opens {service.name}, and nothing else"
    return [*links, Reason(let[0].place, f"{let[0].text}: {opens}")], []


def _upstream(access: Access, proxy: ServiceFacts, service: ServiceFacts, port: int = HTTPS) -> tuple[bool, Reason]:
    """Whether the proxy cannot get to a port of a service that it routes; and why, or how it does."""
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
    let = access.lets(access.end_of_place(proxy.name), access.end_of_door(service.name), port)
    if not let:
        return True, Reason(place, f"no line lets {proxy.name} reach {door.name}")
    return False, Reason(let[0].place, f"{proxy.name} leads to {service.name} by {door.name}")


def _beside(access: Access, who: Source, service: ServiceFacts) -> Iterator[Way]:
    """In the same cluster, or on the same host: no policy of the tailnet stands between."""
    cluster = service.service.cluster
    inside = who.place == service.service.place and bool(who.place)
    if not inside or (who.view == "container" and not cluster):
        return
    for port in service.ports.values():
        if cluster:
            link, missing = _between_pods(access, who, service, port.port)
            name = f"{object_of(access, service)}.{service.name}.svc:{port.port}"
            yield Way(name, port.port, (link,), missing, beside=True)
        else:
            place = access.lab.service_place(service.name, "host")
            both = Reason(place, f"both are on {service.host}")
            yield Way(f"127.0.0.1:{port.port}", port.port, (both,), beside=True)


def _between_pods(access: Access, who: Source, service: ServiceFacts, port: int) -> tuple[Reason, tuple[Reason, ...]]:
    """How pods of one cluster get to each other, and what is missing where its network keeps them apart."""
    cluster, pods, place = who.place, access.pods, access.lab.service_place(service.name, "cluster")
    if not pods.apart(cluster):
        return Reason(place, f"both are in {cluster}, where nothing that the lab knows of keeps pods apart"), ()
    name = "" if who.name == cluster else who.name
    link = pods.lets(name, service.name, port) or Reason(place, f"both are in {cluster}, and no policy is between them")
    if pods.passes(name, service, port):
        return link, ()
    closed = f"no line lets {who.name} call {service.name} inside {cluster}, whose network enforces NetworkPolicies"
    return link, (Reason(access.lab.service_place(service.name), closed),)


def _kept_in(access: Access, who: Source, port: int, to: To = "tailnet") -> tuple[Reason, ...]:
    """What keeps a service's pods from calling the tailnet, or a device, at a port; other pods are kept by nothing."""
    service = access.facts.services.get(who.name)
    if who.view != "pod" or who.name == who.place or service is None or not access.pods.apart(who.place):
        return ()
    to = to if access.ids.tailnet else "host"  # without one the proxy's names lead to a device
    ways: tuple[To, ...] = ("tailnet", "operator") if to == "tailnet" else (to,)
    if access.pods.free(service) or any(access.borders.leaves(service, way, port) for way in ways):
        return ()
    what = "the tailnet" if to == "tailnet" else "devices"
    text = f"no line lets {who.name} call {what} from {who.place}, whose network enforces NetworkPolicies"
    return (Reason(access.lab.service_place(who.name), text),)


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
    for word, port in service.ports.items():
        place = lab.place("hosts", service.host, *(("address",) if address else ()))
        if port.entry or access.ids.is_inside(service.name, word):
            continue  # of the proxy: without one of its names it answers nothing
        if address and who.view in BESIDE:
            text = f"{service.name} listens on all addresses of {service.host}: past the tailnet's policy"
            missing = _kept_in(access, who, port.port, "host")
            yield Way(f"{address}:{port.port}", port.port, (Reason(place, text),), missing)
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
