"""Where things are: namespaces, names of objects, and the addresses by which a pod reaches a service.

Each service has a namespace of its own name: Secrets, Pod Security and clearing away all end at a namespace's
border, so what one service may read or be is no other's business. A service's Service has its name as well.
"""

from __future__ import annotations

import re

from blumeops.checks.check import CheckedLab
from blumeops.facts.derive import ServiceFacts
from blumeops.lab.app import App, AppSource, Port
from blumeops.lab.model import Service
from blumeops.render.kubernetes.manifest import Manifest, digest

CLOUDNATIVE_PG_PORT = 5432
PEOPLE = ("members", "admins")


def source_of(app: App, *kinds: str) -> AppSource | None:
    """The first source of one of `kinds`."""
    return next((source for source in app.sources if source.kind in kinds), None)


def version_of(service: ServiceFacts, source: AppSource) -> str:
    """The version wanted, as this source writes it: for 3.14.0 with `v3.14.0`, 3.15.0 is `v3.15.0`."""
    return source.version.replace(service.app.version, service.version) if source.version else service.version


def ports_of(service: ServiceFacts) -> dict[str, Port]:
    """The ports by name; the service's own instead of the app's."""
    return {**service.app.ports, **service.service.ports}


def metadata(checked: CheckedLab, service: ServiceFacts, name: str = "", namespace: str = "") -> Manifest:
    """The beginning of every object of a service."""
    labels = {**selector(service), "app.kubernetes.io/part-of": checked.lab.settings.lab}
    return {"name": name or service.name, "namespace": namespace or service.name, "labels": labels}


def selector(service: ServiceFacts) -> dict[str, str]:
    """The labels that only this service's objects have."""
    return {"app.kubernetes.io/name": service.app.app, "app.kubernetes.io/instance": service.name}


def object_name(text: str, most: int = 63) -> str:
    """`text` as a DNS label of at most `most` characters."""
    label = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return label if 0 < len(label) <= most else f"{label[: most - 9]}-{digest(text)}".strip("-")


def in_cluster(checked: CheckedLab, cluster: str | None, app: str) -> ServiceFacts | None:
    """The service of `cluster` that runs `app`."""
    found = (s for s in checked.facts.services.values() if s.app.app == app and s.service.cluster == cluster)
    return next(found, None)


def by_operator(checked: CheckedLab, service: ServiceFacts) -> bool:
    """Whether CloudNativePG runs this service: it is a PostgreSQL, and the operator is in its cluster."""
    provide = service.app.provides.get("database")
    postgres = provide is not None and provide.scheme in ("postgres", "postgresql")
    return postgres and in_cluster(checked, service.service.cluster, "cloudnative-pg") is not None


def address(checked: CheckedLab, name: str, port: str, cluster: str | None) -> tuple[str, int]:
    """Host and port by which a pod of `cluster` reaches a port of the service `name`."""
    service = checked.facts.services[name]
    number = ports_of(service)[port].port
    if service.service.cluster == cluster:
        if by_operator(checked, service):
            return f"{name}-rw.{name}.svc", CLOUDNATIVE_PG_PORT
        return f"{name}.{name}.svc", number
    if service.service.cluster and checked.lab.settings.network.tailnet:
        return f"{service.label}.{checked.lab.settings.network.tailnet}", number
    return host_address(checked, service.host), number


def host_address(checked: CheckedLab, host: str) -> str:
    """A device as pods reach it: they resolve no names of the tailnet."""
    domain = checked.lab.settings.network.domain
    return checked.lab.settings.hosts[host].address or (f"{host}.{domain}" if domain else host)


def has_people(checked: CheckedLab, service: Service) -> bool:
    """Whether `allow:` names people or their roles."""
    return any(caller in PEOPLE or caller in checked.lab.settings.people for caller in service.allow)


def used_from_elsewhere(checked: CheckedLab, service: ServiceFacts) -> bool:
    """Whether a service that is not in this cluster keeps its database here."""
    users = (s for s in checked.facts.services.values() if s.database and s.database.provider == service.name)
    return any(user.service.cluster != service.service.cluster for user in users)


def on_tailnet(checked: CheckedLab, service: ServiceFacts) -> bool:
    """Whether the service has a name of its own on the tailnet.

    People use that name; and a proxy that runs elsewhere has no other way in.
    """
    network, routes = checked.lab.settings.network, checked.facts.routes
    if not network.tailnet:
        return False
    proxy = checked.lab.services.get(network.proxy)
    routed = bool(network.domain) and any(route.service == service.name for route in routes)
    from_elsewhere = proxy is not None and proxy.cluster != service.service.cluster
    return has_people(checked, service.service) or (routed and from_elsewhere)
