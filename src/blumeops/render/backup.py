"""borgmatic's configuration (https://torsion.org/borgmatic/reference/configuration/): what is kept, where, how long.

The passphrase and the passwords of databases are read from private files: none is in the text or in an argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from blumeops.facts.backup import Kept
from blumeops.facts.parts import Address, Folder, SecretFile, ShareFolder, StateFolder, StateLine, Text, joined
from blumeops.lab.settings import Backup

DATA: Text = (Folder("state", "data"),)
KEEP = {"daily": 7}
"""Where the lab does not say how long."""


def configuration(lab: str, backup: Backup | None, kept: Iterable[Kept]) -> Text:
    """Every folder, and a dump of every database. The repository is the lab's folder in the share that it names; in a
    lab that says nothing of backups it lies beside what Borg remembers."""
    folders: list[Text | str] = []
    databases: list[Text | str] = []
    for each in kept:
        for name in each.folders:
            folders.append((StateLine("  '", StateFolder(each.service, name), "',\n"),))
        if use := each.database:
            databases += [
                f"  - name: {json.dumps(use.name)}\n    hostname: ", (Address(use.provider, use.port, "host"),),
                "\n    port: ", (Address(use.provider, use.port, "port"),),
                f"\n    username: {json.dumps(use.user)}\n    format: custom\n    password: '{{credential file \"",
                (SecretFile(password_of(each.service)),), "\"}'\n",
            ]  # fmt: skip
    keep: dict[str, int] = dict(backup.keep.items()) if backup and backup.keep else KEEP
    repository: Text = joined((ShareFolder(backup.to),), f"/{lab}") if backup else joined(DATA, "/repository")
    return joined(
        "source_directories_must_exist: false\n",  # what was there when it began may be gone by then
        *(["source_directories: [\n", *folders, "]\n"] if folders else []),
        *(["postgresql_databases:\n", *databases] if databases else []),
        "repositories:\n  - path: '", repository, "'\n    make_parent_directories: true\n",
        f"archive_name_format: '{lab}-{{now:%Y-%m-%dT%H:%M:%S.%f}}'\nmatch_archives: 'sh:{lab}-*'\n",
        "exclude_caches: true\nencryption_passcommand: \"cat '", (SecretFile("passphrase"),), "'\"\n",
        "borg_base_directory: '", DATA, "/base'\nuser_state_directory: '", DATA, "'\n",
        "user_runtime_directory: '", (Folder("run"),), "'\n",
        *(f"keep_{unit}: {count}\n" for unit, count in keep.items()),
        "checks:\n  - {name: repository, frequency: 1 week}\n  - {name: archives, frequency: 1 month}\n",
    )  # fmt: skip


def success(folder: Text) -> Text:
    """What tells a collector, by a file in `folder`, when a backup ended well last. A file is whole or not there:
    collectors read it at any time."""
    part, whole = joined(folder, "/backup.part"), joined(folder, "/backup.prom")
    hook = "commands:\n  - after: configuration\n    when: [create]\n    states: [finish]\n    run:\n      - "
    line = "blumeops_backup_last_success_timestamp_seconds %s"
    return joined(
        hook, f"umask 022 && date +'{line}' >\"", part, '" && mv "', part, '" "', whole, '"\n'
    )  # fmt: skip


def password_of(service: str) -> str:
    """The name of the private file with the password of a service's database."""
    return f"{service}-database"
