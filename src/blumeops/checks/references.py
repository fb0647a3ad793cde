"""BLU11x: what is named is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from blumeops.base.findings import Finding, Place
from blumeops.facts.derive import Facts
from blumeops.lab.marks import shown
from blumeops.lab.model import WHAT_RUNS, Lab, app_key
from blumeops.lab.validate import meant

ROLES = ("members", "admins", "cluster")
SECTIONS = {
    "host": ("hosts",), "cluster": ("clusters",), "service": ("services",), "person": ("people",), "share": ("hosts",),
    "caller": ("people", "groups", "hosts", "services"),
}  # fmt: skip
"""Where each kind of thing is described: if a part of that could not be read, what is missing may be in it."""


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Hosts, clusters, apps, providers, callers and shares that are named exist."""
    settings = lab.settings
    callers = {*settings.people, *settings.groups, *settings.hosts, *lab.services, *ROLES}
    shares = {f"{host}/{share}" for host, entry in settings.hosts.items() for share in entry.shares}
    for name, service in lab.services.items():

        def of(*path: str | int, name: str = name) -> Place:
            return lab.service_place(name, *path)

        if service.host:
            yield from _named(lab, "BLU110", of("host"), name, "host", service.host, settings.hosts)
        if service.cluster:
            yield from _named(lab, "BLU111", of("cluster"), name, "cluster", service.cluster, settings.clusters)
        if service.database:
            yield from _named(lab, "BLU113", of("database"), name, "service", service.database, lab.services)
        if lab.app_of(name) is None and not app_key(name, service).startswith("="):
            app = service.app or name
            if f"apps/{app}" not in lab.broken and lab.broken.isdisjoint(f"{name}.{way}" for way in WHAT_RUNS):
                hint = f"write apps/{app}/app.yaml, or give the service an `image:`"
                place = of("app") if service.app else of()
                yield Finding("BLU112", place, name, f"there is no app `{app}` in the catalogue or in apps/", hint)
        for position, caller in enumerate(service.allow):
            yield from _named(lab, "BLU114", of("allow", position), name, "caller", caller, callers)
        for mount, share in service.mounts.items():
            yield from _named(lab, "BLU115", of("mounts", mount), name, "share", share, shares)
    for name, cluster in settings.clusters.items():
        place = lab.place("clusters", name, "host")
        yield from _named(lab, "BLU110", place, name, "host", cluster.host, settings.hosts)
        if cluster.registry:
            place = lab.place("clusters", name, "registry")
            yield from _named(lab, "BLU113", place, name, "service", cluster.registry, lab.services)
    for name, people in settings.groups.items():
        for position, person in enumerate(people):
            place = lab.place("groups", name, position)
            yield from _named(lab, "BLU116", place, name, "person", person, settings.people)
    for name, host in settings.hosts.items():
        if host.owner:
            place = lab.place("hosts", name, "owner")
            yield from _named(lab, "BLU116", place, name, "person", host.owner, settings.people)
    if settings.gitops.forge:
        place = lab.place("gitops", "forge")
        yield from _named(lab, "BLU113", place, "gitops", "service", settings.gitops.forge, lab.services)
    if settings.network.domain:
        place = lab.place("network", "proxy")
        yield from _named(lab, "BLU113", place, "network", "service", settings.network.proxy, lab.services)


def _named(
    lab: Lab, code: str, place: Place, subject: str, kind: str, wanted: str, known: Collection[str]
) -> Iterator[Finding]:
    if wanted in known or wanted in lab.broken or any(f"{section}:" in lab.broken for section in SECTIONS[kind]):
        return
    yield Finding(code, place, subject, f"there is no {kind} `{shown(wanted)}`", meant(wanted, known))
