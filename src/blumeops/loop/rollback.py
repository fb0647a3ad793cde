"""Back to an earlier revision: by a new commit on main that has its files. Nothing is lost, and people pull it.

What enters: the site, the history, and the revision to go back to. What leaves: that commit, read and checked like a
push, with the plan in words. Promised: secrets stay those of now, since old values would not open what newer ones made;
what the old revision needs beside them comes from its own file; main moves only when nothing refuses the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from blumeops.base.errors import UserError
from blumeops.base.findings import Finding, in_order
from blumeops.forge.repository import Repository
from blumeops.loop.admission import hindrances, missing_secrets
from blumeops.loop.revision import Revision, read_revision, store_of
from blumeops.loop.sync import Site, no_secrets, plan_for
from blumeops.plan.compare import Plan
from blumeops.secrets import rules, sops
from blumeops.status.records import Run

AS_NOW = (sops.NAME, rules.NAME)
"""What a rollback leaves as it is: the secrets, and whose keys open them."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """A commit that main can move to, and the plan of it; `findings` that are errors refuse it."""

    parent: str
    revision: Revision
    findings: tuple[Finding, ...]
    plan: Plan


def target_of(repository: Repository, runs: Sequence[Run], wanted: str | None) -> str:
    """The full name of the revision to go back to: `wanted`, else the last applied one that differs from main.

    `runs`: the newest first. Raises UserError `BLU601`, `BLU760` (there is none), `BLU761` (it was never applied here),
    `BLU762` (main is like it already).
    """
    head = repository.resolve("main")
    applied = list(dict.fromkeys(run.revision for run in runs if run.outcome == "applied"))
    if wanted is None:
        known = (each for each in applied if repository.has(each))
        found = next((each for each in known if repository.differs(each, head, AS_NOW)), None)
        if found is None:
            raise UserError("BLU760", "rollback", "no other revision was ever applied here", "name one: rollback REV")
        return found
    found = repository.resolve(wanted)
    if found not in applied:
        hint = "`blumeops history` lists those that were; `git revert` and a push bring any other"
        raise UserError("BLU761", wanted, "was never applied here, so nobody knows that it works", hint)
    if not repository.differs(found, head, AS_NOW):
        hint = "secrets do not go back; `blumeops sync` tries the present revision again"
        raise UserError("BLU762", wanted, "has the same files as main", hint)
    return found


def prepare(site: Site, target: str) -> Rollback:
    """Make and judge the commit; main stays where it is. Raises UserError `BLU503`, `BLU504` when the secrets that the
    old revision needs are only in a file that the present key does not open."""
    repository, head = site.repository, site.repository.resolve("main")
    before = read_revision(repository, site.work, target)
    engine = site.engine(no_secrets)
    if before.checked is None:
        return Rollback(head, before, before.findings, Plan(()))
    files = {path: repository.content(head, path) for path in AS_NOW}
    files[sops.NAME] = _merged(before, files[sops.NAME], site)
    subject = next((commit.subject for commit in repository.log(target, limit=1)), "")
    message = f"Roll back to {target[:8]}: {subject}\n\nThe files of {target}, with the secrets of now.\n"
    revision = read_revision(repository, site.work, repository.commit_as_before(target, files, message, head))
    found = {*revision.findings, *hindrances(revision, site.lab, site.stores, engine.applied())}
    return Rollback(head, revision, tuple(in_order(found)), plan_for(engine, revision))


def caution(rollback: Rollback) -> list[str]:
    """What a person should know before: data does not go back."""
    units = rollback.revision.units
    keeping = [
        change.unit
        for change in rollback.plan.changes
        if (unit := units.get(change.unit))
        and (unit.state or unit.grants)
        and change.action in ("start", "restart", "replace")
    ]
    named = " and ".join([", ".join(keeping[:-1]), keeping[-1]] if len(keeping) > 1 else keeping)
    return [f"note: only versions and configuration go back; what {named} stored stays as it is"] if keeping else []


def _merged(before: Revision, now: bytes | None, site: Site) -> bytes | None:
    """The secrets of now, and those that only the old revision's file has and the old revision needs."""
    if now is None or before.secrets is None:
        return now if now is not None else before.secrets
    missing = missing_secrets(replace(before, secrets=now), site.stores)
    old = store_of(before, site.stores).read(missing) if missing else {}
    return sops.updated(now, old, site.stores.key)
