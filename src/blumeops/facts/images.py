"""Which images a lab runs, where that is said, and the digest that each is locked to.

In: a lab whose services have apps. Out: a use for each image that any engine is given by us: what a chart brings,
nobody here knows. Promised: the whole name is the one that `images.lock.yaml` has, so that both always meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from blumeops.base.findings import Place
from blumeops.facts.built_in import BUILT_IN
from blumeops.lab.app import App
from blumeops.lab.brought.model import Brought, way_of
from blumeops.lab.images import whole_name
from blumeops.lab.model import Lab, Service
from blumeops.lab.sources import AppSource

OPERATOR = "cloudnative-pg"
OPERATED = "ghcr.io/cloudnative-pg/postgresql"
"""What CloudNativePG runs in place of the app's own image."""


@dataclass(frozen=True, slots=True)
class Used:
    """An image by its whole name, a service that runs it, and the place of its version."""

    image: str
    service: str
    place: Place


def version_of(source: AppSource, app: App, version: str) -> str:
    """The version wanted, as this source writes it: for 3.14.0 with `v3.14.0`, 3.15.0 is `v3.15.0`."""
    return source.version.replace(app.version, version) if source.version else version


def in_container(app: App) -> bool:
    """Whether site `here` may run it from an image. What is derived from all services are addresses of this machine's
    loopback, which no container shares."""
    return any(source.kind == "container" for source in app.sources) and not any(
        file.derived for file in app.files.values()
    )


def image_alone(app: App) -> bool:
    """Whether a Linux host runs it from its image: nothing else brings it there, or it has no command but the image's
    own; and it reads nothing of the host's."""
    installed = bool(app.command) and any(source.kind in ("deb", "wheel") or source.sha256 for source in app.sources)
    of_the_host = any(file.derived in ("backup", "routes", "collector") for file in app.files.values())
    return any(source.kind == "container" for source in app.sources) and not installed and not of_the_host


def is_postgresql(app: App) -> bool:
    """Whether it is a PostgreSQL, which CloudNativePG runs where it is in the same cluster."""
    provide = app.provides.get("database")
    return provide is not None and provide.scheme in ("postgres", "postgresql")


def used_images(lab: Lab) -> Iterator[Used]:
    """Every image that is not pinned by its digest where it is named; one that several services run comes for each."""
    operated = operated_clusters(lab)
    for name, service in lab.services.items():
        app, place = lab.app_of(name), version_place(lab, name)
        if app is None:
            continue
        host = lab.settings.hosts.get(service.host or "")
        on_host = host is not None and host.os == "linux"
        images = _of_app(service, app, operated=service.cluster in operated, on_host=on_host)
        yield from (Used(whole, name, place) for image in images if (whole := whole_name(image)))
        if brought := lab.brought.get(name):
            yield from (Used(image, name, place) for image, place in of_manifests(brought).values())


def operated_clusters(lab: Lab) -> frozenset[str | None]:
    """The clusters in which CloudNativePG runs databases."""
    apps = ((service.cluster, lab.app_of(name)) for name, service in lab.services.items() if service.cluster)
    return frozenset(at for at, app in apps if app is not None and app.kind == "platform" and app.app == OPERATOR)


def _of_app(service: Service, app: App, *, operated: bool, on_host: bool) -> Iterator[str]:
    """The images that its app means. `operated`: CloudNativePG is in its cluster; `on_host`: it is on a Linux host."""
    version, way = service.version or app.version, way_of(service)
    if way and service.app is None:
        return
    operated = operated and is_postgresql(app) and not way
    if operated:
        yield f"{OPERATED}:{version}"
    source = next((source for source in app.sources if source.kind == "container"), None)
    in_cluster = service.cluster is not None and not operated and not way
    if source and (in_cluster or (on_host and image_alone(app)) or (in_container(app) and app.app not in BUILT_IN)):
        yield f"{source.name}:{version_of(source, app, version)}"


def of_manifests(brought: Brought) -> Mapping[str, tuple[str, Place]]:
    """By name without tag, as the manifests have it: the whole name, and where it stands. A name with two tags is not
    among them: the kustomization that pins images knows names alone."""
    whole = {(image.image, name): image.place for image in brought.images if (name := whole_name(image.image))}
    bare = {written: written.removesuffix(f":{name.rpartition(':')[2]}") for written, name in whole}
    tags = Counter(bare[written] for written, _ in whole)
    return {bare[written]: (name, place) for (written, name), place in whole.items() if tags[bare[written]] == 1}


def version_place(lab: Lab, name: str) -> Place:
    """Where the service says its version; the service itself, where it takes its app's."""
    service, member = lab.services[name], lab.members.get(name)
    if member:
        return lab.documents[member.file].place("services", member.key, "image")
    field = "image" if service.image else "version" if service.version else ""
    return lab.service_place(name, *([field] if field else ()))


def locked_digest(lab: Lab, image: str) -> str:
    """The digest that an image, as it is written, is locked to; empty without one."""
    return (lab.locked or {}).get(whole_name(image), "")


def digest_of(lab: Lab, name: str, app: App) -> str:
    """The digest of the image that the service's app names; empty where it is not locked, or has no image."""
    source = next((source for source in app.sources if source.kind == "container"), None)
    if source is None or not lab.locked:
        return ""
    return locked_digest(lab, f"{source.name}:{version_of(source, app, lab.services[name].version or app.version)}")
