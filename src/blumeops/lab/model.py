"""The lab model: services as a person describes them, and the lab as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from blumeops.base.findings import Place
from blumeops.lab.app import App, Health, Port, Resources, State, routed_apart
from blumeops.lab.brought.model import WAYS, Brought
from blumeops.lab.fields import (
    ChartName,
    ChartRepository,
    DevicePath,
    EnvName,
    Image,
    Key,
    Line,
    Name,
    Scalar,
    ShareName,
    Strict,
    Templated,
    Truth,
    Version,
)  # fmt: skip
from blumeops.lab.marks import Document
from blumeops.lab.settings import Settings

WHAT_RUNS = ("app", "image", "chart", "manifests", "compose", "role")


class Chart(Strict):
    """A Helm chart. Its version is the service's."""

    name: ChartName
    repository: ChartRepository
    values: Line | None = None
    """A file of the lab with the chart's values: `charts/name.yaml`."""


class Service(Strict):
    """An app, given a name and a place."""

    host: Name | None = None
    cluster: Name | None = None
    app: Name | None = None
    """From the catalogue or from `apps/` of the lab; the service's own name when nothing else is said."""
    image: Image | None = None
    """An image with its tag, when no app is needed."""
    chart: Chart | None = None
    """A Helm chart; beside an `app:` it sets that app up at site `home`."""
    manifests: Line | None = None
    """A folder of the lab with plain YAML or a kustomization; beside an `app:` it sets that app up at site `home`."""
    compose: str | None = None
    """A Compose file of the lab: each of its services becomes one of the lab's."""
    role: Line | None = None
    """A folder of the lab with an Ansible role; beside an `app:` it sets that app up at site `home`."""
    name: Name | None = None
    """The name in its addresses, where it is not the service's own."""
    version: Version | None = None
    allow: tuple[Name, ...] = ()
    """People, roles (`members`, `admins`), groups, hosts, services and `cluster`."""
    database: Name | None = None
    """The service that holds its database."""
    secrets: dict[Key, str] = {}
    options: dict[Key, Scalar | tuple[Scalar, ...]] = {}
    env: dict[EnvName, Templated] = {}
    """What this service's environment has beside, or instead of, the app's."""
    mounts: dict[Key, ShareName] = {}
    """Shares, as `host/share`."""
    ports: Annotated[dict[Key, Port], AfterValidator(routed_apart)] = {}
    state: State | None = None
    health: Health | None = None
    resources: Resources | None = None
    devices: tuple[DevicePath, ...] = ()
    """Devices of the host that it uses beside those of the app."""
    internet: Truth | None = None
    """Whether it calls hosts of the internet, where it differs from what the app says."""
    arguments: tuple[Templated, ...] = ()
    """What the program of an `image:` is given instead of what the image says."""
    heal: Truth | None = None
    """Whether what was changed by hand is put back, where this service differs from `gitops.heal`."""
    kubernetes: dict[str, Any] = Field(default_factory=dict)
    """What only Kubernetes can say: merged into the workload whole."""
    ansible: dict[str, Any] = Field(default_factory=dict)
    """What only Ansible can say: variables of the role."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Service:
        ways = [way for way in WHAT_RUNS if getattr(self, way) is not None]
        if len(ways) > 1 and not (len(ways) == 2 and ways[0] == "app" and ways[1] in WAYS):
            raise ValueError(f"runs one of {', '.join(WHAT_RUNS)}: keep one of them")
        if self.host is None and self.cluster is None:
            raise ValueError("is placed nowhere: name its `host:` or its `cluster:`")
        if self.host is not None and self.cluster is not None:
            raise ValueError("is placed twice: keep its `host:` or its `cluster:`")
        if self.image is not None and self.version is not None:
            raise ValueError("says its version twice: the tag of its `image:` is the version")
        if self.compose is not None and self.version is not None:
            raise ValueError("says its version twice: the images of its `compose:` file have theirs")
        if self.app is None and self.version is not None and (self.manifests or self.role):
            raise ValueError("says a version, and what its files run has versions of its own: leave it out")
        return self

    @property
    def place(self) -> str:
        """The host's or cluster's name."""
        return self.host or self.cluster or ""


def app_key(name: str, service: Service) -> str:
    """The key of a service's app in `Lab.apps`."""
    own = service.app is None and any(getattr(service, way) is not None for way in WHAT_RUNS)
    return f"={name}" if own else service.app or name


@dataclass(frozen=True, slots=True)
class Member:
    """What a service is in the Compose file that it comes from."""

    project: str
    """The service that names the file."""
    file: str
    key: str
    """Its own name there."""
    needs: tuple[tuple[str, Place], ...]
    """Services that start before it, and where that is said."""
    mounts: Mapping[str, str]
    """Where its shares are mounted."""
    aliases: tuple[str, ...]
    """The names by which the others find it in their network."""


@dataclass(frozen=True)
class Lab:
    """Everything that one repository describes, and the place of each value."""

    settings: Settings
    services: Mapping[str, Service]
    apps: Mapping[str, App]
    """By app name: those of the catalogue and of the lab that are used. By `=SERVICE`: of one that names none."""
    app_files: Mapping[str, Mapping[str, str]]
    """By app name: the text of the files beside app.yaml."""
    documents: Mapping[str, Document] = field(repr=False)
    """By file, relative to the lab's folder."""
    service_files: Mapping[str, str] = field(repr=False)
    """By service: the file that describes it."""
    policy: bytes | None = None
    """The lab's own policy.hujson, as it is written."""
    broken: frozenset[str] = frozenset()
    """What is described, but wrongly, so that references to it are no mistake of their own: names, `SERVICE.FIELD`,
    `apps/NAME`, a whole section (`hosts:`) and, where a file of services could not be read, `services:`."""

    members: Mapping[str, Member] = field(default_factory=dict)
    """By service: those that come from a Compose file."""
    dashboards: Mapping[str, str] = field(default_factory=dict)
    """By name: the lab's own, as JSON."""
    brought: Mapping[str, Brought] = field(default_factory=dict)
    """By service: the lab's own chart, manifests or role."""
    locked: Mapping[str, str] | None = None
    """By an image's whole name: its digest, of images.lock.yaml. None: there is no such file."""

    def app_of(self, service: str) -> App | None:
        """What runs as `service`; None when its app is not known."""
        return self.apps.get(app_key(service, self.services[service]))

    def place(self, *path: str | int, of_key: bool = False) -> Place:
        """The place of a value of lab.yaml."""
        return self.documents["lab.yaml"].place(*path, of_key=of_key)

    def service_place(self, service: str, *path: str | int, of_key: bool = False) -> Place:
        """The place of a value of a service; the service's own key when nothing more is named."""
        member = self.members.get(service)
        if member and member.project != service:
            return self.documents[member.file].place("services", member.key, *path, of_key=of_key or not path)
        file = self.service_files.get(service)
        if file is None:
            return Place("lab.yaml", 1, 1)
        return self.documents[file].place(service, *path, of_key=of_key or not path)
