"""Where things are: namespaces, names of objects, and the addresses by which a pod reaches a service.

Each service has a namespace of its own name: Secrets, Pod Security and clearing away all end at a namespace's
border, so what one service may read or be is no other's business. A service's Service has its name as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from blumeops.checks.check import CheckedLab
from blumeops.facts.access.borders import Borders
from blumeops.facts.access.identities import Door
from blumeops.facts.access.pods import Pods
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.images import OPERATOR, is_postgresql
from blumeops.facts.together import files
from blumeops.lab.app import App
from blumeops.lab.sources import AppSource
from blumeops.render.kubernetes.manifest import Manifest, digest

CLOUDNATIVE_PG_PORT = 5432


@dataclass(frozen=True)
class Site(CheckedLab):
    """A checked lab, with what is looked up for each service: so that one more costs the same as the first."""

    @cached_property
    def operators(self) -> Mapping[tuple[str | None, str], ServiceFacts]:
        """The parts of each cluster: by cluster and app, the first service."""
        found: dict[tuple[str | None, str], ServiceFacts] = {}
        for service in self.facts.services.values():
            if service.app.kind == "platform":
                found.setdefault((service.service.cluster, service.app.app), service)
        return found

    @cached_property
    def argocd(self) -> ServiceFacts | None:
        """The service that is Argo CD."""
        return next((service for (_, app), service in self.operators.items() if app == "argocd"), None)

    @cached_property
    def guests(self) -> Mapping[str, list[ServiceFacts]]:
        """By provider: the users of its databases that are not in its cluster."""
        found: dict[str, list[ServiceFacts]] = {}
        for user in self.facts.services.values():
            if user.database and self.lab.services[user.database.provider].cluster != user.service.cluster:
                found.setdefault(user.database.provider, []).append(user)
        return found

    @cached_property
    def doors(self) -> Mapping[str, Door]:
        """The services with an identity on the tailnet."""
        return self.access.ids.doors

    @cached_property
    def pods(self) -> Pods:
        """Who calls whom inside the clusters."""
        return self.access.pods

    @cached_property
    def borders(self) -> Borders:
        """What crosses the clusters' borders."""
        return self.access.borders

    @cached_property
    def composed(self) -> Mapping[str, tuple[str, ...]]:
        """By the service that names a Compose file: its parts."""
        return files(self.lab)

    def has(self, cluster: str | None, app: str) -> bool:
        """Whether this part runs in the cluster."""
        return (cluster, app) in self.operators


def source_of(app: App, *kinds: str) -> AppSource | None:
    """The first source of one of `kinds`."""
    return next((source for source in app.sources if source.kind in kinds), None)


def metadata(site: Site, service: ServiceFacts, name: str = "", namespace: str = "") -> Manifest:
    """The beginning of every object of a service."""
    labels = {**selector(service), "app.kubernetes.io/part-of": site.lab.settings.lab}
    return {"name": name or service.name, "namespace": namespace or service.name, "labels": labels}


def selector(service: ServiceFacts) -> dict[str, str]:
    """The labels that only this service's objects have."""
    return {"app.kubernetes.io/name": service.app.app, "app.kubernetes.io/instance": service.name}


def object_name(text: str, most: int = 63) -> str:
    """`text` as a DNS label of at most `most` characters, and never two hyphens in a row: a port's name has none."""
    label = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return label if 0 < len(label) <= most else f"{label[: most - 9].rstrip('-')}-{digest(text)}".strip("-")


def mounted(site: Site, service: ServiceFacts, mount: str) -> str:
    """Where a share is in a service's pods."""
    member = site.lab.members.get(service.name)
    return (member.mounts if member else {}).get(mount, f"/mnt/{mount}")


def by_operator(site: Site, service: ServiceFacts) -> bool:
    """Whether CloudNativePG runs this service: it is a PostgreSQL, and the operator is in its cluster."""
    return is_postgresql(service.app) and site.has(service.service.cluster, OPERATOR)


def address(site: Site, name: str, port: str, cluster: str | None) -> tuple[str, int]:
    """Host and port by which a pod of `cluster` reaches a port of the service `name`."""
    service = site.facts.services[name]
    number = service.ports[port].port
    if service.service.cluster == cluster:
        if by_operator(site, service):
            return f"{name}-rw.{name}.svc", CLOUDNATIVE_PG_PORT
        return f"{name}.{name}.svc", number
    if service.service.cluster and site.lab.settings.network.tailnet:
        return f"{service.label}.{site.lab.settings.network.tailnet}", number
    return host_address(site, service.host), number


def host_address(site: Site, host: str) -> str:
    """A device as pods reach it: they resolve no names of the tailnet."""
    domain = site.lab.settings.network.domain
    return site.lab.settings.hosts[host].address or (f"{host}.{domain}" if domain else host)


def on_tailnet(site: Site, service: ServiceFacts) -> bool:
    """Whether the service has a name of its own on the tailnet.

    People use that name; and what runs elsewhere, the proxy too, has no other way in.
    """
    return service.name in site.doors


def tailnet_tag(service: ServiceFacts) -> dict[str, str]:
    """The annotation by which the operator gives the service's device a tag of its own: the policy tells it by that.

    https://tailscale.com/docs/features/kubernetes-operator/how-to/customize
    """
    return {"tailscale.com/tags": f"tag:{service.name}"}
