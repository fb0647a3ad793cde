"""A lab becomes Facts: everything that the renderers need and that nobody wrote down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError
from typing import Literal

from blumeops.base.findings import Place
from blumeops.facts.backup import Kept, kept
from blumeops.facts.callers import names_people
from blumeops.facts.graph import Edge, edges, in_order
from blumeops.facts.images import digest_of
from blumeops.facts.lookups import DatabaseUse, database_use, secret_reference
from blumeops.facts.wiring import Wiring, wire
from blumeops.lab.app import App, Port, SecretSpec
from blumeops.lab.model import Lab, Service

HERE_DOMAIN = "ops.localhost"


@dataclass(frozen=True, slots=True)
class Route:
    """A name of the proxy: `label` before the domain leads to a port of a service."""

    label: str
    service: str
    port: str


@dataclass(frozen=True, slots=True)
class Scrape:
    """Metrics that a service tells, in Prometheus' format."""

    service: str
    app: str
    port: str
    path: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a secret is made when there is none. `alphabet`: empty for letters and digits; `source`: the reference of the
    secret that a public key or an htpasswd line is made of."""

    kind: Literal["characters", "ed25519", "rsa", "public", "htpasswd"] = "characters"
    length: int = 32
    alphabet: str = ""
    source: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class SecretUse:
    """A reference, who uses it, and how it is made by us."""

    reference: str
    service: str
    name: str
    recipe: Recipe | None
    """None: somebody else issues it."""
    place: Place
    once: bool = False
    """Whether the program takes it at its first start alone."""


@dataclass(frozen=True)
class ServiceFacts:
    """What follows for one service."""

    name: str
    service: Service
    app: App
    version: str
    label: str
    host: str
    """The device that it ends up on."""
    here_url: str
    people_url: str
    """Empty where nobody can open it: it has no HTTP port."""
    machine_url: str
    needs: tuple[str, ...]
    """Services that must be healthy before."""
    database: DatabaseUse | None
    secrets: tuple[SecretUse, ...]
    devices: tuple[str, ...]
    wiring: Wiring
    heal: bool
    """Whether what was changed by hand is put back."""
    digest: str
    """Of the image that its app names, `sha256:…`; empty where it is not locked."""

    @cached_property
    def ports(self) -> Mapping[str, Port]:
        """The ports by name; the service's own instead of the app's."""
        return {**self.app.ports, **self.service.ports}


@dataclass(frozen=True)
class Facts:
    """What follows from the description."""

    services: Mapping[str, ServiceFacts]
    """In the order in which they start."""
    routes: tuple[Route, ...]
    scrapes: tuple[Scrape, ...]
    """In the order of names. What is part of a cluster itself tells its metrics there, and is not among them."""
    edges: tuple[Edge, ...]
    kept: tuple[Kept, ...]
    """What must be backed up."""


def derive(lab: Lab) -> Facts:
    """Facts of everything that is whole; what is not, is passed over here and found by the checks."""
    all_edges = edges(lab)
    needs: dict[str, tuple[str, ...]] = {}
    for edge in all_edges:
        if edge.user in lab.services and edge.used in lab.services:
            needs[edge.user] = (*needs.get(edge.user, ()), edge.used)
    try:
        order = in_order(lab.services, needs)
    except CycleError:
        order = tuple(lab.services)
    services = {}
    for name in order:
        app = lab.app_of(name)
        if app is not None:
            services[name] = _service(lab, name, app, needs.get(name, ()))
    routes = tuple(
        Route(facts.label, name, "http")
        for name, facts in sorted(services.items())
        if "http" in facts.app.ports and name != lab.settings.network.proxy
    )
    scrapes = tuple(
        Scrape(name, facts.app.app, facts.app.metrics.port, facts.app.metrics.http)
        for name, facts in sorted(services.items())
        if facts.app.metrics and not facts.app.metrics.folder and facts.app.kind == "service"
    )
    return Facts(services, routes, scrapes, all_edges, kept(services))


def _service(lab: Lab, name: str, app: App, needs: tuple[str, ...]) -> ServiceFacts:
    service = lab.services[name]
    network = lab.settings.network
    label = service.name or name
    served = "http" in app.ports
    machine = f"https://{label}.{network.domain}" if served and network.domain else ""
    people = (
        f"https://{label}.{network.tailnet}" if served and network.tailnet and names_people(lab, service) else machine
    )
    cluster = lab.settings.clusters.get(service.cluster or "")
    return ServiceFacts(
        name=name,
        service=service,
        app=app,
        version=service.version or app.version,
        label=label,
        host=service.host or (cluster.host if cluster else ""),
        here_url=f"https://{label}.{HERE_DOMAIN}:{lab.settings.here.https}" if served else "",
        people_url=people,
        machine_url=machine,
        needs=needs,
        database=database_use(lab, name),
        secrets=_secrets(lab, name, app),
        devices=tuple(dict.fromkeys((*app.devices, *service.devices))),
        wiring=wire(lab, name),
        heal=lab.settings.gitops.heal if service.heal is None else service.heal,
        digest=digest_of(lab, name, app),
    )


def _secrets(lab: Lab, name: str, app: App) -> tuple[SecretUse, ...]:
    recipes = {secret: None if spec.given else _recipe(lab, name, spec) for secret, spec in app.secrets.items()}
    if database_use(lab, name):
        recipes["database_password"] = Recipe()
    return tuple(
        SecretUse(
            secret_reference(lab, name, secret), name, secret, recipes[secret],
            lab.service_place(name, "secrets", secret), secret in app.secrets and app.secrets[secret].once,
        )
        for secret in sorted(recipes)
    )  # fmt: skip


def _recipe(lab: Lab, name: str, spec: SecretSpec) -> Recipe:
    if spec.public_of:
        return Recipe("public", source=secret_reference(lab, name, spec.public_of))
    if spec.htpasswd_of:
        return Recipe("htpasswd", source=secret_reference(lab, name, spec.htpasswd_of), user=spec.user)
    return Recipe(spec.key or "characters", spec.length, spec.alphabet or "")
