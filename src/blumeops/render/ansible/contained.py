"""Which services of a host run as a container, from which image, and what their texts are within it.

An image is taken on Linux where nothing else brings the program: no Debian package, no Python package and no download
with a SHA-256; or where the app has no command but the image's own. In: the checked lab and the service. Out: the
image's name, and a Speaker that says paths and addresses as the program in the container sees them: those of a pod, and
the host's loopback as GATEWAY.
"""

from __future__ import annotations

from collections.abc import Iterable

from blumeops.checks.check import CheckedLab
from blumeops.facts import parts
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.images import image_alone, version_of
from blumeops.facts.parts import Text
from blumeops.lab.model import Member
from blumeops.lab.sources import AppSource
from blumeops.render.ansible.speak import EVERYWHERE, LOOPBACK, Speaker
from blumeops.render.ansible.words import Said

GATEWAY = "10.0.2.2"
"""The host's loopback, from within a container whose network is slirp4netns(1)."""


def contained(checked: CheckedLab, service: ServiceFacts) -> bool:
    """Whether it runs as a container on its host."""
    return may_be(service) and not hindered(checked, service)


def may_be(service: ServiceFacts) -> bool:
    """Whether a host would run its image."""
    return service.service.host is not None and image_alone(service.app)


def hindered(checked: CheckedLab, service: ServiceFacts) -> str:
    """Why its host cannot, empty where it can."""
    system = checked.lab.settings.hosts[service.service.host or ""].os
    if system != "linux":
        return f"an image, which is run on Linux hosts alone, not on {system}"
    called = neighbours(checked, service, wired(service)) if service.name in checked.lab.members else []
    if called:
        return f"a part of a Compose file has no way from its network to {called[0]} on the loopback of its host"
    return ""


def image_source(service: ServiceFacts) -> AppSource | None:
    """Where its image is, if it has one."""
    return next((source for source in service.app.sources if source.kind == "container"), None)


def image(service: ServiceFacts, source: AppSource) -> str:
    """The image with its tag, as the source writes it; a digest stands instead of the tag, since Podman takes one of
    them. (`name:tag@sha256` and the digest's digits are how an image pinned where it is named is kept as name and
    version.)"""
    if service.digest:
        return f"{source.name}@{service.digest}"
    version = version_of(source, service.app, service.version)
    name, _, algorithm = source.name.partition("@")
    if not algorithm:
        return f"{name}:{version}"
    head, _, tag = name.rpartition(":")
    return f"{head if head and '/' not in tag else name}@{algorithm}:{version}"


def neighbours(checked: CheckedLab, service: ServiceFacts, texts: Iterable[Text]) -> list[str]:
    """The services that it calls on the loopback of its own host."""
    say = Speaker(checked, service, set())
    called = (part.service for text in texts for part in text if isinstance(part, parts.Address))
    return [name for name in dict.fromkeys(called) if name != service.name and say.host_of(name) == LOOPBACK]


def wired(service: ServiceFacts) -> list[Text]:
    """What its wiring says to the program itself."""
    wiring = service.wiring
    return [
        *wiring.command, *wiring.arguments, *wiring.init_command, *wiring.health_command, *wiring.env.values(),
        *wiring.files.values(),
    ]  # fmt: skip


def speaker(checked: CheckedLab, service: ServiceFacts, secrets: set[str]) -> Speaker:
    """Says the texts of a service where its program runs, and notes which secrets they use."""
    return (Within if contained(checked, service) else Speaker)(checked, service, secrets)


class Within(Speaker):
    """Says the texts of a service that runs as a container."""

    @property
    def member(self) -> Member | None:
        """What it is in its Compose file, if it comes from one."""
        return self.lab.members.get(self.service.name)

    @property
    def state(self) -> dict[str, str]:
        """By folder of the state, where it is."""
        return (self.service.service.state or self.service.app.state).folders

    @property
    def shares(self) -> dict[str, str]:
        """By name of a share, where it is mounted."""
        paths = self.member.mounts if self.member else {}
        return {name: paths.get(name, f"/mnt/{name}") for name in self.service.service.mounts}

    def file(self, name: str) -> str:
        """Where a configuration file is, or a derived folder of them."""
        return self.service.app.files[name].path

    def secret_file(self, name: str) -> str:
        """Where a secret's file is."""
        return f"/run/secrets/{self.service.name}/{name}"

    @property
    def run(self) -> str:
        """The folder for sockets."""
        return f"/run/{self.service.name}"

    def part(self, part: parts.Part) -> Said:
        """What one part is in there."""
        match part:
            case parts.SecretFile(name):
                return (self.secret_file(name),)
            case parts.FilePath(name):
                return (self.file(name),)
            case parts.Folder("state", name):
                return (self.state[name],)
            case parts.Folder("mount", name):
                return (self.shares[name],)
            case parts.Folder("run"):
                return (self.run,)
            case parts.Listen(_, "host"):
                return (EVERYWHERE,)
            case parts.Address(self.service.name, _, "host"):
                return (LOOPBACK,)
            case parts.Address(other, _, "host") if self.host_of(other) == LOOPBACK:
                return (GATEWAY,)
            case parts.Address(other, port, half) if by := self.checked.access.ids.by_tcp_route(
                self.service, other, port
            ):
                name = f"{self.facts.services[other].label}.{self.lab.settings.network.domain}"
                return (name if half == "host" else str(by.number),)
        return super().part(part)
