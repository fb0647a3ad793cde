"""The versions that an origin has, whatever it is: a registry, an index, releases.

In: an origin. Out: versions as the lab writes them, without what stands around them there. Each is asked once.
"""

from __future__ import annotations

from collections.abc import Mapping

from blumeops.facts.origins import Origin
from blumeops.lab.images import parse_image
from blumeops.upstream.ask import Ask, Away, ask
from blumeops.upstream.index import NoSuchPackage, configured_index, release_versions, wheel_versions
from blumeops.upstream.registry import NoSuchImage, Registries

ASKED = ("docker", "pypi", "github-releases")
"""The datasources that are asked. Debian's and a chart's lists are megabytes for one version."""


def versions_of(
    origin: Origin, registries: Registries, environment: Mapping[str, str], asks: Ask = ask
) -> tuple[str, ...]:
    """All that it has. Raises Away with the reason, also where it has nothing of that name."""
    try:
        match origin.datasource:
            case "docker":
                told = registries.tags(parse_image(origin.name))
            case "pypi":
                told = wheel_versions(origin.name, configured_index(environment), asks)
            case "github-releases":
                told = release_versions(origin.name, asks)
            case _:
                raise Away("is not asked for its versions")
    except (NoSuchImage, NoSuchPackage) as error:
        raise Away(str(error)) from error
    before, after = origin.before, origin.after
    return tuple(
        text[len(before) : len(text) - len(after)]
        for text in told
        if text.startswith(before) and text.endswith(after) and len(text) > len(before) + len(after)
    )
