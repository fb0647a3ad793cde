"""The lab model: devices, network, people, services, secrets and backups, as a person describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from blumeops.base.findings import Place
from blumeops.lab.app import App, Health, Port, Resources, State
from blumeops.lab.brought.model import WAYS, Brought
from blumeops.lab.fields import (
    AbsolutePath,
    ApiUrl,
    Branch,
    ChartName,
    ChartRepository,
    Count,
    DevicePath,
    Domain,
    EnvName,
    GitUrl,
    GoModule,
    Image,
    Key,
    Line,
    Name,
    NetworkAddress,
    PortNumber,
    Scalar,
    ShareName,
    Strict,
    Templated,
    TimeOfDay,
    Truth,
    Vault,
    Version,
)  # fmt: skip
from blumeops.lab.marks import Document
from blumeops.lab.quantities import Duration, Size


class Gitops(Strict):
    """Where the lab's repository lives, and which branch is real."""

    forge: Name | None = None
    """The service that is the lab's own forge: Argo CD pulls from it."""
    branch: Branch = "main"
    """The branch that is applied. Site `here`'s own forge has `main` alone; another one needs `url:`."""
    heal: Truth = True
    """What was changed by hand is put back; `false`: it is only told. A service may say otherwise."""
    exposure: Literal["tell", "refuse"] = "tell"
    """What becomes of a push that lets somebody reach more: it is told, or `refuse`d unless a commit of it says so."""
    url: GitUrl | None = None
    """The repository that is real, anywhere: site `here` follows it, and its own forge only reads along."""
    every: Duration = 300.0
    """How often the remote is asked for news, when no webhook tells of them."""
    token: str | None = None
    """`op://` reference of the token that reads the remote over HTTPS, and posts commit statuses."""
    webhook: str | None = None
    """`op://` reference of the secret that the remote signs its webhooks with."""
    status: Literal["forgejo", "gitea", "github", "none"] | None = None
    """Whose API takes commit statuses; by itself where the URL says it: github.com, codeberg.org, gitea.com."""
    api: ApiUrl | None = None
    """Where that API is, when it is not where the URL leads: `https://forge.example.org`."""


class Dns(Strict):
    """Who serves the records of `domain`."""

    provider: Key
    """Its name among the plugins of Caddy: https://github.com/caddy-dns"""
    token: str
    plugin: GoModule | None = None
    """The plugin, where it is another one, or in another version, than the one that BlumeOps knows."""


class Network(Strict):
    """Names and the proxy."""

    tailnet: Domain | None = None
    """MagicDNS names, tailnet clients only."""
    domain: Domain | None = None
    """The proxy's names, reachable from pods, containers and hosts."""
    proxy: Name = "caddy"
    """The service that routes."""
    dns: Dns | None = None


class Person(Strict):
    """Somebody who uses the lab."""

    login: Line
    role: Literal["admin", "member"] = "member"


class Share(Strict):
    """A folder that a host offers to others."""

    path: AbsolutePath
    by: tuple[Literal["ssh", "smb", "nfs"], ...]


class Host(Strict):
    """A device."""

    model: Line = ""
    os: Literal["macos", "linux", "dsm"]
    role: Literal["compute", "storage", "workstation"]
    memory: Size | None = None
    address: NetworkAddress | None = None
    """Where Ansible reaches it; its name when there is none."""
    owner: Name | None = None
    shares: dict[Name, Share] = {}


class Cluster(Strict):
    """A Kubernetes cluster that a host carries."""

    host: Name
    kind: Literal["minikube", "k3s", "kubernetes"] = "minikube"
    cpus: Count | None = None
    memory: Size | None = None
    registry: Name | None = None
    egress: Literal["host", "operator"] = "host"
    network_policies: Truth = False
    """Whether its network keeps pods apart as NetworkPolicies say: k3s does, minikube with `--cni=calico`. They are
    written in any case; this is what `reach` takes to be enforced."""


class Allowed(Strict):
    """What looks like a secret in a file of the lab, and is none."""

    file: Line
    """The file, below the lab's folder; `*` stands for any characters."""
    rule: Line | None = None
    """The rule that finds it there, as the finding names it; all of them when none is named."""
    reason: Annotated[Line, Field(min_length=10)]
    """Why everybody may read it."""


class SecretsSetting(Strict):
    """Where secrets live."""

    store: Literal["sops", "1password"] = "sops"
    """At site `home`."""
    here: Literal["sops", "op", "connect"] = "sops"
    """At site `here`: the SOPS file, 1Password by its command `op`, or a 1Password Connect server."""
    connect: ApiUrl | None = None
    """Where that server is: `http://localhost:8080`."""
    vault: Vault = "lab"
    allow: tuple[Allowed, ...] = ()
    """What looks like a secret in a push and is none: each with its reason."""

    def allows(self, file: str, rule: str) -> bool:
        """Whether what the rule finds in the file is known to be none."""
        return any(fnmatchcase(file, each.file) and each.rule in (None, rule) for each in self.allow)


class Backup(Strict):
    """What is kept, where and how long."""

    to: ShareName
    at: TimeOfDay = "02:00"
    keep: dict[Literal["hourly", "daily", "weekly", "monthly", "yearly"], Count] = {}


class Here(Strict):
    """Ports of site `here`: change them when another lab runs on this machine."""

    https: PortNumber = 8443
    forge: PortNumber = 8480
    dns: PortNumber = 8453
    """Where the lab's names are answered, by UDP and TCP."""


class Settings(Strict):
    """lab.yaml."""

    lab: Name
    gitops: Gitops = Gitops()
    network: Network = Network()
    people: dict[Name, Person] = {}
    groups: dict[Name, tuple[Name, ...]] = {}
    """Names for some of the people together, to stand in `allow:`."""
    hosts: dict[Name, Host] = {}
    clusters: dict[Name, Cluster] = {}
    secrets: SecretsSetting = SecretsSetting()
    backup: Backup | None = None
    here: Here = Here()


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
    ports: dict[Key, Port] = {}
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
