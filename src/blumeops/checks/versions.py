"""BLU13x: versions are pinned, that of the proxy's plugin too, and a lab that locks its images locks each one."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
from blumeops.facts.images import Used, used_images
from blumeops.facts.plugins import KNOWN, plugin
from blumeops.lab.locked import NAME
from blumeops.lab.model import Lab

FLOATING = ("latest", "stable", "main", "master", "edge", "nightly")


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """The same revision runs the same programs tomorrow."""
    yield from _locked(lab)
    yield from _plugin(lab)
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


def _locked(lab: Lab) -> Iterator[Finding]:
    """Whoever has a lock believes that it holds: what it leaves open, or holds for nobody, is said."""
    if lab.locked is None:
        return
    used: dict[str, Used] = {}
    for each in used_images(lab):
        used.setdefault(each.image, each)
    if not lab.broken:  # else what is not used now may be what could not be read
        for image in {image for image, digest in lab.locked.items() if digest} - used.keys():
            place = lab.documents[NAME].place(image, of_key=True)
            yield Finding("BLU133", place, image, "is locked, and no service runs it", "blumeops lock", "warning")
    for image, each in used.items():
        if image not in lab.locked:
            message = f"{image} is not in {NAME}, so that it runs by its tag"
            yield Finding("BLU132", each.place, each.service, message, "blumeops lock", "warning")


def _plugin(lab: Lab) -> Iterator[Finding]:
    """Of the DNS provider: the proxy is built with it."""
    dns = lab.settings.network.dns
    if dns is not None and plugin(lab) is None:
        yield Finding(
            "BLU139", lab.place("network", "dns", "provider"), "network.dns",
            f"nobody says which plugin of Caddy is for {dns.provider}, and in which version",
            f"name it: `plugin: github.com/caddy-dns/{dns.provider}@v…`; known are {', '.join(KNOWN)}",
        )  # fmt: skip
