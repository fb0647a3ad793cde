"""What lab.yaml says: the repository, the network, people, devices, clusters, secrets and backups.

Part of the lab model: a field's docstring is what the reference page prints.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field

from blumeops.lab.fields import (
    AbsolutePath,
    ApiUrl,
    Branch,
    Count,
    Domain,
    GitUrl,
    GoModule,
    Key,
    Line,
    Name,
    NetworkAddress,
    PortNumber,
    ShareName,
    Strict,
    TimeOfDay,
    Truth,
    Vault,
    unsaid,
)  # fmt: skip
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
    gitops: Gitops = unsaid(Gitops)
    network: Network = unsaid(Network)
    people: dict[Name, Person] = {}
    groups: dict[Name, tuple[Name, ...]] = {}
    """Names for some of the people together, to stand in `allow:`."""
    hosts: dict[Name, Host] = {}
    clusters: dict[Name, Cluster] = {}
    secrets: SecretsSetting = unsaid(SecretsSetting)
    backup: Backup | None = None
    here: Here = unsaid(Here)
