"""Names of images, taken apart: text enters, as a person or a manifest writes it; its parts leave.

As Docker and Podman read them (https://github.com/distribution/reference): what has no registry in front is of
docker.io, and there without a folder of `library`. The written form stays what is run; the whole one is what is asked
for, compared and locked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from blumeops.lab.fields import IMAGE

DOCKER = "docker.io"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_IMAGE = re.compile(IMAGE.rstrip("$"))


@dataclass(frozen=True, slots=True)
class ImageName:
    """`registry`: its host, perhaps with a port; `digest`: `sha256:…`, empty where it names none."""

    registry: str
    repository: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        """The whole name with its tag: `docker.io/library/postgres:18.6`."""
        return f"{self.registry}/{self.repository}:{self.tag}"


def parse_image(text: str) -> ImageName:
    """The parts of an image's name. Raises ValueError for what is none."""
    if len(text) > 512 or not _IMAGE.fullmatch(text):
        raise ValueError("is no image like registry.example.org/name:1.2.3")
    named, _, digest = text.partition("@")
    path, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:
        path, tag = named, "latest"
    registry, slash, rest = path.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, rest = DOCKER, path
    registry = registry.lower()
    if registry == f"index.{DOCKER}":
        registry = DOCKER
    if registry == DOCKER and "/" not in rest:
        rest = f"library/{rest}"
    return ImageName(registry, rest, tag, digest)


def whole_name(text: str) -> str:
    """The whole name with its tag; empty for what is no image, or names its digest itself."""
    try:
        found = parse_image(text)
    except ValueError:
        return ""
    return "" if found.digest else str(found)
