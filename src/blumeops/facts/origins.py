"""Where the versions of an app come from, as update bots and registries name it.

In: an app, and where it is placed. Out: the origins that can be asked for a list of versions, the one that is used
there first. A source with a version of its own (`{deb: kiwix-tools, version: "3.3.0"}`) is none: the version that
people write is not its.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from blumeops.lab.app import App
from blumeops.lab.images import whole_name
from blumeops.lab.sources import AppSource

Datasource = Literal["docker", "pypi", "deb", "github-releases", "helm"]
"""As Renovate calls them: https://docs.renovatebot.com/modules/datasource/"""
_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)/releases/download/([^/{}]*)\{\{ *version *\}\}([^/{}]*)/")


@dataclass(frozen=True, slots=True)
class Origin:
    """`name`: the image, package or repository; `before`, `after`: what stands around the version there, as in
    `v3.14.0`; `registry`: a chart's repository; `suite`: Debian's."""

    datasource: Datasource
    name: str
    before: str = ""
    after: str = ""
    registry: str = ""
    suite: str = ""

    @property
    def for_bots(self) -> str:
        """The comment behind a `version:` by which Renovate knows it: renovate.json of a new lab reads it."""
        words = [f"renovate: datasource={self.datasource} depName={self.name}"]
        if self.registry:
            words.append(f"registryUrl={self.registry}")
        if self.before or self.after:
            words.append(f"extractVersion=^{_exactly(self.before)}(?<version>.+){_exactly(self.after)}$")
        return " ".join(words)


def origins(app: App, *, in_cluster: bool) -> tuple[Origin, ...]:
    """Those of an app in a cluster, which runs its image or its chart; or on a host, in the order of its sources."""
    kinds = ("container", "chart") if in_cluster else ("wheel", "deb", "release", "container")
    wanted = [source for source in app.sources if source.kind in kinds]
    if in_cluster:
        wanted.sort(key=lambda source: kinds.index(source.kind))
    return tuple(found for source in wanted for found in _of_source(source, app))


def of_image(image: str, tag: str) -> Origin | None:
    """That of an `image:` with a tag; None of what is no image, or is known by its digest alone."""
    whole = whole_name(f"{image}:{tag}")
    return Origin("docker", whole.removesuffix(f":{tag}")) if whole else None


def of_chart(name: str, repository: str) -> Origin:
    """That of a service's own chart; a chart of a registry is an image like others."""
    if repository.startswith("oci://"):
        return Origin("docker", f"{repository.removeprefix('oci://').rstrip('/')}/{name}")
    return Origin("helm", name, registry=repository)


def _exactly(text: str) -> str:
    """The text as a part of a pattern, in the words that JavaScript and RE2 both know."""
    return re.sub(r"[.+*?()\[\]{}|^$\\]", r"\\\g<0>", text)


def _of_source(source: AppSource, app: App) -> Iterator[Origin]:
    before, found, after = (source.version or app.version).partition(app.version)
    if not found:  # it has other versions than the app
        return
    if source.wheel:
        yield Origin("pypi", source.wheel)
    elif source.deb:
        yield Origin("deb", source.deb, suite=source.suite or "")
    elif source.container:
        whole = whole_name(f"{source.container}:{app.version}")
        yield Origin("docker", whole.removesuffix(f":{app.version}"), before, after)
    elif source.chart:
        yield of_chart(source.chart, source.repository or "")
    elif source.release and (release := _GITHUB.match(source.release)):
        yield Origin("github-releases", release[1], release[2], release[3])
