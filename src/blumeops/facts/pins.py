"""Every version that a lab pins, with the place where it stands and where newer ones would be told.

In: a lab whose services have apps. Out: a pin a service, an image of a Compose file, an image of a manifest. What is
known by its digest alone is none: there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blumeops.base.findings import Place
from blumeops.facts.images import OPERATED, is_postgresql, operated_clusters, version_place
from blumeops.facts.origins import Origin, of_chart, of_image, origins
from blumeops.lab.app import App
from blumeops.lab.images import parse_image
from blumeops.lab.model import Lab


@dataclass(frozen=True, slots=True)
class Pin:
    """`own`: the lab says it; else it is the catalogue's. `origins`: the one that is used comes first."""

    service: str
    version: str
    place: Place
    origins: tuple[Origin, ...]
    own: bool


def pins(lab: Lab) -> Iterator[Pin]:
    """In the order of services."""
    operated = operated_clusters(lab)
    for name, service in lab.services.items():
        app, place = lab.app_of(name), version_place(lab, name)
        if app is None:
            continue
        if brought := lab.brought.get(name):
            for image in brought.images:
                yield from _image(name, image.image, image.place)
        if service.chart:
            chart = of_chart(service.chart.name, service.chart.repository)
            yield Pin(name, service.version or app.version, place, (chart,), own=True)
        elif service.image or name in lab.members:
            yield from _image(name, _named(app), place)
        elif not brought:
            found = origins(app, in_cluster=service.cluster is not None)
            if service.cluster in operated and is_postgresql(app):
                found = (Origin("docker", OPERATED),)
            yield Pin(name, service.version or app.version, place, found, own=service.version is not None)


def _named(app: App) -> str:
    """The image that the service named: it became a source and a version."""
    source = next((source.container for source in app.sources if source.container), "")
    return f"{source}:{app.version}"


def _image(name: str, image: str, place: Place) -> Iterator[Pin]:
    try:
        tag = parse_image(image).tag
    except ValueError:
        return
    origin = of_image(image.partition("@")[0].removesuffix(f":{tag}"), tag)
    if origin and not ("@" in image and f":{tag}" not in image):
        yield Pin(name, tag, place, (origin,), own=True)
