"""BLU20x: names and ports do not collide, among each other or with what a host has already."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
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
    ports: dict[tuple[str, int, str], str] = {}
    for name, service in lab.services.items():
        app = lab.app_of(name)
        if service.host is None or app is None:
            continue
        if f"{name}.ports" in lab.broken:
            continue
        for word, port in {**app.ports, **service.ports}.items():
            key = (service.host, port.port, port.protocol)
            if key in ports:
                place = lab.service_place(name, *(("ports", word) if word in service.ports else ()))
                other = f"as {ports[key]} does" if ports[key] != name else "twice"
                message = f"listens on {service.host}:{port.port}/{port.protocol}, {other}"
                hint = f"give it another number, `ports: {{{word}: …}}`, or place one of the two elsewhere"
                yield Finding("BLU202", place, name, message, hint)
            ports.setdefault(key, name)
    here = lab.settings.here
    for (one, who), (other, whom) in combinations(_LISTENERS.items(), 2):
        number = getattr(here, one)
        if number == getattr(here, other):
            hint = f"give `here:` another `{one}:` or `{other}:`"
            message = f"{who} and {whom} both want port {number}"
            yield Finding("BLU203", lab.place("here", other), "here", message, hint)
