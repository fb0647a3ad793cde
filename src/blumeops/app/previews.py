"""Previews: labs at other revisions that stand beside a lab on the same machine, each in a state folder of its own.

    STATE.previews/SLUG/                a site like any other: forge, key, data, units
    STATE.previews/SLUG/preview.json    of which branch it is: without it, nothing is a preview, or is taken away

Promised: the lab's own state and repository are only read; one preview a branch; what was begun and cut off anywhere is
taken up by the next call, or taken away.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from blumeops.app.cabinets import Where, reading
from blumeops.app.previewed_lab import LONGEST, SLUG, changed_files, issued_elsewhere, wanted_services
from blumeops.app.site import prepare, repository_of
from blumeops.base.errors import EngineError, UserError
from blumeops.base.files import cannot_write, locked, scratch, write_whole
from blumeops.base.findings import errors
from blumeops.base.site import SiteFolder
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.engines.local import ports
from blumeops.forge.clone import clone_at, revision_of
from blumeops.forge.git import printable, reading_elsewhere
from blumeops.forge.repository import Repository
from blumeops.lab.settings import Here
from blumeops.render import local
from blumeops.secrets import sops
from blumeops.secrets.age import Key, load_or_create
from blumeops.secrets.references import Reference

NOTE = "preview.json"
TRIES = 5
"""How often what is to be shown is committed, where somebody else commits at the same moment."""
STEP = 100
"""A preview's ports are looked for from so far above the lab's own."""


class Preview(BaseModel):
    """What is known of one. `services`: those that were asked for; none: all."""

    model_config = ConfigDict(frozen=True)

    branch: str
    lab: str
    revision: str
    services: tuple[str, ...] = ()
    https: int
    forge: int
    dns: int

    @property
    def here(self) -> Here:
        """Its ports."""
        return Here(https=self.https, forge=self.forge, dns=self.dns)


def slug_of(branch: str) -> str:
    """A branch as part of names: itself, where it can be one; else what can be of it, and a digest of the whole."""
    ending = re.compile(r"-[0-9a-f]{6}")
    plain = re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", branch)
    if plain and len(branch) <= SLUG and not ending.fullmatch(branch[-7:]):
        return branch
    word = re.sub(r"[^a-z0-9]+", "-", branch.lower()).lstrip("-0123456789")[: SLUG - 7].rstrip("-") or "b"
    return f"{word}-{hashlib.sha256(branch.encode(errors='surrogateescape')).hexdigest()[:6]}"


def site_of(site: SiteFolder, branch: str) -> SiteFolder:
    """The state folder of a branch's preview, whether or not it is there."""
    return SiteFolder(site.previews / slug_of(branch))


def known(site: SiteFolder) -> dict[Path, Preview]:
    """The previews of a lab, by their folders."""
    found = {path.parent: _read(path) for path in sorted(site.previews.glob(f"*/{NOTE}"))}
    return {path: each for path, each in found.items() if each}


def at(folder: SiteFolder, branch: str) -> Preview | None:
    """The preview in that folder; None where there is none. Raises UserError `BLU781` where it is another branch's."""
    found = _read(folder.path / NOTE)
    if found and found.branch != branch:
        message = f"is the preview of {printable(found.branch)}"
        raise UserError("BLU781", str(folder.path), message, "take that one away first, or rename the branch")
    return found


def source_of(lab: str, folder: Path | None, site: SiteFolder, branch: str) -> tuple[Repository, str]:
    """Where the branch is, and its revision: in the repository of the lab's folder, else in the site's forge.

    Raises UserError `BLU601` where it is in neither.
    """
    places: list[Callable[[], Repository]] = [lambda: clone_at(folder)] if folder else []
    places.append(lambda: Repository(site.repository / f"{lab}.git"))
    for place in places:
        with suppress(UserError):
            repository = place()
            if repository.path.is_dir():
                return repository, revision_of(repository, branch)
    hint = "name a branch of the lab's folder, which is a Git repository, or one that was pushed to the lab's forge"
    raise UserError("BLU601", printable(branch), "is no revision of this lab", hint)


def note(site: SiteFolder, lab: str, branch: str, revision: str, ours: Here, services: tuple[str, ...]) -> Preview:
    """Write down that there is to be one, before anything else is made of it; with ports that nobody has. `ours`: the
    lab's own. Raises UserError `BLU781`, EngineError `BLU704`, `BLU903`."""
    folder, slug = site_of(site, branch), slug_of(branch)
    try:
        site.previews.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(site.previews, error) from error
    with locked(site.previews / ".lock"):
        before = at(folder, branch)
        named = f"{lab[: LONGEST - SLUG - 1].rstrip('-')}-{slug}"
        numbers = before.here.model_dump() if before else _ports(ours, known(site))
        made = Preview(branch=branch, lab=named, revision=revision, services=services, **numbers)
        try:
            folder.path.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder.path, error) from error
        keep(folder, made)
    return made


def keep(folder: SiteFolder, made: Preview) -> None:
    """Write down what it is now. Raises EngineError `BLU903`."""
    write_whole(folder.path / NOTE, made.model_dump_json(indent=1) + "\n")


def bring(
    folder: SiteFolder, preview: Preview, source: Repository, checked: CheckedLab, given: Where | None,
    age_key: Path | None,
) -> Key:  # fmt: skip
    """Make the preview's own repository hold what it describes; its key. `checked`: the revision as it was read;
    `given`: whose store may be asked for what somebody else issues, `age_key` the key of that.

    Raises UserError `BLU780`, `BLU782`, and what reading that store raises.
    """
    keep = wanted_services(checked, preview.services)
    if not folder.lab_name.is_file():
        write_whole(folder.lab_name, preview.lab + "\n")
    prepare(folder)
    key = load_or_create(folder.age_key)
    repository = Repository(folder.repository / f"{preview.lab}.git")
    head = repository.head() if repository.path.is_dir() else None
    if head is None:  # else its controller may be at work there
        repository = repository_of(folder, preview.lab)
    with scratch(folder.work, "preview-") as place:
        lab = place / "lab"
        source.export(preview.revision, lab, reading_elsewhere())
        changed = changed_files(checked, keep, preview.lab, slug_of(preview.branch), preview.here)
        _write(lab, {**changed, **dict.fromkeys(_about_git(lab))})
        made = check_folder(lab)
        if made.passed is None:
            first = errors(made.findings)[0]
            message = f"what is left of the lab does not pass the checks: {first.code} {first.subject}: {first.message}"
            raise UserError("BLU782", printable(preview.branch), message, "name other services, or none for all")
        lent = _lent(made.passed, given, age_key)
        for again in reversed(range(TRIES)):
            secrets = repository.content(head, sops.NAME) if head else None
            if lent:
                secrets = sops.updated(secrets, lent, key)
            if secrets is not None:
                write_whole(lab / sops.NAME, secrets)
            try:
                repository.advance(repository.commit_folder(lab, f"Preview {preview.revision}\n"), head)
                break
            except EngineError as error:  # its controller commits the secrets that it makes
                if error.code != "BLU602" or not again:
                    raise
                head = repository.head()
    return key


def remove(folder: SiteFolder) -> None:
    """Take it away with all that is in it, the note last; nothing of it runs any more. Raises EngineError `BLU903`."""

    def cannot(_: object, path: str, error: BaseException) -> None:
        if not isinstance(error, FileNotFoundError):
            raise EngineError("BLU903", path, f"cannot be deleted: {error}") from error

    for path in sorted(folder.path.iterdir(), key=lambda path: path.name == NOTE):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, onerror=lambda act, name, what: cannot(act, name, what[1]))
        else:
            path.unlink(missing_ok=True)
    folder.path.rmdir()
    _leave(folder.path.parent)


def sweep(folder: SiteFolder) -> None:
    """Take away what one left that was killed before its note was there. Raises EngineError `BLU903`."""
    above = folder.path.parent
    if above.is_dir():
        with locked(above / ".lock"):  # one that is being made has its note when it lets go
            if folder.path.is_dir() and not (folder.path / NOTE).exists():
                remove(folder)
            else:
                _leave(above)


def _leave(above: Path) -> None:
    """The folder of all previews, after the last one."""
    if not any(path.is_dir() for path in above.iterdir()):
        with suppress(OSError):  # another is being made
            (above / ".lock").unlink(missing_ok=True)
            above.rmdir()


def _lent(checked: CheckedLab, given: Where | None, age_key: Path | None) -> Mapping[Reference, str]:
    """The values of what somebody else issues, from the lab's own store."""
    units = local.units(local.render(checked))
    needed = issued_elsewhere(checked, {name for name, unit in units.items() if unit.provided or unit.unavailable})
    if not needed:
        return {}
    if given is None:
        reference, service = next(iter(sorted(needed.items())))
        more = f", and {len(needed) - 1} more" if len(needed) > 1 else ""
        message = f"is issued by somebody else, and {service} needs it{more}"
        raise UserError("BLU783", reference, message, "--with-secrets takes it from the lab's store; or leave that out")
    values = reading(given, None, age_key, os.environ).read().values
    wanted = {Reference.parse(text) for text in needed}
    for missing in sorted(wanted - values.keys()):
        raise UserError("BLU516", str(missing), "is not in the lab's store", f"blumeops secret set {missing}")
    return {reference: values[reference] for reference in wanted}


def _ports(ours: Here, others: Mapping[Path, Preview]) -> dict[str, int]:
    taken = {number for each in others.values() for number in each.here.model_dump().values()}
    taken |= set(ours.model_dump().values())
    found: dict[str, int] = {}
    for name, number in ours.model_dump().items():
        start = number + STEP if number + 2 * STEP < 65536 else ports.RANGE[0]
        protocols = ("tcp", "udp") if name == "dns" else ("tcp",)
        for candidate in range(start, 65536):
            if candidate not in taken and all(ports.is_free(candidate, each) for each in protocols):
                found[name] = candidate
                taken.add(candidate)
                break
    return found


def _about_git(lab: Path) -> list[str]:
    """Files by which Git would leave others out, or change them."""
    names = (".gitignore", ".gitattributes")
    return [str(path.relative_to(lab)) for name in names for path in lab.rglob(name)]


def _write(lab: Path, files: Mapping[str, bytes | None]) -> None:
    """A link is replaced by what is to be there, never written through."""
    for path, data in files.items():
        if data is None:
            (lab / path).unlink(missing_ok=True)
        else:
            write_whole(lab / path, data)


def _read(path: Path) -> Preview | None:
    try:
        return Preview.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
