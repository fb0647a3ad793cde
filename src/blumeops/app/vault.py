"""What the lab's store holds, beside what the description names. No value leaves, and only what a person gives enters.

In: the site, and the folder of the lab. Out: the inventory with its state in the store, findings, and requests to the
controller. A lab that was brought up keeps its secrets on the forge's main; one that was not, in its folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import BlumeError, UserError
from blumeops.base.files import write_whole
from blumeops.base.findings import Finding, Place, Severity
from blumeops.base.site import SiteFolder
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.forge.repository import Repository
from blumeops.loop.revision import read_revision
from blumeops.secrets import rules, sops
from blumeops.secrets.age import Key, find_key
from blumeops.secrets.ages import changed_at
from blumeops.secrets.inventory import Entry, ambiguous, inventory, unused
from blumeops.secrets.references import Reference
from blumeops.secrets.stores import Stores


@dataclass(frozen=True, slots=True)
class Vault:
    """The inventory at one revision. `since`: by reference, when it got its value; 0.0 where nobody knows."""

    source: str
    """Where this was read: words for people."""
    checked: CheckedLab
    entries: tuple[Entry, ...]
    data: bytes | None
    since: Mapping[Reference, float]
    stored: frozenset[Reference]


def read(
    site: SiteFolder, lab: str, folder: Path | None, age_key: Path | None, described: CheckedLab | None = None
) -> Vault:
    """The secrets of the forge's main or, before there is one, of the lab's folder. `described`: the description that
    they are for, where it is not the one beside them.

    Raises UserError `BLU504` for a store that is damaged, `BLU515` for a lab that does not pass the checks, Unavailable
    `BLU524` where another store than the SOPS file is named, and is away.
    """
    repository = Repository(site.repository / f"{lab}.git")
    if repository.path.is_dir() and (head := repository.head()):
        revision = read_revision(repository, site.work, head)
        checked, data, source = revision.checked, revision.secrets, f"main of the forge, {head[:8]}"
        since: Mapping[Reference, float] = changed_at(repository.versions(sops.NAME)) if data else {}
    elif folder:
        file = folder / sops.NAME
        checked, source, since = check_folder(folder).passed, str(folder), {}
        data = file.read_bytes() if file.is_file() else None
    else:
        raise UserError("BLU790", str(site.path), "holds no site", "name the lab with --lab DIR")
    checked = described or checked
    if checked is None:
        raise UserError("BLU515", source, "does not pass the checks, so that nobody knows who uses what", "mend it")
    entries = tuple(inventory(checked.lab, checked.facts))
    setting = checked.lab.settings.secrets
    if keeper := Stores(Key(age_key or site.age_key, ()), site.path).keeper(setting):
        stored = frozenset(keeper.read(entry.reference for entry in entries if needed_here(entry)))
        return Vault(f"{source}, and {setting.here}", checked, entries, None, {}, stored)
    return Vault(source, checked, entries, data, since, frozenset(sops.stored(data) if data else ()))


def findings(vault: Vault, site: SiteFolder, age_key: Path | None) -> list[Finding]:
    """What is wrong between the description and the store."""
    return [*_missing(vault), *_left_over(vault), *_not_opened(vault, site, age_key)]


def needed_here(entry: Entry) -> bool:
    """Whether anything at site `here` is given it."""
    return any(use.here for use in entry.uses)


def _missing(vault: Vault) -> Iterator[Finding]:
    elsewhere = vault.checked.lab.settings.secrets.store != "sops"
    for entry in vault.entries:
        if entry.reference in vault.stored or entry.recipe is not None or (elsewhere and not needed_here(entry)):
            continue
        message = f"is not in the store, and nothing makes it: {', '.join(use.subject for use in entry.uses)} needs it"
        hint = f"blumeops secret set {entry.reference}"
        severity: Severity = "error" if needed_here(entry) else "warning"
        yield Finding("BLU516", entry.uses[0].place, str(entry.reference), message, hint, severity)


def _left_over(vault: Vault) -> Iterator[Finding]:
    place = Place(sops.NAME, 1, 1)
    for reference in unused(vault.entries, vault.stored):
        yield Finding("BLU517", place, str(reference), "is used by nothing", f"sops {sops.NAME}", "warning")
    for one, other in ambiguous(vault.stored):
        message = f"has the label of {one} in the same item: who asks by label gets an error"
        yield Finding("BLU518", place, str(other), message, "give one of them another name", "warning")


def _not_opened(vault: Vault, site: SiteFolder, age_key: Path | None) -> Iterator[Finding]:
    if vault.data is None:
        return
    try:
        sops.decrypt(vault.data, find_key(age_key, os.environ, site.age_key, create=False).path)
    except BlumeError as error:
        yield Finding(error.code, Place(sops.NAME, 1, 1), error.subject, error.message, error.hint)


def put_in_folder(folder: Path, vault: Vault, key: Key, values: Mapping[Reference, str]) -> None:
    """Write values into the SOPS file of a lab that is not up. Raises as `sops.updated` does, EngineError `BLU903`."""
    data = sops.updated(vault.data, values, key)
    if data != vault.data:
        write_whole(folder / sops.NAME, data)
    if not (folder / rules.NAME).exists():
        write_whole(folder / rules.NAME, rules.text(sops.recipients(data)))
