"""An app's strings with every lookup replaced by what it means for one service.

A lookup that means nothing leaves a Problem at its place, so that all of them can be told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from blumeops.base.findings import Place
from blumeops.facts.options import option_text
from blumeops.facts.parts import Address, FilePath, Folder, Listen, SecretFile, SecretValue, Text, Url, joined
from blumeops.lab.app import App, Health
from blumeops.lab.model import Lab, Service
from blumeops.lab.template import Lookup, TemplateError, parse

VOCABULARY = {
    "options.NAME": "the option as written; .seconds, .minutes, .hours of a duration, .bytes of a size",
    "secrets.NAME": "the secret's value; .file is the path of a private file that holds it",
    "listen.PORT": "address and number to listen on; .host and .port are its halves",
    "address.PORT": "address and number by which the service is reached from beside it; .host, .port",
    "state.NAME": "the folder that keeps it",
    "mounts.NAME": "the folder of a share that the service mounts",
    "run": "a folder for sockets, empty at each start",
    "files.FILE": "the path of a configuration file",
    "database.url": "its database; also .host, .port, .name, .user, .password",
    "service.url": "where people find it; service.name is its name",
}


@dataclass(frozen=True, slots=True)
class DatabaseUse:
    """A service's own database and role in another service."""

    provider: str
    scheme: str
    port: str
    name: str
    user: str
    password: str
    """An op:// reference."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A lookup that means nothing, or an option that does not fit."""

    place: Place
    subject: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Wiring:
    """An app's strings as they are for one service."""

    command: tuple[Text, ...]
    arguments: tuple[Text, ...]
    reload: tuple[Text, ...]
    env: Mapping[str, Text]
    files: Mapping[str, Text]
    """By name; only those with a template. What is derived is the renderer's."""
    init_command: tuple[Text, ...]
    init_creates: Text
    health_command: tuple[Text, ...]
    grant_command: tuple[Text, ...]
    grant_stdin: str
    grant_env: Mapping[str, Text]
    """How the provider makes this service's database, if it uses one."""
    dump_command: tuple[Text, ...]
    restore_command: tuple[Text, ...]
    """How the provider prints what is in that database, and reads it again; in the same environment."""
    drop_command: tuple[Text, ...]
    """How it takes that database away."""
    problems: tuple[Problem, ...]


def secret_reference(lab: Lab, service: str, secret: str) -> str:
    """Where a service's secret lives: what the lab says, else `op://<vault>/<service>/<secret>`."""
    named = lab.services[service].secrets.get(secret)
    return named or f"op://{lab.settings.secrets.vault}/{service}/{secret.replace('_', '-')}"


def database_use(lab: Lab, name: str) -> DatabaseUse | None:
    """The database that a service uses; None when it uses none or its provider is not known."""
    service = lab.services[name]
    if service.database is None or service.database not in lab.services:
        return None
    provider = lab.app_of(service.database)
    if provider is None or "database" not in provider.provides:
        return None
    provide = provider.provides["database"]
    own = name.replace("-", "_")
    password = secret_reference(lab, name, "database_password")
    return DatabaseUse(service.database, provide.scheme, provide.port, own, own, password)


def wire(lab: Lab, name: str) -> Wiring:
    """Wire a service whose app is known."""
    service = lab.services[name]
    app = lab.app_of(name)
    assert app is not None
    wirer = _Wirer(lab, name, service, app)
    app_text, own_text = wirer.app_text, wirer.service_text
    env = {key: app_text(text, "env", key) for key, text in app.env.items()}
    env |= {key: own_text(text, "env", key) for key, text in service.env.items()}
    files = {
        key: wirer.file_text(lab.app_files.get(app.app, {}).get(file.template, ""), file.template)
        for key, file in app.files.items()
        if file.template
    }
    init = app.init
    health = service.health or app.health
    health_text = own_text if service.health else app_text
    wirer.options()
    wirer.health_port(health)
    grant = wirer.grant()
    return Wiring(
        command=wirer.texts(app.command, "command"),
        arguments=wirer.arguments(),
        reload=wirer.texts(app.reload, "reload"),
        env=env,
        files=files,
        init_command=wirer.texts(init.command, "init", "command") if init else (),
        init_creates=app_text(init.creates, "init", "creates") if init else (),
        health_command=tuple(
            health_text(text, "health", "command", place) for place, text in enumerate(health.command if health else ())
        ),
        grant_command=grant.command,
        grant_stdin=grant.stdin,
        grant_env=grant.env,
        dump_command=grant.dump,
        restore_command=grant.restore,
        drop_command=grant.drop,
        problems=tuple(wirer.problems),
    )


@dataclass(frozen=True, slots=True)
class _Grant:
    """What a provider does for one user: `stdin` is what `command` reads."""

    command: tuple[Text, ...] = ()
    stdin: str = ""
    env: Mapping[str, Text] = field(default_factory=dict)
    dump: tuple[Text, ...] = ()
    restore: tuple[Text, ...] = ()
    drop: tuple[Text, ...] = ()


class _Wirer:
    def __init__(self, lab: Lab, name: str, service: Service, app: App) -> None:
        self.lab, self.name, self.service, self.app = lab, name, service, app
        self.problems: list[Problem] = []
        self.database = database_use(lab, name)
        file = next(
            (f for f in (f"apps/{app.app}/app.yaml", f"catalogue/{app.app}/app.yaml") if f in lab.documents), ""
        )
        self.document = None if service.image or service.compose else lab.documents.get(file)

    def app_text(self, text: str, *path: str | int) -> Text:
        place = self.document.place(*path) if self.document else self.lab.service_place(self.name)
        return self.text(text, place)

    def service_text(self, text: str, *path: str | int) -> Text:
        return self.text(text, self.lab.service_place(self.name, *path))

    def file_text(self, text: str, file: str) -> Text:
        folder = self.document.file.removesuffix("app.yaml") if self.document else ""
        meanings: list[Text | str] = []
        line = start = seen = 0  # so far: newlines, where the line begins, what was looked at
        try:
            for piece in parse(text):
                if isinstance(piece, str):
                    meanings.append(piece)
                    continue
                line += text.count("\n", seen, piece.start)
                start = max(start, text.rfind("\n", seen, piece.start) + 1)
                seen = piece.start
                meanings.append(self.meaning(piece, Place(folder + file, line + 1, seen - start + 1)))
        except TemplateError as error:
            start = text.rfind("\n", 0, error.start) + 1
            place = Place(folder + file, text.count("\n", 0, start) + 1, error.start - start + 1)
            self.problems.append(Problem(place, self.app.app, str(error)))
        return joined(*meanings)

    def texts(self, texts: tuple[str, ...], *path: str | int) -> tuple[Text, ...]:
        return tuple(self.app_text(text, *path, place) for place, text in enumerate(texts))

    def arguments(self) -> tuple[Text, ...]:
        """The service's own stand where its image is named."""
        own = self.service.arguments
        if own:
            return tuple(self.service_text(text, "arguments", place) for place, text in enumerate(own))
        return self.texts(self.app.arguments, "arguments")

    def text(self, text: str, place: Place) -> Text:
        return joined(*(self.meaning(piece, place) if isinstance(piece, Lookup) else piece for piece in parse(text)))

    def grant(self) -> _Grant:
        """The provider's ways to make, dump, restore and drop a database, said for this user of it."""
        if self.database is None:
            return _Grant()
        provider = self.lab.app_of(self.database.provider)
        assert provider is not None
        provide, where = provider.provides["database"], ("provides", "database")
        other = _Wirer(self.lab, self.database.provider, self.lab.services[self.database.provider], provider)
        other.database = self.database
        grant = _Grant(
            command=other.texts(provide.create.command, *where, "create", "command"),
            stdin=self.lab.app_files.get(provider.app, {}).get(provide.create.stdin or "", ""),
            env={key: other.app_text(text, *where, "create", "env", key) for key, text in provide.create.env.items()},
            dump=other.texts(provide.dump, *where, "dump"),
            restore=other.texts(provide.restore, *where, "restore"),
            drop=other.texts(provide.drop, *where, "drop"),
        )
        said = (*grant.command, *grant.env.values(), *grant.dump, *grant.restore, *grant.drop)
        if any(isinstance(part, Folder | FilePath | SecretFile) for text in said for part in text):
            place = other.document.place(*where) if other.document else Place("", 1, 1)
            message = "what makes a database runs for its user: it cannot look up folders or files of the provider"
            other.problems.append(Problem(place, provider.app, message, "use addresses and secrets"))
        self.problems += other.problems
        return grant

    def meaning(self, lookup: Lookup, place: Place) -> Text:
        """What a lookup means; a Problem and no text when it means nothing."""
        kind, rest = lookup.path[0], lookup.path[1:]
        meanings: dict[str, Callable[[tuple[str, ...]], Text | None]] = {
            "options": self.option, "secrets": self.secret, "listen": self.listen, "address": self.address,
            "state": self.state, "mounts": self.mount, "files": self.file, "database": self.database_part,
            "service": self.of_service, "run": lambda rest: None if rest else (Folder("run"),),
        }  # fmt: skip
        found = meanings[kind](rest) if kind in meanings else None
        if found is None:
            hint = self.known(kind) if kind in meanings else f"lookups are {', '.join(VOCABULARY)}"
            self.problems.append(Problem(place, self.name, f"{{{{ {lookup} }}}} means nothing here", hint))
            return ()
        return found

    def known(self, kind: str) -> str:
        names: dict[str, Collection[str]] = {
            "options": self.app.options, "secrets": self.app.secrets, "listen": self.app.ports,
            "address": self.app.ports, "state": self.folders(), "files": self.app.files, "mounts": self.service.mounts,
        }  # fmt: skip
        if kind == "database" and not self.database:
            return "give the service a `database:`"
        noun = {"listen": "ports", "address": "ports", "state": "folders"}.get(kind, kind)
        means = next(f"`{form}` is {words}" for form, words in VOCABULARY.items() if form.partition(".")[0] == kind)
        if kind not in names:
            return means
        has = (
            f"the {noun} of {self.app.app} are {', '.join(names[kind])}"
            if names[kind]
            else f"{self.app.app} has no {noun}"
        )
        return f"{has}; {means}"

    def option(self, rest: tuple[str, ...]) -> Text | None:
        option = self.app.options.get(rest[0]) if rest else None
        if option is None or len(rest) > 2:
            return None
        value = self.service.options.get(rest[0], option.default)
        if value is None:
            value = ()
        try:
            converted = option_text(option, value, rest[1] if len(rest) == 2 else "")
        except ValueError as error:
            self.wrong_option(rest[0], str(error))
            return ("",)
        return None if converted is None else (converted,)

    def options(self) -> None:
        """Every option fits its type, looked up or not."""
        for name, option in self.app.options.items():
            value = self.service.options.get(name, option.default)
            if value is not None:
                try:
                    option_text(option, value, "")
                except ValueError as error:
                    self.wrong_option(name, str(error))

    def wrong_option(self, name: str, message: str) -> None:
        own = name in self.service.options or self.document is None
        place = self.lab.service_place(self.name, "options", name) if own else None
        place = place or (self.document.place("options", name, "default") if self.document else None)
        assert place is not None
        self.problems.append(Problem(place, f"{self.name if own else self.app.app}.options.{name}", message))

    def health_port(self, health: Health | None) -> None:
        """The port that a service's own health check asks is there; an app's own was checked when it was read."""
        port = health.port if health and health.http else health.tcp if health else None
        if port is not None and port not in self.app.ports:
            place = self.lab.service_place(self.name, "health")
            message = f"asks the port `{port}`, which {self.app.app} does not have"
            hint = f"name one of {', '.join(self.app.ports)}" if self.app.ports else "name it in `ports:`"
            self.problems.append(Problem(place, f"{self.name}.health", message, hint))

    def secret(self, rest: tuple[str, ...]) -> Text | None:
        if not rest or rest[0] not in self.app.secrets or rest[1:] not in ((), ("file",)):
            return None
        if rest[1:] == ("file",):
            return (SecretFile(rest[0]),)
        return (SecretValue(secret_reference(self.lab, self.name, rest[0])),)

    def listen(self, rest: tuple[str, ...]) -> Text | None:
        if not rest or rest[0] not in self.app.ports:
            return None
        return _halves(rest[1:], (Listen(rest[0], "host"),), (Listen(rest[0], "port"),))

    def address(self, rest: tuple[str, ...]) -> Text | None:
        if not rest or rest[0] not in self.app.ports:
            return None
        name, port = self.name, rest[0]
        return _halves(rest[1:], (Address(name, port, "host"),), (Address(name, port, "port"),))

    def folders(self) -> Mapping[str, str]:
        return (self.service.state or self.app.state).folders

    def state(self, rest: tuple[str, ...]) -> Text | None:
        return (Folder("state", rest[0]),) if len(rest) == 1 and rest[0] in self.folders() else None

    def mount(self, rest: tuple[str, ...]) -> Text | None:
        return (Folder("mount", rest[0]),) if len(rest) == 1 and rest[0] in self.service.mounts else None

    def file(self, rest: tuple[str, ...]) -> Text | None:
        name = ".".join(rest)
        return (FilePath(name),) if name in self.app.files else None

    def of_service(self, rest: tuple[str, ...]) -> Text | None:
        meanings: dict[tuple[str, ...], Text] = {("url",): (Url(self.name),), ("name",): (self.name,)}
        return meanings.get(rest)

    def database_part(self, rest: tuple[str, ...]) -> Text | None:
        use = self.database
        if use is None:  # what is needed and missing is a finding of its own
            return () if "database" in self.app.needs or self.service.database else None
        host = (Address(use.provider, use.port, "host"),)
        port = (Address(use.provider, use.port, "port"),)
        password = (SecretValue(use.password),)
        url = joined(f"{use.scheme}://{use.user}:", password, "@", host, ":", port, f"/{use.name}")
        parts: dict[tuple[str, ...], Text] = {
            ("url",): url, ("host",): host, ("port",): port, ("name",): (use.name,), ("user",): (use.user,),
            ("password",): password,
        }  # fmt: skip
        return parts.get(rest)


def _halves(rest: tuple[str, ...], host: Text, port: Text) -> Text | None:
    return {(): joined(host, ":", port), ("host",): host, ("port",): port}.get(rest)
