"""Lookups in an app's strings: what each of them means for one service.

One that means nothing leaves a Problem at its place, so that all of them can be told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from blumeops.base.findings import Place
from blumeops.facts.options import option_text
from blumeops.facts.parts import Address, FilePath, Folder, Listen, SecretFile, SecretValue, Text, Url, joined
from blumeops.lab.app import App
from blumeops.lab.model import Lab, Service, app_key
from blumeops.lab.template import Lookup, TemplateError, parse

VOCABULARY = {
    "options.NAME": "the option as written; .seconds, .minutes, .hours of a duration, .bytes of a size",
    "secrets.NAME": "the secret's value; .file is the path of a private file that holds it",
    "listen.PORT": "address and number to listen on; .host, .port; .routed is the number that callers know",
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


class Lookups:
    """Of the service `name`, which runs as `app`; what means nothing is among `problems`."""

    def __init__(self, lab: Lab, name: str, service: Service, app: App) -> None:
        self.lab, self.name, self.service, self.app = lab, name, service, app
        self.problems: list[Problem] = []
        self.database = database_use(lab, name)
        file = next(
            (f for f in (f"apps/{app.app}/app.yaml", f"catalogue/{app.app}/app.yaml") if f in lab.documents), ""
        )
        self.document = None if app_key(name, service)[0] == "=" else lab.documents.get(file)

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

    def text(self, text: str, place: Place) -> Text:
        return joined(*(self.meaning(piece, place) if isinstance(piece, Lookup) else piece for piece in parse(text)))

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

    def secret(self, rest: tuple[str, ...]) -> Text | None:
        if not rest or rest[0] not in self.app.secrets or rest[1:] not in ((), ("file",)):
            return None
        if rest[1:] == ("file",):
            return (SecretFile(rest[0]),)
        return (SecretValue(secret_reference(self.lab, self.name, rest[0])),)

    def listen(self, rest: tuple[str, ...]) -> Text | None:
        if not rest or rest[0] not in self.app.ports:
            return None
        port = {**self.app.ports, **self.service.ports}[rest[0]]
        if rest[1:] == ("routed",):
            return (str(port.routed),) if port.routed else (Listen(rest[0], "port"),)
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
