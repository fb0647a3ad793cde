"""A string of an app once its lookups are known: literal text and things that each engine says in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SecretValue:
    """The value behind an `op://vault/item/field` reference."""

    reference: str


@dataclass(frozen=True, slots=True)
class SecretFile:
    """The path of the private file that holds the service's secret of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Listen:
    """The host or the number that the service itself listens on."""

    port: str
    what: Literal["host", "port"]


@dataclass(frozen=True, slots=True)
class Address:
    """The host or the number by which somebody else reaches a port of `service`."""

    service: str
    port: str
    what: Literal["host", "port"]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the service: kept state, a share that it mounts, or one for sockets (`run`)."""

    kind: Literal["state", "mount", "run"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class ShareFolder:
    """The folder of a share, as `host/share`: only site `here` has it at hand."""

    share: str


@dataclass(frozen=True, slots=True)
class FilePath:
    """The path of one of the service's configuration files."""

    name: str


@dataclass(frozen=True, slots=True)
class Url:
    """The address at which people find the service at this site."""

    service: str


@dataclass(frozen=True, slots=True)
class UpstreamsFolder:
    """The path of the folder that says where each name's service listens: only site `here` has it."""


@dataclass(frozen=True, slots=True)
class TargetFiles:
    """A pattern of the files that hold the present address of each service's metrics: only site `here` has them."""


@dataclass(frozen=True, slots=True)
class PagesFolder:
    """The path of the folder with what the proxy shows while a service is down: only site `here` has it."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """The path of the file to which the lines of `service` are written: only a Mac has it."""

    service: str


@dataclass(frozen=True, slots=True)
class StateFolder:
    """A state folder of another service on the same host: Ansible's hosts and site `here` have it at hand."""

    service: str
    name: str


@dataclass(frozen=True, slots=True)
class StateLine:
    """A state folder of another service, with what stands around it: site `here`, where not everything can run, says
    nothing of a folder that is not there."""

    before: str
    folder: StateFolder
    after: str


Part = (
    str | SecretValue | SecretFile | Listen | Address | Folder | FilePath | Url | UpstreamsFolder | TargetFiles
    | PagesFolder | LogFile | StateFolder | StateLine | ShareFolder
)  # fmt: skip
Text = tuple[Part, ...]


def joined(*texts: Text | str) -> Text:
    """One text of several; neighbouring literals become one."""
    parts: list[Part] = []
    literals: list[str] = []  # joined at once: adding each to the one before takes the square of their number
    for text in texts:
        for part in (text,) if isinstance(text, str) else text:
            if isinstance(part, str):
                literals.append(part)
                continue
            if literal := "".join(literals):
                parts.append(literal)
            literals.clear()
            parts.append(part)
    if literal := "".join(literals):
        parts.append(literal)
    return tuple(parts)
