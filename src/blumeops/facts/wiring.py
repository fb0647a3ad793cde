"""An app's strings with every lookup replaced by what it means for one service.

A lookup that means nothing leaves a Problem at its place, so that all of them can be told at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from blumeops.base.findings import Place
from blumeops.facts.lookups import Lookups, Problem
from blumeops.facts.parts import FilePath, Folder, SecretFile, Text
from blumeops.lab.app import Health
from blumeops.lab.model import Lab


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


class _Wirer(Lookups):
    """What is said of a service beyond single lookups."""

    def arguments(self) -> tuple[Text, ...]:
        """The service's own stand where its image is named."""
        own = self.service.arguments
        if own:
            return tuple(self.service_text(text, "arguments", place) for place, text in enumerate(own))
        return self.texts(self.app.arguments, "arguments")

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

    def health_port(self, health: Health | None) -> None:
        """The port that a service's own health check asks is there; an app's own was checked when it was read."""
        port = health.port if health and health.http else health.tcp if health else None
        if port is not None and port not in self.app.ports:
            place = self.lab.service_place(self.name, "health")
            message = f"asks the port `{port}`, which {self.app.app} does not have"
            hint = f"name one of {', '.join(self.app.ports)}" if self.app.ports else "name it in `ports:`"
            self.problems.append(Problem(place, f"{self.name}.health", message, hint))
