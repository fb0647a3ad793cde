"""The derived policy in the shape of a policy file, entry by entry, each with its place and a comment for people.

From one list of entries come both what the engine reads and what the file says, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from blumeops.base.findings import Place
from blumeops.facts.access.access import Access
from blumeops.facts.access.grants import SHARE_PORTS
from blumeops.facts.access.identities import ADMINS, OPERATOR

SSH = SHARE_PORTS["ssh"]
PERIOD = "12h"
"""How long a login by SSH holds before the person is asked again who they are."""

SECTIONS = ("groups", "tagOwners", "grants", "ssh", "autoApprovers", "tests", "sshTests")
KEYED = frozenset({"groups", "tagOwners"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a section. `key`: its key, where the section is an object."""

    value: Any
    place: Place
    comment: str
    key: str = ""


@dataclass(frozen=True)
class Document:
    """Entries by section; `titles`: a heading by the first entry of a group."""

    sections: Mapping[str, tuple[Entry, ...]]
    titles: Mapping[tuple[str, int], str] = field(default_factory=dict)


def derived(access: Access) -> Document:
    """The policy of a lab without its own policy.hujson."""
    sections: dict[str, tuple[Entry, ...]] = {
        "groups": tuple(_groups(access)),
        "tagOwners": tuple(_tags(access)),
        "grants": tuple(_grants(access)),
        "ssh": tuple(_ssh(access)),
        "autoApprovers": tuple(_approvers(access)),
        "tests": tuple(_tests(access)),
        "sshTests": tuple(_ssh_tests(access)),
    }
    titles: dict[tuple[str, int], str] = {}
    before = ""
    for number, grant in enumerate(access.grants):
        if grant.section != before:
            titles["grants", number] = TITLES[grant.section]
            before = grant.section
    return Document(sections, titles)


TITLES = {
    "admins": "People with role admin",
    "services": "Services, from their `allow:`",
    "proxy": "The proxy: one address, and every name behind it",
    "databases": "Databases, from `database:`",
    "shares": "Shares, from `mounts:` and `backup:`",
}


def _groups(access: Access) -> Iterator[Entry]:
    lab = access.lab
    for group, people in sorted(access.ids.groups.items()):
        name = group.removeprefix("group:")
        own = name in lab.settings.groups
        place = lab.place("groups", name, of_key=True) if own else lab.place("people", people[0], of_key=True)
        logins = sorted({access.ids.of_person(person) for person in people})
        yield Entry(logins, place, "groups:" if own else f"people with role {name.removesuffix('s')}", group)


def _tags(access: Access) -> Iterator[Entry]:
    ids, lab = access.ids, access.lab
    owners = [ADMINS] if ADMINS in ids.groups else ["autogroup:admin"]
    for name, host in sorted(lab.settings.hosts.items()):
        if host.owner is None:
            yield Entry(owners, lab.place("hosts", name, of_key=True), "a device of nobody's own", f"tag:{name}")
    by_operator = [door for door in ids.doors.values() if door.kind == "ingress"]
    egress = [name for name, cluster in sorted(lab.settings.clusters.items()) if cluster.egress == "operator"]
    if by_operator or egress:
        first = by_operator[0].service if by_operator else ""
        place = lab.service_place(first) if first else lab.place("clusters", egress[0], "egress")
        yield Entry(owners, place, "the Tailscale operator, which makes the devices below", OPERATOR)
    for name in egress:
        place = lab.place("clusters", name, "egress")
        yield Entry([OPERATOR], place, f"what leaves the pods of {name}", f"tag:{name}-egress")
    for door in by_operator:
        yield Entry([OPERATOR], lab.service_place(door.service), door.name, door.selector)


def _grants(access: Access) -> Iterator[Entry]:
    for grant in access.grants:
        value = {"src": list(grant.sources), "dst": list(grant.destinations), "ip": list(grant.spans())}
        yield Entry(value, grant.place, grant.why)


def _ssh(access: Access) -> Iterator[Entry]:
    """Admins log in to tagged hosts, and are asked who they are. Tailscale's SSH server does not run on a Synology."""
    tags = _logins(access)
    if tags:
        value = {
            "action": "check", "src": [ADMINS], "dst": tags, "users": ["autogroup:nonroot", "root"],
            "checkPeriod": PERIOD,
        }  # fmt: skip
        place = access.lab.place("people", access.ids.groups[ADMINS][0], "role")
        yield Entry(value, place, "admins administer the hosts")


def _logins(access: Access) -> list[str]:
    hosts = sorted(access.lab.settings.hosts.items())
    if ADMINS not in access.ids.groups:
        return []
    return [f"tag:{name}" for name, host in hosts if host.owner is None and host.os != "dsm"]


def _approvers(access: Access) -> Iterator[Entry]:
    """The host of a Tailscale Service may serve it without being asked."""
    for door in access.ids.doors.values():
        host = access.lab.services[door.service].host
        if door.kind == "service" and host in access.lab.settings.hosts:
            yield Entry(
                [access.ids.of_host(host or "")], access.lab.service_place(door.service, "host"), door.name,
                door.selector,
            )  # fmt: skip


def _tests(access: Access) -> Iterator[Entry]:
    """For each person and role, and for each machine: what they reach, and what must stay denied.

    A policy.hujson of the lab's own may open SSH and shares, of which the lab says nothing: then they are not denied.
    """
    ids, lab = access.ids, access.lab
    ends = destinations(access)
    for name in sorted(lab.settings.people):
        yield from _test(access, f"person:{name}", ids.of_person(name), ends, lab.place("people", name, of_key=True))
    for group, people in sorted(ids.groups.items()):
        kept = [end for end in ends if len({bool(access.derived(f"person:{name}", *end)) for name in people}) == 1]
        yield from _test(access, f"person:{people[0]}", group, kept, lab.place("people", people[0], of_key=True))
    machines = [f"host:{name}" for name, host in sorted(lab.settings.hosts.items()) if host.owner is None]
    machines += [f"egress:{name}" for name, c in sorted(lab.settings.clusters.items()) if c.egress == "operator"]
    for end in machines:
        kind, _, name = end.partition(":")
        place = lab.place("hosts" if kind == "host" else "clusters", name, of_key=True)
        (source,) = access.sources(end)
        yield from _test(access, end, source, [each for each in ends if each[0] != end], place)


def _test(access: Access, end: str, source: str, ends: Iterable[tuple[str, int]], place: Place) -> Iterator[Entry]:
    accept, deny = [], []
    for to, port in ends:
        if access.derived(end, to, port):
            accept.append(f"{access.destination(to)}:{port}")
        elif access.lab.policy is None or is_said(access, to, port):
            deny.append(f"{access.destination(to)}:{port}")
    value = {"src": source, "accept": accept, "deny": deny}
    found = {key: each for key, each in value.items() if each}
    if len(found) > 1:
        yield Entry(found, place, end.replace(":", " ") if source not in access.ids.groups else f"all of {source}")


def destinations(access: Access) -> list[tuple[str, int]]:
    """Every TCP port that the lab knows of: services, the proxy, SSH, shares. None of owned devices."""
    ids, hosts = access.ids, access.lab.settings.hosts
    found: dict[tuple[str, int], None] = {}
    for name, door in ids.doors.items():
        end = access.end_of_door(name)
        found |= dict.fromkeys((end, number) for number, port in door.ports if port.protocol == "tcp")
    proxy = ids.proxy
    if proxy is not None and hosts[proxy.host].owner is None:
        found |= dict.fromkeys((f"host:{proxy.host}", port) for port in ids.proxy_ports)
    tagged = {name: host for name, host in hosts.items() if host.owner is None}
    for name, host in sorted(tagged.items()):
        ports = {SSH, *(SHARE_PORTS[by] for share in host.shares.values() for by in share.by)}
        found |= dict.fromkeys((f"host:{name}", port) for port in sorted(ports))
    for grant in access.grants:
        for to in grant.destinations if grant.section == "databases" else ():
            if to.startswith("tag:") and to.removeprefix("tag:") in tagged:
                found |= dict.fromkeys((f"host:{to.removeprefix('tag:')}", port) for port in grant.ports)
    return list(found)


def is_said(access: Access, end: str, port: int) -> bool:
    """Whether the lab's own words decide about it: services and the proxy; SSH and shares are the file's to open."""
    kind, _, name = end.partition(":")
    proxy = access.ids.proxy
    return kind in ("service", "svc") or (proxy is not None and name == proxy.host and port in access.ids.proxy_ports)


def _ssh_tests(access: Access) -> Iterator[Entry]:
    tags = _logins(access)
    for name in sorted(access.lab.settings.people) if tags else ():
        admin = access.lab.settings.people[name].role == "admin"
        if not admin and access.lab.policy is not None:
            continue
        value = {"src": access.ids.of_person(name), "dst": tags, "check" if admin else "deny": ["root"]}
        yield Entry(value, access.lab.place("people", name, "role"), f"person {name}")
