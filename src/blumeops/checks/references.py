"""BLU11x: what is named is there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from blumeops.base.findings import Finding, Place
from blumeops.facts.derive import Facts
from blumeops.lab.model import Lab

ROLES = ("members", "admins", "cluster")


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Hosts, clusters, apps, providers, callers and shares that are named exist."""
    settings = lab.settings
    for name, service in lab.services.items():

        def of(*path: str | int, name: str = name) -> Place:
            return lab.service_place(name, *path)

        if service.host:
            yield from _named(lab, "BLU110", of("host"), name, "host", service.host, settings.hosts)
        if service.cluster:
            yield from _named(lab, "BLU111", of("cluster"), name, "cluster", service.cluster, settings.clusters)
        if service.database:
            yield from _named(lab, "BLU113", of("database"), name, "service", service.database, lab.services)
        if lab.app_of(name) is None and not (service.chart or service.manifests or service.compose or service.role):
            app = service.app or name
            if app not in lab.broken:
                hint = f"write apps/{app}/app.yaml, or give the service an `image:`"
                place = of("app") if service.app else of()
                yield Finding("BLU112", place, name, f"there is no app {app!r} in the catalogue or in apps/", hint)
        callers = {*settings.people, *settings.hosts, *lab.services, *ROLES}
        for position, caller in enumerate(service.allow):
            yield from _named(lab, "BLU114", of("allow", position), name, "caller", caller, callers)
        shares = {f"{host}/{share}" for host, entry in settings.hosts.items() for share in entry.shares}
        for mount, share in service.mounts.items():
            yield from _named(lab, "BLU115", of("mounts", mount), name, "share", share, shares)
    for name, cluster in settings.clusters.items():
        place = lab.place("clusters", name, "host")
        yield from _named(lab, "BLU110", place, name, "host", cluster.host, settings.hosts)
        if cluster.registry:
            place = lab.place("clusters", name, "registry")
            yield from _named(lab, "BLU113", place, name, "service", cluster.registry, lab.services)
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
    lab: Lab, code: str, place: Place, subject: str, kind: str, wanted: str, known: Iterable[str]
) -> Iterator[Finding]:
    known = list(known)
    if wanted in known or wanted in lab.broken:
        return
    near = difflib.get_close_matches(wanted, known, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(sorted(known)[:8]) or 'none'}"
    yield Finding(code, place, subject, f"there is no {kind} {wanted!r}", hint)
