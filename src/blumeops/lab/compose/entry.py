"""One service of a Compose file as the fields of an app: image, command, environment, ports, volumes, health, limits.

What is not understood, or would do what nobody here may, is a finding.
"""

from __future__ import annotations

import re
from typing import Any

from blumeops.lab.app import Health, Port, Resources, State, Stop
from blumeops.lab.compose.values import Draft, Values
from blumeops.lab.fields import DevicePath, EnvName, Image, Key
from blumeops.lab.marks import shown
from blumeops.lab.quantities import seconds
from blumeops.lab.sources import AppSource

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
LEAST_START = 60
"""Seconds that a part has at least to become healthy."""
_SHELL = ("/bin/sh", "-c")


class Entries(Values):
    """Reads entries of `services:`, one after another."""

    def draft(self, alias: str, entry: Any) -> Draft | None:
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
        draft = Draft(alias, entry, {}, {})
        self.image(draft)
        self.texts(draft)
        self.ports(draft)
        self.mounted(draft)
        self.rest(draft)
        return draft if len(self.findings) == before else None

    def image(self, draft: Draft) -> None:
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

    def texts(self, draft: Draft) -> None:
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

    def ports(self, draft: Draft) -> None:
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

    def mounted(self, draft: Draft) -> None:
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

    def rest(self, draft: Draft) -> None:
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

    def health(self, draft: Draft) -> None:
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

    def needed(self, draft: Draft) -> list[str]:
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

    def aliases(self, draft: Draft) -> tuple[str, ...]:
        """The names by which the other parts find it."""
        given = (draft.alias, draft.entry.get("container_name"), draft.entry.get("hostname"))
        return tuple(
            dict.fromkeys(str(each) for each in given if each and re.fullmatch(r"[A-Za-z0-9._-]{1,63}", str(each)))
        )


def named(image: str) -> tuple[str, str]:
    """An image's name and its tag, `latest` where it has none. Of a digest, `@sha256` is part of the name."""
    name, _, tag = image.rpartition(":")
    return (image, "latest") if not name or "/" in tag else (name, tag)
