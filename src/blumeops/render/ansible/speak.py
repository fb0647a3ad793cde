"""What the abstract parts of a service's texts are on a host: paths are variables of the role, addresses are known.

A role has its paths as variables, since the same files are read on Linux and on macOS; what belongs to another
service is said as it is seen from the host that reads it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from blumeops.base.errors import Bug
from blumeops.checks.check import CheckedLab
from blumeops.facts import parts
from blumeops.facts.backup import held
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import Text
from blumeops.render.ansible.words import Expression, Said, quoted

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - said where callers come from other machines
SECRETS = "op_secrets"
"""The play's variable that holds the secrets, by reference."""

USER_FOLDER = "ansible_facts['user_dir']"

_MOST_OF_AN_ACCOUNT = 32


def variable(service: str, name: str) -> str:
    """A variable of the service's role."""
    slug = service.replace("-", "_")
    # A role's variables begin with its name, and those that begin with `ansible_` are Ansible's own.
    return f"{'service_' if slug == 'ansible' else ''}{slug}_{name}"


def account(service: str) -> str:
    """The system user of a service on Linux: its name, or as much of it as useradd(8) takes."""
    if len(service) <= _MOST_OF_AN_ACCOUNT:
        return service
    return f"{service[:24]}-{hashlib.sha256(service.encode()).hexdigest()[:7]}"


def config_name(file: str) -> str:
    """The name of a configuration file beside `env`, `env.podman` and `secrets`, which are ours."""
    return f"{file}.conf" if file in ("env", "env.podman", "secrets") else file


def mac_log(service: str) -> str:
    """Where launchd writes a service's lines, below the folder of the user."""
    return f"/Library/Logs/{service}.log"


def has_secret(texts: Iterable[Text]) -> bool:
    """Whether a secret's value is in one of the texts."""
    return any(isinstance(part, parts.SecretValue) for text in texts for part in text)


def comment(file: str, what: str) -> str:
    """The header of a derived file, without what could end a comment."""
    safe = re.sub(r"[^\w./ -]|--", "_", file)
    return f"Derived by blumeops from {safe}, {what}; do not edit."


class Speaker:
    """Says the texts of `service` in its own role, and notes which secrets they use."""

    def __init__(self, checked: CheckedLab, service: ServiceFacts, secrets: set[str]) -> None:
        self.lab, self.facts, self.service, self.secrets = checked.lab, checked.facts, service, secrets
        self.checked = checked
        self.host = service.service.host
        self.system = self.lab.settings.hosts[self.host].os if self.host else "linux"

    def __call__(self, text: Text) -> Said:
        said: list[str | Expression] = []
        for piece in (piece for part in text for piece in self.part(part)):
            if isinstance(piece, str) and said and isinstance(last := said[-1], str):
                said[-1] = last + piece
            else:
                said.append(piece)
        return tuple(said)

    def part(self, part: parts.Part) -> Said:
        """What one part is here."""
        match part:
            case str():
                return (part,)
            case parts.SecretValue(reference):
                self.secrets.add(reference)
                return (Expression(f"{SECRETS}[{quoted(reference)}]", tame=False),)
            case parts.SecretFile(name):
                return self.own("etc"), f"/secrets/{name}"
            case parts.FilePath(name):
                return self.own("etc"), f"/{config_name(name)}"
            case parts.Folder("state", name):
                return (self.own("state", name),)
            case parts.Folder("mount", name):
                return (self.own("mounts", name),)
            case parts.Folder("run"):
                return (self.own("run"),)
            case parts.Listen(port, "host"):
                return (self.listens(port),)
            case parts.Listen(port, "port"):
                return (str(self.service.ports[port].port),)
            case parts.Address(service, _, "host"):
                return (self.host_of(service),)
            case parts.Address(service, port, "port"):
                return (str(self.facts.services[service].ports[port].port),)
            case parts.Url(service):
                return (self.facts.services[service].people_url,)
            case parts.LogFile(service):
                return Expression(USER_FOLDER), mac_log(service)
            case parts.ShareFolder():  # within a string of YAML in single quotes
                share = variable(self.service.name, "share")
                return (Expression(f"""{share} | replace("'", "''")""", tame=False),)
            case parts.StateLine(before, folder, after):
                return (before, *self.part(folder), after)
            case parts.StateFolder(service, name):
                below = f"/var/{service}/{name}"
                return (self.own("prefix"), below) if self.system == "macos" else (f"/var/lib/{service}/{name}",)
        raise Bug("BLU991", "render", f"does not know how to say {part!r} on a host")

    def listens(self, port: str) -> str:
        """The address of the host on which callers find it."""
        if self.service.ports[port].entry:
            return EVERYWHERE
        inside = self.checked.access.ids.is_inside(self.service.name, port)
        return EVERYWHERE if self.called_from_afar() and not inside else LOOPBACK

    def own(self, name: str, *keys: str) -> Expression:
        """A path that is a variable of the role."""
        path = variable(self.service.name, name) + "".join(f"[{quoted(key)}]" for key in keys)
        return Expression(path, tame=name != "mounts")

    def host_of(self, name: str) -> str:
        """Where a service is reached from `host`."""
        other = self.facts.services[name]
        if other.service.host is None:
            tailnet = self.lab.settings.network.tailnet
            return f"{other.label}.{tailnet}" if tailnet else other.label
        return LOOPBACK if other.service.host == self.host else self.address_of(other.service.host)

    def address_of(self, host: str) -> str:
        """A host's address, or its name."""
        return self.lab.settings.hosts[host].address or host

    def called_from_afar(self) -> bool:
        """Whether a service that uses this one, the proxy among them, is on another machine."""
        name, host = self.service.name, self.service.service.host
        users = {edge.user for edge in self.facts.edges if edge.used == name}
        for maker, kept in held(self.facts.services, self.facts.kept).items():
            users |= {maker for each in kept if each.database and each.database.provider == name}
        if any(route.service == name for route in self.facts.routes):
            users |= {self.lab.settings.network.proxy} & set(self.lab.services)
        return any(user not in self.lab.services or self.lab.services[user].host != host for user in users)
