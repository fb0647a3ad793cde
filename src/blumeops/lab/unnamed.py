"""The app that a service amounts to which names none: an image, or what the lab brings for it."""

from __future__ import annotations

from blumeops.lab.app import App, SecretSpec, State
from blumeops.lab.model import Service
from blumeops.lab.sources import AppSource

UNVERSIONED = "own"
"""The version of what has none as a whole: a folder's images and packages have theirs."""


def own_app(name: str, service: Service) -> App:
    """An app of the service's own fields."""
    version = service.version or UNVERSIONED
    sources: tuple[AppSource, ...] = ()
    if service.image:
        image, _, version = service.image.rpartition(":")
        if not image or "/" in version:
            image, version = service.image, "latest"
        sources = (AppSource(container=image),)
    elif service.chart:
        sources = (AppSource(chart=service.chart.name, repository=service.chart.repository),)
    return App(
        app=name, version=version, sources=sources, ports=service.ports,
        secrets=dict.fromkeys(service.secrets.keys() - {"database_password"}, SecretSpec()),
        state=service.state or State(), arguments=service.arguments, devices=service.devices, internet=True,
    )  # fmt: skip
