"""BLU20x: names and ports do not collide, among each other or with what a host has already."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from blumeops.base.findings import Finding, Place
from blumeops.facts.access.borders import API, KUBELET
from blumeops.facts.access.grants import SHARE_PORTS
from blumeops.facts.access.identities import Identities
from blumeops.facts.derive import Facts
from blumeops.facts.parts import Listen
from blumeops.facts.wiring import Wiring
from blumeops.lab.model import Lab

TAKEN = frozenset({
    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data",
    "backup", "list", "irc", "gnats", "nobody", "adm", "tty", "disk", "kmem", "dialout", "fax", "voice",
    "cdrom", "floppy", "tape", "sudo", "audio", "dip", "operator", "src", "shadow", "utmp", "video", "sasl",
    "plugdev", "staff", "users", "nogroup", "input", "render", "sgx", "kvm", "crontab", "messagebus", "sshd",
    "ssh", "systemd", "apt", "dpkg", "network", "default", "lock", "log", "lib", "cache", "tmp", "run",
    "local", "opt", "spool", "cron", "dbus", "pam", "init", "wheel", "admin",
})  # fmt: skip
"""Accounts, groups and folders that Debian has already: a service on a host would take them over."""

_LISTENERS = {"https": "the proxy", "forge": "the forge", "dns": "the DNS of its names"}
"""Who listens on the ports of `here:`."""

_Taken = dict[tuple[str, int, str], tuple[str, Place]]
"""By host, number and protocol: who listens there, and the line that says so."""


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """No service is named like a part of the system; no two share a name in their addresses, nor a port of a host."""
    labels: dict[str, str] = {}
    for name, service in lab.services.items():
        label = service.name or name
        if name == "controller" or (service.host and name in TAKEN):
            message = "is the name of something that is there already: an account or a folder of every host, or our own"
            yield Finding(
                "BLU204", lab.service_place(name), name, message, "call it otherwise, and say what it is: `app:`"
            )
        if f"{name}.name" in lab.broken:
            continue
        if label in labels:
            place = lab.service_place(name, "name") if service.name else lab.service_place(name)
            message = f"has the name `{label}` in its addresses, as {labels[label]} does"
            yield Finding("BLU201", place, name, message, "give one of the two another `name:`")
        labels.setdefault(label, name)
    yield from _listening(lab, facts)
    here = lab.settings.here
    for (one, who), (other, whom) in combinations(_LISTENERS.items(), 2):
        number = getattr(here, one)
        if number == getattr(here, other):
            hint = f"give `here:` another `{one}:` or `{other}:`"
            message = f"{who} and {whom} both want port {number}"
            yield Finding("BLU203", lab.place("here", other), "here", message, hint)


def _listening(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """On a host each has the number that it says, so of two with one number only one would start. Whether they listen
    on the loopback or on all addresses is no matter: the kernel gives a number of the loopback to nobody while somebody
    has it on all. Pods have an address each; site `here` gives numbers of its own, but the lab is for both."""
    taken: _Taken = {}
    for name, service in lab.services.items():
        app = lab.app_of(name)
        if service.host is None or app is None or f"{name}.ports" in lab.broken:
            continue
        for word, port in {**app.ports, **service.ports}.items():
            place = _place_of_port(lab, name, word)
            other, where = taken.setdefault((service.host, port.port, port.protocol), (name, place))
            if where is not place:
                also = f"as {other} does ({where})" if other != name else "twice"
                message = f"listens on {service.host}:{port.port}/{port.protocol}, {also}"
                yield Finding("BLU202", place, name, message, _moved(lab, facts, name, word))
    yield from _tcp_routes(lab, facts, taken)


def _place_of_port(lab: Lab, name: str, word: str) -> Place:
    if member := lab.members.get(name):
        return lab.documents[member.file].place("services", member.key, "ports", of_key=True)
    return lab.service_place(name, *(("ports", word) if word in lab.services[name].ports else ()))


def _moved(lab: Lab, facts: Facts, name: str, word: str) -> str:
    """How it gets another number. A program in an image has its own, unless it is told one."""
    elsewhere = "or place one of the two elsewhere"
    if name in lab.members:
        alone = "leave it out of `ports:` if only other parts of the file call it"
        return f"{alone}; else give its program another number and write that there, {elsewhere}"
    if lab.services[name].image and not _told(facts.services[name].wiring, word):
        told = f"let its program listen on another number and write that, `ports: {{{word}: …}}`"
        return f"the number is its image's: {told}, {elsewhere}"
    return f"give it another number, `ports: {{{word}: …}}`, {elsewhere}"


def _told(wiring: Wiring, word: str) -> bool:
    """Whether the program is told the number of its port."""
    texts = (*wiring.command, *wiring.arguments, *wiring.env.values(), *wiring.files.values())
    return Listen(word, "port") in {part for text in texts for part in text}


def _tcp_routes(lab: Lab, facts: Facts, taken: _Taken) -> Iterator[Finding]:
    """The proxy listens at the number of each TCP route, as other services of its host do at theirs, and the host at
    its own: a route to such a number would open what is there already to all who reach the proxy."""
    ids = Identities(lab, facts)
    if ids.proxy is None or not ids.tcp_routes:
        return
    host = ids.proxy.host
    for number, who, place in _of_the_host(lab, host):
        taken.setdefault((host, number, "tcp"), (who, place))
    for route in ids.tcp_routes:
        key = (host, route.number, "tcp")
        place = _place_of_port(lab, route.service, route.port)
        if key in taken:
            other, where = taken[key]
            message = f"is led to by {ids.proxy.name} at {host}:{route.number}/tcp, which {other} has ({where})"
            number = facts.services[route.service].ports[route.port].port
            hint = f"`ports: {{{route.port}: {{port: {number}, routed: …}}}}`, or none: `{{{route.port}: {number}}}`"
            yield Finding("BLU202", place, route.service, message, f"give it another number, {hint}")
        taken.setdefault(key, (route.service, place))


def _of_the_host(lab: Lab, name: str) -> Iterator[tuple[int, str, Place]]:
    """What listens on a host itself: SSH, its shares, and the clusters that it carries; minikube is on loopback."""
    entry = lab.settings.hosts[name]
    yield SHARE_PORTS["ssh"], "SSH", lab.place("hosts", name, of_key=True)
    for share, offered in entry.shares.items():
        for by in offered.by:
            yield SHARE_PORTS[by], f"the share {share}", lab.place("hosts", name, "shares", share, of_key=True)
    for cluster, described in lab.settings.clusters.items():
        if described.host == name and described.kind != "minikube":
            for number in (API[described.kind], KUBELET):
                yield number, f"the cluster {cluster}", lab.place("clusters", cluster, of_key=True)
