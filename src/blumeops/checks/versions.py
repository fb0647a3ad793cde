"""BLU13x: versions are pinned."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
from blumeops.lab.model import Lab

FLOATING = ("latest", "stable", "main", "master", "edge", "nightly")


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """The same revision runs the same programs tomorrow."""
    for name, service in lab.services.items():
        app = lab.app_of(name)
        if app is None:
            continue
        version = service.version or app.version
        if version in FLOATING:
            field = "version" if service.version else "image" if service.image else ""
            place = lab.service_place(name, field) if field else lab.service_place(name)
            message = f"is not pinned: {version!r} is something else every day"
            yield Finding(
                "BLU130", place, name, message, "give the image a tag" if field == "image" else "name a version"
            )
