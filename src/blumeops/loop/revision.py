"""One revision of the lab, checked and rendered for site `here`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.base.files import scratch
from blumeops.base.findings import Finding, Place
from blumeops.checks.check import CheckedLab, check
from blumeops.forge.repository import Repository
from blumeops.lab.load import load
from blumeops.lab.settings import SecretsSetting
from blumeops.loop import probe
from blumeops.render import local
from blumeops.render.local_unit import LocalUnit
from blumeops.secrets import sops
from blumeops.secrets.store import Store
from blumeops.secrets.stores import Stores


@dataclass(frozen=True)
class Revision:
    """What a revision describes. `units` and `checked` are there when nothing refuses it."""

    name: str
    findings: tuple[Finding, ...]
    checked: CheckedLab | None
    units: Mapping[str, LocalUnit]
    secrets: bytes | None
    """The content of its SOPS file."""


def read_revision(repository: Repository, work: Path, name: str, env: Mapping[str, str] | None = None) -> Revision:
    """Check and render revision `name`; `env` names the quarantine of a push that is not accepted yet."""
    with scratch(work, "revision-") as folder:
        try:
            repository.export(name, folder / "lab", env)
            findings, passed = _checked(folder / "lab")
        except BlumeError as error:
            place = error.place or Place("lab.yaml", 1, 1)
            finding = Finding(error.code, place, error.subject.replace(str(folder / "lab"), "lab"), error.message)
            return Revision(name, (finding,), None, {}, None)
        file = folder / "lab" / sops.NAME
        if file.is_symlink() or (file.exists() and not file.is_file()):
            message = "must be a file: the lab's secrets are written into it"
            wrong = Finding("BLU504", Place(sops.NAME, 1, 1), sops.NAME, message, "remove the link")
            return Revision(name, (*findings, wrong), None, {}, None)
        secrets = file.read_bytes() if file.is_file() else None
        units = local.units(local.render(passed)) if passed else {}
        return Revision(name, findings, passed, units, secrets)


def _checked(folder: Path) -> tuple[tuple[Finding, ...], CheckedLab | None]:
    """What the checks say of a checkout, in another process first when it is large or may become so."""
    large = probe.is_large(folder)
    refused = probe.refusal(folder) if large else None
    if refused is None:
        loaded = load(folder)
        if not large and probe.weight(loaded, folder) > probe.HEAVY:
            refused = probe.refusal(folder)
        if refused is None:
            checked = check(loaded)
            return checked.findings, checked.passed
    return tuple(refused), None


def store_of(revision: Revision, stores: Stores) -> Store:
    """Where the values of the revision's references are."""
    setting = revision.checked.lab.settings.secrets if revision.checked else SecretsSetting()
    return stores.of(setting, revision.secrets)
