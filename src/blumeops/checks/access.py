"""BLU206-BLU217: what is declared can be reached where it is used, and nobody reaches more than is declared."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.access.access import Access
from blumeops.facts.access.identities import OURS
from blumeops.facts.access.names import MAGIC, place_words, viewpoint
from blumeops.facts.access.pods import derives
from blumeops.facts.access.services import to_service
from blumeops.facts.access.sources import source
from blumeops.facts.access.uses import VERBS, Named, Uses
from blumeops.facts.callers import Caller, callers, people_of
from blumeops.facts.derive import Facts
from blumeops.lab.model import Lab

_FEW = 4


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Names resolve where they are used, uses have a way, no `allow:` is widened, the lab's own policy agrees."""
    access = Access(lab, facts)
    if not access.ids.tailnet and not access.ids.domain and lab.policy is None:
        return  # no network is described: a lab that lives at site `here` alone
    yield from _names(access)
    yield from _databases(access)
    yield from _mounts(access)
    yield from _callers(access)
    if not access.ids.tailnet:
        if lab.policy is not None:
            place = lab.place("network")
            message, hint = "is read by nobody: the lab has no tailnet", "name it in `network: {tailnet: …}`"
            yield Finding("BLU214", place, "policy.hujson", message, hint, "warning")
        return
    yield from _proxy(access)
    yield from _identities(access)
    yield from _logins(access)
    if access.merged is not None:
        yield from access.merged.findings()


def _names(access: Access) -> Iterator[Finding]:
    """Every name that a service is given word for word."""
    uses = Uses(access)
    hosts = access.lab.settings.hosts
    for service in access.facts.services.values():
        if not _is_placed(access, service.name):
            continue
        for named in uses.of(service):
            if not named.used and named.label not in hosts:
                if access.lab.broken:
                    continue
                message = f"is given {named.name}, and nothing in the lab has that name"
                hint = "if it is somebody's beyond this lab, all is well"
                yield Finding("BLU209", named.place, service.name, message, hint, "warning")
            elif named.magic and viewpoint(service) not in MAGIC:
                message = f"{_verb(access, named)} {named.name}, which {place_words(access, service.name)}"
                yield Finding("BLU206", named.place, service.name, message, _instead(access, named))
            elif not named.magic and named.used and (closed := _not_led_to(access, named)):
                message = f"is given {closed}"
                yield Finding("BLU206", named.place, service.name, message, _instead(access, named))


def _not_led_to(access: Access, named: Named) -> str:
    """The name, and what the proxy does not lead to; empty where it does. What is beside the proxy is asked itself at
    another number, and of a proxy with files of its own nobody knows the numbers."""
    ids, used = access.ids, named.used
    pages = (ids.proxy_port,) if used in ids.routed else ()
    numbers = (*pages, *(route.number for route in ids.tcp_routes_to(used)))
    if not numbers:
        return f"{named.name}, but {ids.settings.network.proxy} routes no {used}"
    if named.port in (None, *numbers) or ids.proxy is None or not derives(ids.proxy, "routes"):
        return ""
    if access.lab.services[used].host == ids.proxy.host:
        return ""
    return f"{named.name}:{named.port}, but {ids.proxy.name} leads to {used} at {' and '.join(map(str, numbers))} alone"


def _verb(access: Access, named: Named) -> str:
    app = access.facts.services[named.used].app.app if named.used else ""
    return VERBS.get(app, "uses")


def _instead(access: Access, named: Named) -> str:
    """The name that works from there."""
    lab, user = access.lab, access.lab.services[named.user]
    used = access.facts.services.get(named.used)
    if used is None:
        address = lab.settings.hosts[named.label].address
        return f"use its address, {address}" if address else f"give {named.label} an `address:`, and use that"
    ways = to_service(access, source(access, f"service:{named.user}"), used.name)
    found = next((way for way in ways if not way.missing), None)
    if found is None:
        return f"place {used.name} in {user.place}" if user.cluster else "place the two together"
    return f"use {found.name}"


def _databases(access: Access) -> Iterator[Finding]:
    """A database in another place has a name that resolves where its user runs."""
    lab, ids = access.lab, access.ids
    for user, name in ids.guests():
        provider = access.facts.services.get(name)
        if provider is None or not provider.service.cluster or not _is_placed(access, user.name):
            continue
        place = lab.service_place(user.name, "database")
        hint = f"place {user.name} and {name} together"
        door = ids.doors.get(name)
        if door is None:
            message = f"keeps its database in {name}, which has no name outside {provider.service.cluster}"
            yield Finding("BLU207", place, user.name, message, f"{hint}, or name the tailnet in `network:`")
        elif viewpoint(user) not in MAGIC and not (user.database and ids.by_tcp_route(user, name, user.database.port)):
            message = f"keeps its database in {door.name}, which {place_words(access, user.name)}"
            yield Finding("BLU207", place, user.name, message, hint)


def _mounts(access: Access) -> Iterator[Finding]:
    """Pods mount shares by NFS alone."""
    lab, hosts = access.lab, access.lab.settings.hosts
    for name, service in lab.services.items():
        for mount, share in service.mounts.items() if service.cluster else ():
            host, _, folder = share.partition("/")
            offered = hosts[host].shares.get(folder) if host in hosts else None
            if offered is not None and "nfs" not in offered.by:
                message = f"mounts {share}, which is offered by {' and '.join(offered.by)}: pods mount by nfs alone"
                place = lab.service_place(name, "mounts", mount)
                yield Finding("BLU207", place, name, message, "add nfs to the share's `by:`", "warning")


def _callers(access: Access) -> Iterator[Finding]:
    """Entries of `allow:`: each means one thing, a device of somebody's is its owner, and a machine has a way there."""
    lab = access.lab
    for name, service in lab.services.items():
        for position, entry in enumerate(service.allow):
            place = lab.service_place(name, "allow", position)
            meant = callers(lab, entry)
            if len(meant) > 1:
                kinds = " and a ".join(who.kind for who in meant)
                message = f"allows `{entry}`, which is the name of a {kinds}"
                yield Finding("BLU213", place, name, message, "give one of them another name")
                continue
            who = meant[0] if meant else None
            if who is None or name not in access.facts.services or not _is_placed(access, name):
                continue
            if who.kind == "host" and (owner := people_of(lab, who)):
                message = f"allows {entry}, which is {owner[0]}'s own: the policy knows its user, not the device"
                yield Finding("BLU212", place, name, message, f"write `{owner[0]}`, who is meant by it", "warning")
            elif who.kind in ("host", "service", "cluster"):
                yield from _no_way(access, name, position, who)


def _no_way(access: Access, name: str, position: int, who: Caller) -> Iterator[Finding]:
    """A machine that is let in has a name for it, and a way there; of all clusters, at least one."""
    lab = access.lab
    names = access.ids.placed_clusters if who.kind == "cluster" else (who.name,)
    if who.kind == "service" and not (who.name in access.facts.services and _is_placed(access, who.name)):
        return
    if not names or not access.facts.services[name].ports:
        return
    ways = [way for each in names for way in to_service(access, source(access, f"{who.kind}:{each}"), name)]
    if all(way.missing for way in ways):
        why = next((reason.text for way in ways for reason in way.missing), f"nothing of {name} listens for others")
        message = f"allows {who.name}, which has no way there: {why}"
        place = lab.service_place(name, "allow", position)
        yield Finding("BLU207", place, name, message, "place the two together, or leave it out")


def _proxy(access: Access) -> Iterator[Finding]:
    """The proxy opens every name behind it: whom it lets in is let in everywhere."""
    lab, ids = access.lab, access.ids
    if ids.proxy is None:
        return
    led_to = ids.routed | {route.service for route in ids.tcp_routes}
    routed = [access.facts.services[name] for name in sorted(led_to) if name != ids.proxy.name]
    for position, entry in enumerate(ids.proxy.service.allow):
        for who in callers(lab, entry)[:1]:
            people = [p for p in people_of(lab, who) if lab.settings.people[p].role != "admin"]
            closed = [
                service.name
                for service in routed
                if not set(people)
                <= {p for e in service.service.allow for w in callers(lab, e) for p in people_of(lab, w)}
            ]
            if people and closed:
                some = ", ".join(closed[:_FEW]) + (f" and {len(closed) - _FEW} more" if len(closed) > _FEW else "")
                some += f" {'does' if len(closed) == 1 else 'do'} not allow them"
                message = f"allows {entry}, and so lets them reach every name behind it: {some}"
                place = lab.service_place(ids.proxy.name, "allow", position)
                hint = "leave it to machines and admins, and let people in at the services themselves"
                yield Finding("BLU208", place, ids.proxy.name, message, hint)


def _identities(access: Access) -> Iterator[Finding]:
    """One name and one tag for one thing; a Tailscale Service is served by a tagged host."""
    lab, ids = access.lab, access.ids
    hosts = lab.settings.hosts
    egress = {f"{name}-egress": name for name, c in lab.settings.clusters.items() if c.egress == "operator"}
    for name in hosts:
        if name in OURS or name in egress:
            message = "would have a tag that belongs to the Tailscale operator"
            yield Finding("BLU211", lab.place("hosts", name, of_key=True), name, message, "call it otherwise")
    for name, door in ids.doors.items():
        label = ids.facts.services[name].label
        place = lab.service_place(name, "name") if lab.services[name].name else lab.service_place(name)
        if label in hosts:
            message = f"has the name `{label}` on the tailnet, as the host {label} does"
            yield Finding("BLU211", place, name, message, "give it another `name:`")
        elif door.kind == "ingress" and (name in hosts or name in OURS or name in egress):
            whose = "the host" if name in hosts else "the Tailscale operator"
            message = f"would have the tag {door.selector}, as {whose} does"
            yield Finding("BLU211", lab.service_place(name), name, message, "call the service otherwise")
        host = lab.services[name].host or ""
        if door.kind == "service" and host in hosts and hosts[host].owner:
            message = f"is for people, on {host}, {hosts[host].owner}'s own device: only a tagged host serves one"
            hint = f"place it on a host without `owner:`, or take the owner from {host}"
            yield Finding("BLU210", lab.service_place(name, "host"), name, message, hint)


def _logins(access: Access) -> Iterator[Finding]:
    """The policy knows people by their logins."""
    lab = access.lab
    seen: dict[str, str] = {}
    for name, person in lab.settings.people.items():
        place, login = lab.place("people", name, "login"), person.login.lower()
        if "@" not in login or any(map(str.isspace, login)) or login.startswith("user:"):
            hint = "write the login that the person has there: name@example.com, or name@github"
            yield Finding("BLU215", place, name, "has a login that no user of a tailnet has", hint)
        elif login in seen:
            message = f"has the login of {seen[login]}: the policy cannot tell the two apart"
            yield Finding("BLU215", place, name, message, "give each person a login of their own")
        seen.setdefault(login, name)


def _is_placed(access: Access, name: str) -> bool:
    """Whether the host or cluster of a service is described: where not, another check says so."""
    service, settings = access.lab.services[name], access.lab.settings
    if service.cluster:
        return service.cluster in access.ids.placed_clusters
    return service.host in settings.hosts
