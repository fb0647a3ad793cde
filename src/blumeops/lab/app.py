"""The app model: what is true of a program, for every engine.

An app never says how an engine does it. A field's docstring is what the reference page prints; what the field
becomes in each engine stands beside the code that does it (`BECOMES` in the renderers).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from blumeops.lab.fields import (
    AbsolutePath,
    DevicePath,
    EnvName,
    FileName,
    Key,
    Line,
    Name,
    PortNumber,
    Scalar,
    Strict,
    Templated,
    Truth,
    UrlPath,
    Version,
    unsaid,
)  # fmt: skip
from blumeops.lab.quantities import Duration, Size
from blumeops.lab.sources import AppSource, Tool


class Option(Strict):
    """A setting that a service may choose; read as `{{ options.NAME }}`."""

    type: Literal["string", "integer", "boolean", "duration", "size", "list"] = "string"
    default: Scalar | tuple[Scalar, ...] | None = None
    about: str = ""


PAGES = 443
"""Where a service has its pages, whichever way one comes to it."""


class Port(Strict):
    """A port that the program listens on."""

    port: PortNumber
    protocol: Literal["tcp", "udp"] = "tcp"
    entry: Truth = False
    """Callers outside know this very number: it never moves. Others may be moved where an engine must."""
    routed: PortNumber | None = None
    """It speaks no HTTP, and the proxy leads callers to it, at this number: where the proxy is one that can."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return value if isinstance(value, dict | Port) else {"port": value}

    @model_validator(mode="after")
    def _routes_are_tcp(self) -> Port:
        if self.routed is not None and (self.protocol != "tcp" or self.entry):
            raise ValueError("what is routed is tcp, and no entry itself")
        if self.routed == PAGES:
            raise ValueError(f"{PAGES} is where pages are: nothing else is routed there")
        return self


def routed_apart(ports: dict[str, Port]) -> dict[str, Port]:
    """The ports of one thing, where each of their routes has a number of its own. Raises ValueError."""
    numbers = [port.routed for port in ports.values() if port.routed is not None]
    if len(numbers) > len(set(numbers)):
        raise ValueError("two of them are routed at one number")
    if "http" in ports and ports["http"].routed is not None:
        raise ValueError("http is led to by its name: it is not `routed:`")
    return ports


class Init(Strict):
    """A command that prepares the state before the first start."""

    command: tuple[Templated, ...]
    creates: Templated
    """The path that is there once it ran."""


class Create(Strict):
    """How a provider makes what a user needs. Safe to repeat; prints `changed` when it changed something."""

    command: tuple[Templated, ...]
    stdin: FileName | None = None
    """A file beside app.yaml that the command reads."""
    env: dict[EnvName, Templated] = {}


class Provide(Strict):
    """Something that other services can need: a database."""

    port: Key
    scheme: str
    """The scheme of the URL by which users reach it."""
    create: Create
    dump: tuple[Templated, ...] = ()
    """The command that prints all that one user keeps, in the environment of `create`; none: it cannot be said."""
    restore: tuple[Templated, ...] = ()
    """The command that reads such a dump, and leaves exactly what is in it. Safe to repeat."""
    drop: tuple[Templated, ...] = ()
    """The command that takes away for good what one user had, in the environment of `create`; none: it stays. Run only
    for a service that is gone, when a person asks for it. Safe to repeat."""


class SecretSpec(Strict):
    """A secret of the program; read as `{{ secrets.NAME }}`, or as a private file: `{{ secrets.NAME.file }}`."""

    about: str = ""
    length: int = Field(32, strict=True, ge=8, le=1024)
    """How many characters, when it is generated because the lab names no reference."""
    alphabet: Annotated[str, Field(min_length=2, max_length=200)] | None = None
    """Of which characters; letters and digits when nothing is said."""
    key: Literal["ed25519", "rsa"] | None = None
    """It is a private key, in OpenSSH's form, and not random characters."""
    public_of: Key | None = None
    """It is the public half of that secret, which is a `key:`."""
    htpasswd_of: Key | None = None
    """It is a line of an htpasswd file (bcrypt) for that secret, a password."""
    user: Line = "admin"
    """The user of that line."""
    given: Truth = False
    """Somebody else issues it, so it is never generated: a person puts it into the store."""
    once: Truth = False
    """The program takes it at its first start alone, and keeps it itself: a new value has to be told to it as well."""


class ConfigFile(Strict):
    """A configuration file; its path is read as `{{ files.NAME }}`."""

    path: AbsolutePath
    """Where it lies in a container."""
    template: FileName | None = None
    """A file beside app.yaml, with lookups."""
    derived: Literal["routes", "scrape", "rules", "collector", "grafana", "backup"] | None = None
    """Made from the whole lab: `routes` is the Caddyfile of every route, `scrape` Prometheus' configuration, `rules`
    its alerts, `collector` Alloy's configuration, `grafana` a folder of data sources and dashboards. `backup`
    is borgmatic's, at site `here` and on hosts: what is at hand there is kept. In a
    cluster the file is its template."""

    @model_validator(mode="after")
    def _one_origin(self) -> ConfigFile:
        if self.derived == "backup":
            if self.template is None:
                raise ValueError("a file derived from `backup` has a template too")
        elif (self.template is None) == (self.derived is None):
            raise ValueError("a file has either a template or says what it is derived from")
        return self


class Loaded(Strict):
    """Where the program tells the configuration that it runs with, as JSON that stays the same until it is another."""

    socket: FileName
    """A socket of the program's in {{ run }}."""
    http: UrlPath
    """The path that is asked for there."""


class Health(Strict):
    """How to see that the program works: exactly one of `http`, `tcp`, `command`."""

    http: UrlPath | None = None
    """A path that answers 2xx or 3xx."""
    tcp: Key | None = None
    """A port that accepts connections."""
    command: tuple[Templated, ...] = ()
    """A command that exits with 0."""
    port: Key = "http"
    """The port of the `http` path."""
    within: Duration = 30.0
    """How long after its start it must work."""

    @model_validator(mode="after")
    def _one_kind(self) -> Health:
        if sum((self.http is not None, self.tcp is not None, bool(self.command))) != 1:
            raise ValueError("health is exactly one of http, tcp, command")
        return self


class Panel(Strict):
    """A picture of a program's own metrics."""

    title: str
    query: str
    """PromQL; `$service` is the service's name."""
    unit: Literal["", "s", "bytes", "Bps", "percentunit", "reqps", "ops", "short"] = ""
    """As Grafana calls it."""
    legend: str = ""
    """How a series is called, by its labels: `{{method}}`."""


class Metrics(Strict):
    """Where the program tells its metrics in Prometheus' format: over HTTP, or in files."""

    http: UrlPath = "/metrics"
    port: Key = "http"
    folder: Key | None = None
    """For a program that does not keep running: the folder of its state in which it leaves `*.prom` files."""
    panels: tuple[Panel, ...] = ()
    """What its dashboard shows of them."""


class Logs(Strict):
    """What the program prints."""

    format: Literal["plain", "logfmt", "json"] = "plain"


class Stop(Strict):
    """How to end the program."""

    signal: Literal["TERM", "INT", "QUIT"] = "TERM"
    within: Duration = 10.0
    """After that it is killed."""


class Resources(Strict):
    """What the program may use at most."""

    memory: Size | None = None
    time: Duration | None = None
    """How long a run of a job may take; then it is ended, and has failed."""


class State(Strict):
    """What a backup must hold. `none` is an answer, silence is not."""

    database: Truth = False
    """What it keeps is in its database."""
    folders: dict[Key, AbsolutePath] = {}
    """Folders by name and the path that each has in a container; read as `{{ state.NAME }}`."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value == "none":
            return {}
        if isinstance(value, dict) and "folders" not in value:
            return {
                "database": value.get("database", False),
                "folders": {name: path for name, path in value.items() if name != "database"},
            }
        return value


class App(Strict):
    """What is true of a program."""

    app: Name
    """Its name in the catalogue."""
    about: str = ""
    """One line for people."""
    version: Version
    """The version wanted, where the service names none."""
    kind: Literal["service", "job", "platform"] = "service"
    """A program that serves, one that runs at set times, or a part of a cluster itself."""
    sources: tuple[AppSource, ...] = ()
    """Where it can be had, in the order in which they are tried."""
    tools: dict[Key, Tool] = {}
    """Other programs that it calls, and does not bring."""
    options: dict[Key, Option] = {}
    """Settings that a service may choose."""
    ports: Annotated[dict[Key, Port], AfterValidator(routed_apart)] = {}
    """What it listens on."""
    needs: dict[Literal["database"], Name] = {}
    """What it cannot start without, by kind; the service says which one."""
    provides: dict[Literal["database"], Provide] = {}
    """What other services may need from it."""
    command: tuple[Templated, ...] = ()
    """Program and arguments; empty: the image's own."""
    arguments: tuple[Templated, ...] = ()
    """What the image's own program is given, where no `command` is named; empty: what the image says."""
    init: Init | None = None
    """What prepares its state before the first start."""
    reload: tuple[Templated, ...] = ()
    """The command by which it reads changed files; none: it is restarted."""
    loaded: Loaded | None = None
    """Where it tells the configuration that it runs with."""
    env: dict[EnvName, Templated] = {}
    """Its environment."""
    files: dict[FileName, ConfigFile] = {}
    """Its configuration files."""
    secrets: dict[Key, SecretSpec] = {}
    """Its secrets."""
    health: Health | None = None
    """How to see that it works."""
    metrics: Metrics | None = None
    """Where it tells its metrics."""
    logs: Logs = unsaid(Logs)
    """What it prints."""
    state: State
    """What it keeps."""
    samples: dict[Key, FileName] = {}
    """By state folder: a file beside app.yaml that an empty one begins with, so that there is something to see. Only
    apps of the catalogue have any."""
    update: Literal["stop-start", "replace"] = "stop-start"
    """`replace`: two may run at once, so the new one gets healthy before the old one stops."""
    stop: Stop = unsaid(Stop)
    """How to end it."""
    resources: Resources = unsaid(Resources)
    """What it may use."""
    devices: tuple[DevicePath, ...] = ()
    """Devices of the host that it uses."""
    internet: Truth = False
    """Whether it calls hosts of the internet by itself. What an `image:` runs is taken to."""

    @model_validator(mode="after")
    def _ports_exist(self) -> App:
        named = [("health", self.health.port if self.health and self.health.http else None)]
        named += [("health", self.health.tcp if self.health else None)]
        named += [("metrics", self.metrics.port if self.metrics and not self.metrics.folder else None)]
        named += [(f"provides.{kind}", provide.port) for kind, provide in self.provides.items()]
        if any(file.derived == "backup" for file in self.files.values()) and not (
            "passphrase" in self.secrets and "data" in self.state.folders
        ):
            raise ValueError("a file derived from `backup` needs the secret `passphrase` and the state folder `data`")
        for kind, provide in self.provides.items():
            if bool(provide.dump) != bool(provide.restore):
                raise ValueError(f"provides.{kind} says `dump` and `restore`, or neither")
        for field, port in named:
            if port is not None and port not in self.ports:
                raise ValueError(f"{field} names the port {port!r}, which is not among ports")
        if self.metrics and self.metrics.folder and self.metrics.folder not in self.state.folders:
            raise ValueError(f"metrics names {self.metrics.folder!r}, which is not among the folders of state")
        for name, secret in self.secrets.items():
            made_of = secret.public_of or secret.htpasswd_of
            if sum(each is not None for each in (secret.key, secret.public_of, secret.htpasswd_of)) > 1:
                raise ValueError(f"secrets.{name} is one of key, public_of, htpasswd_of")
            if made_of and (made_of not in self.secrets or made_of == name):
                raise ValueError(f"secrets.{name} names the secret {made_of!r}, which is not another one of the app")
            if secret.public_of and self.secrets[secret.public_of].key is None:
                raise ValueError(f"secrets.{name} names {made_of!r}, which is no key")
        if unknown := self.samples.keys() - self.state.folders.keys():
            raise ValueError(f"samples names {min(unknown)!r}, which is not among the folders of state")
        return self
