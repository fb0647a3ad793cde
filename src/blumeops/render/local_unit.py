"""The format of site `here`: one JSON file a unit, as the local engine reads it.

What only the running machine knows (a free port, a folder, a secret's value) stays a reference in it, so
rendering is pure and a rendered file can be shown to anybody. `Text` is such a string in pieces.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Immutable, and a field that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SecretPart(Strict):
    """The value behind an `op://vault/item/field` reference."""

    secret: str


class SecretFilePart(Strict):
    """The path of the private file that holds this unit's secret of that name (`secret_files`)."""

    secret_file: str


class PortPart(Strict):
    """The port number on which `unit` (this one when empty) listens for port `port`."""

    port: str
    unit: str = ""


class HostPart(Strict):
    """The host of an address: on which the unit itself listens, or by which `unit` (itself when empty) is reached.

    127.0.0.1 for a process of this machine; what that is for a container, only the machine knows.
    """

    host: Literal["listen", "reach"]
    unit: str = ""


class FolderPart(Strict):
    """An absolute path: this unit's state folder `name`, its configuration folder (where `files` lie),
    a folder for sockets (short path), the site's folders of upstream files, of scrape targets and of pages, or a share.
    `name` is what is in it."""

    folder: Literal["state", "config", "run", "upstreams", "targets", "pages", "share"]
    name: str = ""
    unit: str = ""
    """Whose state; this unit's when empty."""
    before: str = ""
    after: str = ""
    """What stands around it: then it is nothing at all where the folder is not there."""


Part = str | SecretPart | SecretFilePart | PortPart | HostPart | FolderPart
Text = tuple[Part, ...]


class Download(Strict):
    """A file of a release, for one platform. `folder`: where in the archive the programs lie; `name`: what the command
    calls the program; `program`: its path in `folder`, where that is another."""

    url: str
    sha256: str
    archive: Literal["tar", "zip", "none"] = "none"
    folder: str = ""
    program: str = ""
    name: str


class Source(Strict):
    """Where the program can be had. `version` is the one that this source has; None: the one wanted.

    kind `path`: `name` is a program on PATH; `wheel`: a PyPI package of this environment; `deb`: a Debian
    package of `suite`; `brew`: a formula; `container`: an image without its tag; `release`: one of `downloads`.
    `bin`: a folder with the programs, relative to the package's root.
    """

    kind: Literal["path", "wheel", "deb", "brew", "container", "release"]
    name: str
    version: str | None = None
    suite: str | None = None
    bin: str | None = None
    uid: int | None = None
    """The user that an image's program runs as; None: the one that the image says."""
    downloads: dict[str, Download] = {}
    """By platform (`linux-amd64`), the files of a release."""
    known: str = ""
    """The version whose SHA-256 the downloads have."""
    digest: str | None = None
    """Of an image that the lab has locked: `sha256:…`."""


class Tool(Strict):
    """Another program that the unit's own calls; its folder is on PATH."""

    version: str
    sources: tuple[Source, ...]


class Port(Strict):
    """`fixed`: this very number, or any that is free; `setting`: which field of lab.yaml's `here:` says it."""

    fixed: int | None = None
    setting: str = ""
    protocol: Literal["tcp", "udp"] = "tcp"


class Health(Strict):
    """HTTP: a GET of `path` on `port` answers 2xx or 3xx. tcp: `port` accepts. command: exits 0."""

    kind: Literal["http", "tcp", "command"]
    port: str = ""
    path: str = "/"
    command: tuple[Text, ...] = ()
    within: Annotated[float, Field(gt=0)] = 30.0
    """Seconds from the start until it must be healthy."""


class Metrics(Strict):
    """Metrics in Prometheus' format at `path` of `port`; the engine keeps a file of `targets` for it, with `labels`."""

    port: str
    path: str
    labels: dict[str, str] = {}


class Loaded(Strict):
    """Where the program tells the configuration that it runs with: GET `path` on the `socket` in its folder for them,
    as JSON."""

    socket: str
    path: str


class Route(Strict):
    """The name before the site's domain by which the proxy leads to a port."""

    label: str
    port: str


class Container(Strict):
    """The unit as it is within a container, where its program comes from an image: numbers and paths of its own."""

    ports: dict[str, int] = {}
    state: dict[str, str] = {}
    files: dict[str, str] = {}
    shares: dict[str, str] = {}
    """By share, where it is mounted."""
    arguments: tuple[Text, ...] = ()
    """What the image's own program is given, where the unit has no `command`; empty: what the image says."""
    devices: tuple[str, ...] = ()
    network: str = ""
    """A network that it shares with others of that name; empty: its own, with a way to this machine's loopback."""
    aliases: tuple[str, ...] = ()
    """The names by which those others find it."""


class Init(Strict):
    """Run once before the first start: when the path `creates` is not there."""

    command: tuple[Text, ...]
    creates: Text


class Grant(Strict):
    """What a provider must make before this unit starts: run as a child of the provider's environment.

    `command` with `stdin`; idempotent; `env` may hold secrets. `dump` prints what the unit keeps there, `restore` reads
    it again and leaves exactly that; `drop` takes it away. Empty: it is not known how.
    """

    provider: str
    command: tuple[Text, ...]
    stdin: str = ""
    env: dict[str, Text] = {}
    dump: tuple[Text, ...] = ()
    restore: tuple[Text, ...] = ()
    drop: tuple[Text, ...] = ()


class LocalUnit(Strict):
    """One service at site `here`, whole: equal bytes mean nothing to do."""

    unit: str
    app: str
    version: str
    place: str
    """The host or cluster that the lab names: here only a word to show."""
    kind: Literal["service", "job"] = "service"
    at: str = ""
    """When a job runs each day, in the machine's time: "02:00"."""
    run_seconds: float | None = None
    """How long a run of it may take."""
    needs: tuple[str, ...] = ()
    """Units that must be healthy before this one starts."""
    sources: tuple[Source, ...] = ()
    tools: tuple[Tool, ...] = ()
    uses: tuple[str, ...] = ()
    """Units whose programs are on its PATH as well."""
    provided: str = ""
    """Not empty: a built-in stands in, and this says which; nothing is started."""
    unavailable: str = ""
    """Not empty: cannot run at `here`, for this reason."""
    command: tuple[Text, ...] = ()
    """command[0] is the name of a program of the source; empty: an image's own program."""
    container: Container | None = None
    """Where one of the sources is an image."""
    init: Init | None = None
    grants: tuple[Grant, ...] = ()
    reload: tuple[Text, ...] = ()
    """The command that makes the running program read changed `files`; empty: it is restarted."""
    loaded: Loaded | None = None
    env: dict[str, Text] = {}
    files: dict[str, Text] = {}
    """Configuration files, by name, in the unit's `config` folder."""
    secret_files: dict[str, str] = {}
    """name -> op:// reference: each in a private file of its own."""
    ports: dict[str, Port] = {}
    state: tuple[str, ...] = ()
    """Names of folders that are kept; nobody deletes them."""
    samples: dict[str, str] = {}
    """By state folder: the file, below the catalogue, that it begins with when it is empty before the first start."""
    health: Health | None = None
    metrics: Metrics | None = None
    update: Literal["stop-start", "replace"] = "stop-start"
    stop_signal: str = "TERM"
    stop_seconds: float = 10.0
    memory: int | None = None
    """Bytes, a limit where the platform has one."""
    reads_all: bool = False
    """Whether it may read what all services keep, as a maker of backups must."""
    heal: bool = True
    """Whether what was changed by hand is put back; else it is only told."""
    url: str = ""
    """Where people find it."""
    route: Route | None = None
