"""What a service is as an Ansible role: its variables, its files' texts, and words that its tasks share.

A role has the name of its service, and so do its variables. Those in `defaults` are for people to change; the
paths, accounts and names in `vars` differ by system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from blumeops.checks.check import CheckedLab
from blumeops.facts import parts
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import Text
from blumeops.facts.plugins import TCP, plugin
from blumeops.lab.sources import AppSource
from blumeops.render.ansible.backups import Backups
from blumeops.render.ansible.contained import contained, image, image_source, speaker
from blumeops.render.ansible.release import Release, release, variables
from blumeops.render.ansible.routes import TOKEN, routes
from blumeops.render.ansible.speak import USER_FOLDER, Speaker, account, mac_log, variable
from blumeops.render.ansible.words import in_file, in_variable
from blumeops.render.telemetry import derived
from blumeops.render.telemetry.view import View

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PREFIX = "{{ '/opt/homebrew' if ansible_facts['architecture'] == 'arm64' else '/usr/local' }}"
"""Where Homebrew lives: on Apple's processors, and on Intel's."""
ENVIRONMENTS = "/opt"
"""Where programs from PyPI live on Linux, each in a virtual environment of its own."""


class Role:
    """The role of one service. `secrets`: the references that its files have read so far."""

    def __init__(self, checked: CheckedLab, service: ServiceFacts, at: tuple[int, int]) -> None:
        """`at`: hour and minute at which jobs run."""
        self.checked, self.lab, self.service, self.at = checked, checked.lab, service, at
        self.name, self.app, self.wiring = service.name, service.app, service.wiring
        self.secrets: set[str] = set()
        self.contained = contained(checked, service)
        self.say = speaker(checked, service, self.secrets)
        self.outside = Speaker(checked, service, self.secrets)
        """Says paths of the host, where `say` says those of a container."""
        self.reload = () if self.contained else self.wiring.reload
        """A container does not see a file that took another's place: it is restarted."""
        self.backups = Backups(checked, service)
        self.job = self.app.kind == "job"
        self.unit = f"{self.name}.{'timer' if self.job else 'service'}"
        self.health = None if self.job else service.service.health or self.app.health
        self.folders = tuple((service.service.state or self.app.state).folders)
        self.config = self._config()
        self.env: dict[str, Text] = dict(self.wiring.env)
        if "routes" in {file.derived for file in self.app.files.values()} and (dns := self.lab.settings.network.dns):
            self.env[TOKEN] = (parts.SecretValue(dns.token),)
        self.plugins = self._plugins()
        """Of a proxy that has to be built with them."""
        self.secret_files = self._secret_files()
        self.releases = self._releases()
        """By system, where no package brings the program there."""
        self.grants = self._grants()
        self.stdins = sorted({user.wiring.grant_stdin for user in self.grants} - {""})
        """What the grants' commands read: a template each."""

    def var(self, name: str) -> str:
        """One of the role's variables, to be read."""
        return f"{{{{ {self.name_of(name)} }}}}"

    def name_of(self, name: str) -> str:
        """The name of one of the role's variables."""
        return variable(self.name, name)

    def source(self, kind: str) -> AppSource | None:
        """The first source of a kind; none of a program that is built."""
        return None if self.plugins else next((source for source in self.app.sources if source.kind == kind), None)

    @property
    def wheel(self) -> AppSource | None:
        """The Python package, where nothing else brings the program to Linux."""
        return None if self.source("deb") or "linux" in self.releases else self.source("wheel")

    def argv(self, texts: Iterable[Text]) -> dict[str, Any]:
        """A command's arguments as they are: Ansible would expand `$HOME` and `~` in them."""
        return arguments(self.say, texts)

    @property
    def uid(self) -> int | None:
        """The user of its image, where the app says it."""
        source = self.source("container")
        return source.uid if source else None

    # Texts

    def _config(self) -> dict[str, Text]:
        texts = dict(self.wiring.files)
        for name, file in self.app.files.items():
            if file.derived == "routes":
                texts[name] = routes(self.checked, self.say)
            elif file.derived == "backup":
                texts[name] = self.backups.configuration()
            elif file.derived:
                texts |= derived(View(self.checked, self.service), name, file)
        own = [name for name in self.app.files if name in texts]
        return {name: texts[name] for name in (*own, *sorted(texts.keys() - set(own)))}

    def _plugins(self) -> tuple[str, ...]:
        derives = any(file.derived == "routes" for file in self.app.files.values())
        found = plugin(self.lab) if derives else None
        tcp = (TCP,) if found and self.checked.access.ids.tcp_routes else ()
        return (found, *tcp) if found else ()

    def _secret_files(self) -> dict[str, str]:
        """The secrets that the app looks up as files, and their references."""
        wiring = self.wiring
        texts = [*wiring.command, *wiring.arguments, *wiring.reload, *wiring.init_command, *wiring.health_command]
        texts += self.env.values()
        texts += self.config.values()
        wanted = {part.name for text in texts for part in text if isinstance(part, parts.SecretFile)}
        found = {use.name: use.reference for use in self.service.secrets if use.name in wanted}
        return found | self.backups.passwords

    def _releases(self) -> dict[str, Release]:
        packaged = {"linux": self.source("deb"), "darwin": self.source("brew")}
        found = {
            system: release(self.service, system, self._below(system))
            for system, package in packaged.items()
            if package is None
        }
        return {system: each for system, each in found.items() if each}

    def _below(self, system: str) -> str:
        """The folder of its downloads."""
        return f"/opt/{self.name}" if system == "linux" else f"{self.var('prefix')}/libexec/{self.name}"

    def _downloaded(self, system: str) -> tuple[str, dict[str, Any]]:
        """What stands first on PATH, and the variables that say it; empty where nothing is downloaded or built."""
        if self.plugins:
            digest = hashlib.sha256("\n".join(self.plugins).encode()).hexdigest()[:12]
            return f"{self.var('build')}:", {"build": f"{self._below(system)}/{self.service.version}-{digest}"}
        found = self.releases.get(system)
        if not found:
            return "", {}
        return f"{{{{ {self.name_of('download')}.folder }}}}:", variables(found, system, self.name_of)

    def _grants(self) -> list[ServiceFacts]:
        """Whose databases this role makes: its own on a host, and those of clusters' services, which have no role."""
        services = self.checked.facts.services
        database = self.service.database
        own = [self.service] if database and services[database.provider].service.host else []
        return own + [
            user
            for user in services.values()
            if user.database and user.database.provider == self.name and not user.service.host
        ]

    # Variables

    def defaults(self) -> dict[str, Any]:
        """What is installed and the environment; what the service says under `ansible:` comes last and wins."""
        found: dict[str, Any] = {}
        if self.contained and (source := image_source(self.service)):
            found["image"] = in_variable((image(self.service, source),))
        elif deb := self.source("deb"):
            version = self.service.service.version or deb.version or self.app.version
            found["package"] = in_variable((f"{deb.name}={version}*",))
        elif self.wheel:
            version = self.service.service.version or self.wheel.version or self.app.version
            found["package"] = in_variable((f"{self.wheel.name}=={version}",))
        if brew := self.source("brew"):
            found["formula"] = in_variable((brew.name,))
        if self.backups.share:
            found["share"] = in_variable((self.backups.share,))
        found["env"] = {name: in_variable(self.say(text)) for name, text in self.env.items()}
        return {self.name_of(name): value for name, value in found.items()} | self.service.service.ansible

    def on_linux(self) -> dict[str, Any]:
        """`owner` has the configuration files, in `mode`; `user` runs the program."""
        deb, own = self.source("deb"), account(self.name)
        first, downloaded = self._downloaded("linux")
        if self.wheel:
            first = f"{ENVIRONMENTS}/{self.name}/bin:"
        first += "".join(f"{in_file((each.bin,))}:" for _, each in self.backups.clients if each.deb and each.bin)
        if self.contained:
            whose = own if self.service.devices else "root"
            root = {"owner": "root", "user": whose, "group": whose, "mode": "0644", "become": True, "path": PATH}
            return self._paths({**root, "etc": f"/etc/{self.name}"}, f"/var/lib/{self.name}", "/mnt")
        paths = {
            **downloaded,
            "owner": "root", "user": own, "group": own, "mode": "0640", "become": True,
            "path": f"{in_file((deb.bin,))}:{PATH}" if deb and deb.bin else first + PATH,
            "etc": f"/etc/{self.name}", "run": f"/run/{self.name}",
        }  # fmt: skip
        return self._paths(paths, f"/var/lib/{self.name}", "/mnt")

    def on_macos(self) -> dict[str, Any]:
        """Everything is the login user's alone, below Homebrew's prefix: each person of a Mac is in the group staff."""
        prefix, brew = self.var("prefix"), self.source("brew")
        first, downloaded = self._downloaded("darwin")
        if brew:
            first = (in_file((brew.bin,)) if brew.bin else f"{prefix}/opt/{self.var('formula')}/bin") + ":"
        clients = ":".join(f"{prefix}/opt/{in_file((each.name,))}/bin" for _, each in self.backups.clients if each.brew)
        first += f"{self.var('clients')}:" if clients else ""
        user, home = "{{ ansible_facts['user_id'] }}", f"{{{{ {USER_FOLDER} }}}}"
        label = f"{self.lab.settings.lab}.{self.name}"
        paths = {
            "prefix": PREFIX, **downloaded, **({"clients": clients} if clients else {}),
            "owner": user, "user": user, "group": "staff", "mode": "0600", "become": False,
            "path": f"{first}{prefix}/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "etc": f"{prefix}/etc/{self.name}", "run": f"{prefix}/var/run/{self.name}",
            "domain": "gui/{{ ansible_facts['user_uid'] }}", "label": label,
            "plist": f"{home}/Library/LaunchAgents/{label}.plist", "log": f"{home}{mac_log(self.name)}",
        }  # fmt: skip
        return self._paths(paths, f"{prefix}/var/{self.name}", "/Volumes")

    def _paths(self, paths: dict[str, Any], state: str, mounts: str) -> dict[str, Any]:
        if self.folders:
            paths["state"] = {folder: f"{state}/{folder}" for folder in self.folders}
        if self.service.service.mounts:
            paths["mounts"] = {key: self._mounted(share, mounts) for key, share in self.service.service.mounts.items()}
        return {self.name_of(name): value for name, value in paths.items()}

    def _mounted(self, share: str, mounts: str) -> str:
        """A share of the host itself is its folder; another host's is mounted by whoever runs the machine."""
        host, _, name = share.partition("/")
        own = host == self.service.service.host
        return in_variable((self.lab.settings.hosts[host].shares[name].path if own else f"{mounts}/{name}",))


def arguments(say: Speaker, texts: Iterable[Text]) -> dict[str, Any]:
    """A command's arguments, said by `say`."""
    return {"argv": [in_variable(say(text)) for text in texts], "expand_argument_vars": False}
