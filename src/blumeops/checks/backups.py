"""BLU40x: what is kept survives the loss of a device."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
from blumeops.lab.model import Lab
from blumeops.lab.validate import meant


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Backups go to a share that exists, on another device than what they hold."""
    backup = lab.settings.backup
    if backup is None:
        return
    place = lab.place("backup", "to")
    host, _, share = backup.to.partition("/")
    if host not in lab.settings.hosts or share not in lab.settings.hosts[host].shares:
        if host not in lab.broken and "hosts:" not in lab.broken:
            known = [f"{name}/{share}" for name, entry in lab.settings.hosts.items() for share in entry.shares]
            yield Finding("BLU401", place, "backup", f"there is no share `{backup.to}`", meant(backup.to, known))
        return
    for name, facts_of in facts.services.items():
        state = facts_of.service.state or facts_of.app.state  # a database is kept where its provider runs
        if facts_of.host == host and state.folders:
            message = f"what {name} keeps is on {host} only, and its backup would be there too"
            yield Finding("BLU402", place, "backup", message, "let `to:` name a share of another host")
