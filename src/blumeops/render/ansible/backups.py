"""What a maker of backups is beside any other role: its configuration from the whole lab, its key, its clients.

In: the checked lab and the service. Out: what the role asks for. The share is reached by SSH with a key that is made on
the host and never leaves it; where the share is not offered by SSH, it is a mounted folder. Databases are streamed by
their provider's own clients, with passwords read from private files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import cached_property

from blumeops.checks.check import CheckedLab
from blumeops.facts.backup import Kept, held, left_out, makes_backups
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import Folder, Text, joined
from blumeops.lab.sources import AppSource
from blumeops.render import backup as borgmatic

KEY = "ssh_key"
"""Its private key, in the state folder `data`."""
_OPTIONS = "-o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
"""Never asks, and takes the host's key the first time only."""


class Backups:
    """Of one service. `kept`: what it holds; empty where it makes no backups."""

    def __init__(self, checked: CheckedLab, service: ServiceFacts) -> None:
        self.lab, self.facts, self.service = checked.lab, checked.facts, service
        self.makes = makes_backups(service)
        self.kept: tuple[Kept, ...] = ()
        if self.makes:
            self.kept = held(checked.facts.services, checked.facts.kept)[service.name]

    @property
    def passwords(self) -> dict[str, str]:
        """By the name of the private file the reference of a database's password."""
        return {borgmatic.password_of(each.service): each.database.password for each in self.kept if each.database}

    @cached_property
    def share(self) -> str:
        """Where the share is from the host: `ssh://HOST/PATH`, a folder, or nothing where no share is named."""
        backup, hosts = self.lab.settings.backup, self.lab.settings.hosts
        if not self.makes or backup is None:
            return ""
        host, _, name = backup.to.partition("/")
        share = hosts[host].shares[name]
        if host == self.service.service.host:
            return share.path
        if "ssh" in share.by:
            address = hosts[host].address or host
            return f"ssh://{f'[{address}]' if ':' in address else address}{share.path}"
        return f"{'/Volumes' if hosts[self.service.host].os == 'macos' else '/mnt'}/{name}"

    @property
    def by_ssh(self) -> bool:
        """Whether the repository is reached by SSH."""
        return self.share.startswith("ssh://")

    @property
    def device(self) -> str:
        """The host of the share."""
        backup = self.lab.settings.backup
        return backup.to.partition("/")[0] if backup else ""

    @property
    def restricted(self) -> str:
        """What the host of the share lets the key do, as authorized_keys(5) says it."""
        backup = self.lab.settings.backup
        if backup is None:
            return ""
        path = self.lab.settings.hosts[self.device].shares[backup.to.partition("/")[2]].path
        command = f"borg serve --restrict-to-path {shlex.quote(f'{path}/{self.lab.settings.lab}')}"
        return 'command="' + command.replace('"', '\\"') + '",restrict'

    @property
    def clients(self) -> Iterator[tuple[ServiceFacts, AppSource]]:
        """The providers of its databases, each with the sources that bring the programs which dump them."""
        for name in dict.fromkeys(each.database.provider for each in self.kept if each.database):
            provider = self.facts.services[name]
            yield from ((provider, source) for source in provider.app.sources if source.kind in ("deb", "brew"))

    def configuration(self) -> Text:
        """borgmatic's file."""
        lab = self.lab.settings
        out = [f"{name} ({place})" for name, place in left_out(self.facts.services, self.facts.kept)]
        out_of_reach = f"# Folders that are in no backup: {', '.join(out)}.\n" if out else ""
        known = joined(borgmatic.DATA, "/known_hosts")
        ssh: Text = (
            "ssh_command: 'ssh -o IdentityFile=",
            *borgmatic.DATA,
            f"/{KEY} {_OPTIONS} -o UserKnownHostsFile=",
            *known,
            "'\n",
        )
        told = self.service.app.metrics.folder if self.service.app.metrics else None
        return joined(
            out_of_reach,
            borgmatic.configuration(lab.lab, lab.backup, self.kept),
            *([ssh] if self.by_ssh else []),
            *([borgmatic.success((Folder("state", told),))] if told else []),
        )
