"""A Compose file becomes services of the lab, one for each of its own: https://github.com/compose-spec/compose-spec.

Enters: the service that names the file, and the file's document. Leaves: `Part`s (a service and the app that it
amounts to), and findings for all that is not understood. The part that is routed has the service's own name, the
others `NAME-PART`. What another program would do silently (mount a folder of the host, build, run privileged) is
refused; what has no meaning here (labels, logging, networks: all parts are in one) is passed over.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from blumeops.base.findings import Finding, Place
from blumeops.lab.app import App, AppSource, Health, Port, Resources, SecretSpec, State, Stop
from blumeops.lab.fields import DevicePath, EnvName, Image, Key, Name
from blumeops.lab.model import Member, Service
from blumeops.lab.quantities import Duration, Size, seconds
from blumeops.lab.yaml import Document, shown

PASSED_OVER = {
    "annotations", "attach", "container_name", "expose", "hostname", "init", "labels", "logging", "networks",
    "platform", "pull_policy", "read_only", "restart", "shm_size", "stdin_open", "tmpfs", "tty",
}  # fmt: skip
"""Fields that mean nothing here, or what is done anyway."""
UNDERSTOOD = {
    "command", "depends_on", "deploy", "devices", "entrypoint", "environment", "healthcheck", "image", "mem_limit",
    "ports", "stop_grace_period", "stop_signal", "user", "volumes",
}  # fmt: skip
INSTEAD = {
    "build": "name an `image:` with its tag; a lab builds none",
    "env_file": "write `environment:`",
    "network_mode": "leave it out: all parts are in one network, and `ports:` are reached through the proxy",
    "privileged": "name the `devices:` that it needs",
    "secrets": "name it in `secrets:` of the service, and write ${NAME} where its value belongs",
    "configs": "give it by `environment:`",
}  # fmt: skip
OF_THE_MACHINE = ("/etc/localtime", "/etc/timezone")
"""What many files mount only to tell the time: a container has TZ for that."""
MOST = 50
LEAST_START = 60
"""Seconds that a part has at least to become healthy."""
_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<braced>[A-Za-z_]\w*)(?::?-(?P<default>[^{}]*))?\}|(?P<plain>[A-Za-z_]\w*)|)"
)
_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True)
class Part:
    """One service of the file."""

    name: str
    service: Service
    app: App
    member: Member


@dataclass
class _Draft:
    """A part while it is read."""

    alias: str
    entry: Mapping[str, Any]
    app: dict[str, Any]
    ports: dict[int, Port]
    mounts: dict[str, str] = field(default_factory=dict)
    """Shares of the lab's service, and where they are mounted."""
    secrets: set[str] = field(default_factory=set)


def read(name: str, service: Service, document: Document, place: Place, vault: str) -> tuple[list[Part], list[Finding]]:
    """The parts of the Compose file of the service `name`, the routed one first. `place`: where the service names
    the file; `vault`: where secrets lie that it does not say itself."""
    reader = _Reader(name, service, document, place, vault)
    return reader.parts(), reader.findings


class _Reader:
    def __init__(self, name: str, service: Service, document: Document, place: Place, vault: str) -> None:
        self.name, self.service, self.document, self.place, self.vault = name, service, document, place, vault
        self.findings: list[Finding] = []

    def parts(self) -> list[Part]:
        data = self.document.data
        services = data.get("services") if isinstance(data, dict) else None
        if not isinstance(services, dict) or not services or len(services) > MOST:
            if data is not None or not self.document.findings:
                self.find("BLU140", "is no Compose file: it has no `services:`", of=())
            return []
        for section in data:
            if section not in ("services", "volumes", "networks", "version", "name") and not section.startswith("x-"):
                self.find("BLU141", f"`{shown(section)}:` is not understood", INSTEAD.get(section, ""), of=(section,))
        self.volumes(data.get("volumes"))
        drafts = [self.draft(alias, entry) for alias, entry in services.items()]
        whole = [draft for draft in drafts if draft is not None]
        if len(whole) != len(drafts):
            return []
        self.shared(whole)
        main = self.routed(whole)
        names = {
            draft.alias: self.name if draft is main else f"{self.name}-{draft.alias.lower().replace('_', '-')}"
            for draft in whole
        }
        made = [self.part(draft, names, draft is main) for draft in sorted(whole, key=lambda draft: draft is not main)]
        return [part for part in made if part is not None]

    def draft(self, alias: str, entry: Any) -> _Draft | None:
        """What one service of the file says."""
        before = len(self.findings)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", alias):
            self.find("BLU140", "cannot be a service's name", "use letters, digits, - and _", of=("services", alias))
            return None
        if not isinstance(entry, dict):
            self.find("BLU140", "must be a mapping", of=("services", alias))
            return None
        for key in entry:
            if key not in UNDERSTOOD | PASSED_OVER and not key.startswith("x-"):
                hint = INSTEAD.get(key, "leave it out, or run it as an `app:` or `image:`")
                self.find("BLU141", f"`{shown(key)}:` is not understood", hint, of=("services", alias, key))
        draft = _Draft(alias, entry, {}, {})
        self.image(draft)
        self.texts(draft)
        self.ports(draft)
        self.mounted(draft)
        self.rest(draft)
        return draft if len(self.findings) == before else None

    def image(self, draft: _Draft) -> None:
        image = self.filled(draft, draft.entry.get("image"), "image")
        if not self.fits(Image, image):
            if "build" not in draft.entry:
                self.wrong(draft, "must be an image like registry.example.org/name:1.2.3", "image")
            return
        source, version = named(str(image))
        user = str(draft.entry.get("user", "")).partition(":")[0]
        if user and not user.isdigit():
            self.wrong(draft, "must be a number here", "user")
            return
        uid = {"uid": int(user)} if user else {}
        draft.app |= {"version": version, "sources": (AppSource.model_validate({"container": source, **uid}),)}

    def texts(self, draft: _Draft) -> None:
        """Command and environment, with their variables filled in."""
        entry = draft.entry
        arguments, entrypoint = (self.words(draft, entry.get(key), key) for key in ("command", "entrypoint"))
        if entrypoint:
            draft.app["command"] = (*entrypoint, *arguments)
        else:
            draft.app["arguments"] = arguments
        given = entry.get("environment") or {}
        if isinstance(given, list):
            given = dict(str(line).partition("=")[::2] for line in given)
        if not isinstance(given, dict):
            self.wrong(draft, "must be a mapping or a list of NAME=VALUE", "environment")
            return
        for key in given:
            if not self.fits(EnvName, key):
                self.wrong(draft, f"{shown(key)} cannot be a variable", "environment", key)
        draft.app["env"] = {key: self.filled(draft, value, "environment", key) for key, value in given.items()}

    def words(self, draft: _Draft, value: Any, key: str) -> tuple[str, ...]:
        """A command as words: a text is split as a shell would, which Compose does too."""
        if value is None:
            return ()
        try:
            words = shlex.split(value) if isinstance(value, str) else list(value)
        except (TypeError, ValueError):
            self.wrong(draft, "must be a text or a list of words", key)
            return ()
        return tuple(self.filled(draft, word, key, place) for place, word in enumerate(words))

    def ports(self, draft: _Draft) -> None:
        """Only the number within counts: outside, the proxy gives a name."""
        for place, given in enumerate(self.list(draft, "ports")):
            if isinstance(given, dict):
                target, protocol = str(given.get("target", "")), str(given.get("protocol", "tcp"))
            else:
                text, _, protocol = str(given).partition("/")
                target = self.filled(draft, text, "ports", place).rpartition(":")[2]
            number = int(target) if target.isdigit() and len(target) <= 5 else 0
            if not 0 < number < 65536 or protocol not in ("", "tcp", "udp"):
                self.wrong(draft, "must be a port like 8080:80 or 53/udp; ranges are not understood", "ports", place)
                continue
            draft.ports[number] = Port.model_validate({"port": number, "protocol": protocol or "tcp"})

    def mounted(self, draft: _Draft) -> None:
        """Named volumes are state; a share of the service's own `mounts:` is mounted under its name."""
        folders: dict[str, str] = {}
        for place, given in enumerate(self.list(draft, "volumes")):
            if isinstance(given, dict):
                source, target = str(given.get("source", "")), str(given.get("target", ""))
            else:
                words = self.filled(draft, given, "volumes", place).split(":")
                source, target = (words[0], words[1]) if len(words) > 1 else ("", words[0])
            if source in OF_THE_MACHINE:
                continue
            key = (source or target.strip("/").replace("/", "-")).lower()
            if source in self.service.mounts:
                draft.mounts[source] = target
            elif (
                not target.startswith("/") or (source and not self.fits(Key, key)) or source.startswith((".", "/", "~"))
            ):
                hint = "keep it in a named volume, or name a share of that name in the service's `mounts:`"
                self.find(
                    "BLU142", f"{shown(source) or 'it'} is a folder of the host, which no service is given", hint,
                    of=("services", draft.alias, "volumes", place),
                )  # fmt: skip
            else:
                folders[re.sub(r"[^a-z0-9_-]", "-", key)] = target
        draft.app["state"] = State(folders=folders)

    def rest(self, draft: _Draft) -> None:
        """Health, devices, limits and the end."""
        entry = draft.entry
        draft.app["devices"] = tuple(str(each).partition(":")[0] for each in self.list(draft, "devices"))
        for place, device in enumerate(draft.app["devices"]):
            if not self.fits(DevicePath, device):
                self.wrong(draft, "must be a device like /dev/dri", "devices", place)
        limits: Any = entry
        for key in ("deploy", "resources", "limits"):
            limits = limits.get(key) if isinstance(limits, dict) else None
        limits = limits if isinstance(limits, dict) else {}
        memory = entry.get("mem_limit", limits.get("memory"))
        if memory is not None:
            draft.app["resources"] = Resources(memory=self.memory(draft, memory))
        signal = str(entry.get("stop_signal", "TERM")).removeprefix("SIG")
        if signal not in ("TERM", "INT", "QUIT"):
            self.wrong(draft, "must be SIGTERM, SIGINT or SIGQUIT", "stop_signal")
            signal = "TERM"
        within = self.duration(draft, entry.get("stop_grace_period", "10s"), "stop_grace_period")
        draft.app["stop"] = Stop.model_validate({"signal": signal, "within": within})
        self.health(draft)

    def health(self, draft: _Draft) -> None:
        check = draft.entry.get("healthcheck")
        if not isinstance(check, dict) or check.get("disable") is True:
            return
        test = check.get("test")
        if isinstance(test, str):
            test = ["CMD-SHELL", test]
        if not isinstance(test, list) or not test or test[0] not in ("CMD", "CMD-SHELL", "NONE"):
            self.wrong(draft, "must be CMD, CMD-SHELL or NONE and a command", "healthcheck", "test")
            return
        if test[0] == "NONE":
            return
        words = tuple(self.filled(draft, word, "healthcheck", "test", place) for place, word in enumerate(test[1:], 1))
        command = (*_SHELL, " ".join(words)) if test[0] == "CMD-SHELL" else words
        given = check.get("start_period")
        start = self.duration(draft, "1s" if given in (None, "0s", 0) else given, "healthcheck", "start_period")
        draft.app["health"] = Health.model_validate(
            {"command": command, "within": start if seconds(start) > LEAST_START else f"{LEAST_START}s"}
        )

    def volumes(self, volumes: Any) -> None:
        """Volumes are folders of the state: another driver would keep them elsewhere."""
        for name, volume in (volumes or {}).items() if isinstance(volumes, dict) else ():
            if isinstance(volume, dict) and volume.keys() - {"name", "labels", "driver"}:
                self.find("BLU142", "is kept by a driver or elsewhere", "leave it plain", of=("volumes", name))

    def shared(self, drafts: list[_Draft]) -> None:
        """What two parts keep together would be snapshotted and restored under one of them alone."""
        owners: dict[str, str] = {}
        for draft in drafts:
            for folder in draft.app["state"].folders:
                if folder in owners:
                    message = f"the volume {folder} is also {owners[folder]}'s"
                    self.find("BLU142", message, "give each its own", of=("services", draft.alias, "volumes"))
                owners.setdefault(folder, draft.alias)

    def routed(self, drafts: list[_Draft]) -> _Draft:
        """The part that people open: which has the port `http` of the service, or the only one with a port."""
        wanted = self.service.ports.get("http")
        open_ = [draft for draft in drafts if any(port.protocol == "tcp" for port in draft.ports.values())]
        if wanted is not None:
            having = [draft for draft in open_ if wanted.port in draft.ports]
            if having:
                having[0].ports[wanted.port] = wanted
                return having[0]
            message = f"no part of {self.document.file} has the port {wanted.port} among its `ports:`"
            self.findings.append(Finding("BLU144", self.place, self.name, message, "name one that is there"))
        elif len(open_) > 1 or any(len(draft.ports) > 1 for draft in open_):
            numbers = sorted({number for draft in open_ for number in draft.ports})
            message = f"several ports could be its page: {', '.join(map(str, numbers))}"
            self.findings.append(Finding("BLU144", self.place, self.name, message, "write `ports: {http: NUMBER}`"))
        return open_[0] if open_ else drafts[0]

    def part(self, draft: _Draft, names: Mapping[str, str], main: bool) -> Part | None:
        needs = []
        for alias in self.needed(draft):
            place = self.document.place("services", draft.alias, "depends_on")
            if alias in names:
                needs.append((names[alias], place))
            else:
                self.findings.append(
                    Finding("BLU140", place, draft.alias, f"depends on {shown(alias)}, which is not there")
                )
        name = names[draft.alias]
        if not self.fits(Name, name):
            self.find("BLU140", f"would be called {name}, which is no name of a service", of=("services", draft.alias))
        ports = {self.port_name(number, main): port for number, port in draft.ports.items()}
        health = draft.app.get("health")
        if health is None and main and "http" in ports and self.service.health is None:
            health = Health.model_validate({"tcp": "http", "within": f"{LEAST_START}s"})
        secrets = {secret: self.reference(secret) for secret in sorted(draft.secrets)}
        try:
            made = {"app": name, "ports": ports, "secrets": dict.fromkeys(secrets, SecretSpec()), "health": health}
            app = App.model_validate(draft.app | made)
        except ValidationError as error:  # a `{{` that is no lookup, for one
            self.find("BLU140", f"cannot be run: {error.errors()[0]['msg'][:200]}", of=("services", draft.alias))
            return None
        mounts = {mount: self.service.mounts[mount] for mount in draft.mounts}
        member = Member(
            self.name, self.document.file, draft.alias, tuple(needs), draft.mounts, self.aliases(draft),
        )  # fmt: skip
        if main:
            own = {"secrets": secrets, "mounts": mounts, "ports": {}, "env": {}}
            return Part(name, self.service.model_copy(update=own), app, member)
        service = Service(
            host=self.service.host, cluster=self.service.cluster, compose=self.service.compose, secrets=secrets,
            mounts=mounts,
        )  # fmt: skip
        return Part(name, service, app, member)

    def port_name(self, number: int, main: bool) -> str:
        wanted = self.service.ports.items() if main else ()
        named = next((name for name, port in wanted if port.port == number), None)
        single = main and "http" not in self.service.ports
        return named or ("http" if single else f"port-{number}")

    def aliases(self, draft: _Draft) -> tuple[str, ...]:
        """The names by which the other parts find it."""
        given = (draft.alias, draft.entry.get("container_name"), draft.entry.get("hostname"))
        return tuple(
            dict.fromkeys(str(each) for each in given if each and re.fullmatch(r"[A-Za-z0-9._-]{1,63}", str(each)))
        )

    def needed(self, draft: _Draft) -> list[str]:
        given = draft.entry.get("depends_on") or {}
        if isinstance(given, dict):
            for alias, how in given.items():
                condition = how.get("condition", "service_started") if isinstance(how, dict) else "service_started"
                if condition not in ("service_started", "service_healthy"):
                    self.wrong(draft, f"{shown(str(condition))} is not understood", "depends_on", alias)
        elif not isinstance(given, list):
            self.wrong(draft, "must be a list or a mapping", "depends_on")
            return []
        return [str(alias) for alias in given]

    # values

    def filled(self, draft: _Draft, value: Any, *path: str | int) -> str:
        """A text with its variables: the service's secrets, as lookups, and its `env:`; a finding for others."""
        if isinstance(value, dict | list):
            self.wrong(draft, "must be a text", *path)
            return ""
        text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)

        def fill(match: re.Match[str]) -> str:
            name = match["braced"] or match["plain"]
            if match["dollar"] or not name:
                return "$"
            if (secret := name.lower()) in self.service.secrets:
                draft.secrets.add(secret)
                return f"{{{{ secrets.{secret} }}}}"
            if name in self.service.env:
                return self.service.env[name]
            if match["default"] is None:
                hint = f"name it in `env:` of {self.name}, or in `secrets:` as {secret}"
                self.find("BLU143", f"nobody says what ${{{name}}} is", hint, of=("services", draft.alias, *path))
            return match["default"] or ""

        return _VARIABLE.sub(fill, text)

    def reference(self, secret: str) -> str:
        return self.service.secrets.get(secret) or f"op://{self.vault}/{self.name}/{secret.replace('_', '-')}"

    def memory(self, draft: _Draft, given: Any) -> int | None:
        """Compose's units are binary: 512m is 512Mi."""
        found = re.fullmatch(r"(\d+)\s*([kmg]?)i?b?", str(given).lower())
        if not found:
            self.wrong(draft, "must be a size like 512m", "mem_limit")
            return None
        unit = found[2].replace("k", "Ki").replace("m", "Mi").replace("g", "Gi")
        return TypeAdapter(Size).validate_python(f"{found[1]}{unit}" if unit else int(found[1]))

    def duration(self, draft: _Draft, given: Any, *path: str) -> str:
        if self.fits(Duration, given):
            return str(given)
        self.wrong(draft, "must be a time like 30s", *path)
        return "10s"

    def list(self, draft: _Draft, key: str) -> list[Any]:
        given = draft.entry.get(key) or []
        if isinstance(given, list):
            return given
        self.wrong(draft, "must be a list", key)
        return []

    def fits(self, kind: Any, value: Any) -> bool:
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError:
            return False
        return True

    def wrong(self, draft: _Draft, message: str, *path: str | int) -> None:
        self.find("BLU140", message, of=("services", draft.alias, *path))

    def find(self, code: str, message: str, hint: str = "", *, of: tuple[str | int, ...]) -> None:
        place = self.document.place(*of, of_key=len(of) < 3)
        subject = shown(".".join(map(str, of[1:] if len(of) > 1 else of)) or self.document.file)
        self.findings.append(Finding(code, place, subject, message, hint))


def named(image: str) -> tuple[str, str]:
    """An image's name and its tag, `latest` where it has none. Of a digest, `@sha256` is part of the name."""
    name, _, tag = image.rpartition(":")
    return (image, "latest") if not name or "/" in tag else (name, tag)
