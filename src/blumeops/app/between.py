"""The plan between two revisions of a repository of one's own: no site, no controller and no key is asked.

What enters: the repository, the revision before, and the one after or a folder as it is. What leaves: both as they are
described, and what would change from one to the other. A revision comes from anybody: it is read out of Git as data,
within the limits of a push, and never checked out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from blumeops.base.findings import in_order
from blumeops.checks.check import check_folder
from blumeops.forge.clone import clone_at, merge_base, revision_of
from blumeops.forge.git import reading_elsewhere
from blumeops.forge.repository import Repository
from blumeops.loop import leaks
from blumeops.loop.admission import unconsented
from blumeops.loop.controller import remote_lines
from blumeops.loop.revision import Revision, read_revision
from blumeops.plan.compare import Plan, compare
from blumeops.plan.consent import refusal
from blumeops.plan.exposure import Exposure, exposure
from blumeops.render import local
from blumeops.secrets import sops


@dataclass(frozen=True)
class Between:
    """Two revisions of a lab. `notes`: what else whoever merges it should know."""

    before: Revision
    after: Revision
    notes: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan | None:
        """What would change of what runs at site `here`; None where one of them does not pass the checks."""
        known = self.before.checked and self.after.checked
        return compare(self.after.units, self.before.units) if known else None

    @property
    def exposure(self) -> tuple[Exposure, ...]:
        """What would change of who reaches what."""
        if self.before.checked is None or self.after.checked is None:
            return ()
        return exposure(self.before.checked, self.after.checked)


def between(folder: Path, before: str, after: str | None, *, parted: bool = False) -> Between:
    """From revision `before` to `after`, or to what lies in `folder`; `parted`: from where their histories part.

    Raises UserError `BLU601`, `BLU650`.
    """
    repository = clone_at(folder)
    begin = revision_of(repository, before)
    end = revision_of(repository, after) if after is not None else None
    if parted and end:
        begin = merge_base(repository, begin, end) or begin
    env = reading_elsewhere()
    with tempfile.TemporaryDirectory(prefix="blumeops-") as work:
        old = read_revision(repository, Path(work), begin, env)
        new = _searched(repository, Path(work), begin, end, env) if end else folder_as_revision(folder)
    return Between(old, new, tuple(_notes(repository, old, new, end is not None)))


def _searched(repository: Repository, work: Path, begin: str, end: str, env: Mapping[str, str]) -> Revision:
    """Revision `end`, and what looks like a secret in what it has and `begin` has not."""
    revision = read_revision(repository, work, end, env)
    found = leaks.search(repository, [(begin, end, "")], env, work, known=())
    if not found.findings:
        return revision
    told = tuple(in_order([*revision.findings, *found.findings]))
    return replace(revision, findings=told, checked=None, units={})


def folder_as_revision(folder: Path) -> Revision:
    """What lies in a lab's folder, as if it were a revision."""
    checked, file = check_folder(folder), folder / sops.NAME
    units = local.units(local.render(checked.passed)) if checked.passed else {}
    secrets = file.read_bytes() if file.is_file() else None
    return Revision(str(folder), checked.findings, checked.passed, units, secrets)


def _notes(repository: Repository, before: Revision, after: Revision, committed: bool) -> Iterator[str]:
    if after.checked is None:
        return
    if before.checked is None:
        yield f"{before.name[:8]} does not pass the checks, so there is no plan from there"
        return
    if before.secrets != after.secrets:
        yield "the SOPS file changes; which values are new is not seen without its key"
    yield from (line.removeprefix("note: ") for line in remote_lines(before, after))
    if committed:
        yield from map(str, unconsented(repository, before, after, reading_elsewhere()))
    elif unsaid := refusal(before.checked, after.checked, ()):
        yield f"a push of this will be asked for consent: {unsaid.hint}"
