"""plan: what would change, from what is applied or from another revision. Nothing is changed."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from blumeops.base.errors import BlumeError, UserError
from blumeops.cli import output
from blumeops.cli.place import Place, lab_folder, place
from blumeops.lab.files import find_lab

if TYPE_CHECKING:  # what only one of the ways needs costs the other nothing
    from blumeops.loop.revision import Revision
    from blumeops.plan.compare import Plan
    from blumeops.plan.exposure import Exposure


@dataclass(frozen=True)
class _Told:
    """What a plan leads from and to, and what is said of it."""

    before: str
    after: Revision
    plan: Plan | None
    exposure: tuple[Exposure, ...]
    notes: tuple[str, ...] = ()
    between: bool = False
    """Whether both are revisions of a repository, and no site was asked."""


def plan(arguments: argparse.Namespace) -> int:
    """`blumeops plan`: from what is applied at site `here` to the lab's folder, or to a revision of the forge; with
    --from between two revisions of the repository that the folder is."""
    from blumeops.plan.compare import Plan
    from blumeops.plan.exposure import exposure_lines
    from blumeops.plan.markdown import findings_as_markdown, plan_as_markdown

    if arguments.end is not None and arguments.begin is None:
        raise UserError("BLU765", "--to", "leads from nowhere", "name the revision before by --from")
    told = _from_site(arguments) if arguments.begin is None else _between(arguments)
    output.say_findings(told.after.findings, sys.stderr)
    if told.after.checked is None:
        if arguments.markdown:
            output.say(findings_as_markdown(told.after.findings))
        elif arguments.json and told.between:
            output.say_json({"version": 1, "findings": [finding.as_json() for finding in told.after.findings]})
        return 1
    opened = exposure_lines(told.exposure)
    if arguments.markdown:
        ends = (told.before[:8], told.after.name[:8]) if told.between else ()
        output.say(plan_as_markdown(told.plan, opened, told.notes, ends))
    elif arguments.json:
        notes = {"notes": list(told.notes)} if told.between else {}
        changes = [change.as_json() for change in told.exposure]
        known = told.plan or Plan(())
        output.say_json({**known.as_json(told.before, told.after.name), "exposure": changes, **notes})
    else:
        if told.plan:
            _say_plan(told.plan, with_diff=not arguments.no_diff)
        for line in opened:
            output.say(output.paint(f"access: {line}", "bold"))
        for note in told.notes:
            output.progress(f"note: {note}" if told.between else note)
    if opened and arguments.fail_on_exposure:
        output.progress("refused: who reaches what changes (--fail-on-exposure)")
        return 1
    return 3 if arguments.exit_code and told.plan and told.plan.changes else 0


def _say_plan(found: Plan, *, with_diff: bool) -> None:
    for change in found.changes:
        output.say(output.paint(f"{change.unit}: {change.action}: {change.why}", "bold"))
        for effect in change.effects:
            output.say(f"  {effect}")
        if with_diff:
            output.say("\n".join(f"    {line}" for line in change.diff.splitlines()[2:]) + "\n")
    if not found.changes:
        output.say("nothing changes")


def _between(arguments: argparse.Namespace) -> _Told:
    from blumeops.app.between import between
    from blumeops.base.limits import limit_this_process

    # Without a folder of a lab there is Git alone, as on the runner of a forge.
    folder: Path = lab_folder(arguments) if arguments.end is None else arguments.lab or _here()
    if arguments.end is not None:
        limit_this_process(_too_much)
    try:
        found = between(folder.absolute(), arguments.begin, arguments.end, parted=arguments.merge_base)
    except MemoryError:
        _too_much()
    return _Told(found.before.name, found.after, found.plan, found.exposure, found.notes, between=True)


def _from_site(arguments: argparse.Namespace) -> _Told:
    from blumeops.app import site as app
    from blumeops.plan.compare import compare, with_new_secrets
    from blumeops.plan.consent import refusal
    from blumeops.plan.exposure import exposure
    from blumeops.status import records
    from blumeops.status.database import read_database

    where = place(arguments)
    wanted = _wanted(arguments, where)
    database = read_database(where.site.path)
    before = records.site(database).revision if database else ""
    if wanted.checked is None:
        return _Told(before, wanted, None, ())
    fresh = _new_secrets(arguments, where, wanted)
    plan = compare(wanted.units, app.compared(where.site), app.contained(where.site))
    found = with_new_secrets(plan, wanted.units, fresh)
    running = app.checked(where.site, where.lab, before)
    unsaid = refusal(running or wanted.checked, wanted.checked, ())
    notes = (f"a push of this will be asked for consent: {unsaid.hint}",) if unsaid else ()
    return _Told(before, wanted, found, exposure(running, wanted.checked), notes)


def _wanted(arguments: argparse.Namespace, where: Place) -> Revision:
    """What the plan leads to: a revision of the forge, or the lab's folder as if it were one."""
    from blumeops.app import site as app
    from blumeops.app.between import folder_as_revision
    from blumeops.loop.revision import read_revision

    if arguments.revision:
        repository = app.existing_repository(where.site, where.lab)
        return read_revision(repository, where.site.work, repository.resolve(arguments.revision))
    return folder_as_revision(lab_folder(arguments))


def _new_secrets(arguments: argparse.Namespace, where: Place, wanted: Revision) -> dict[str, list[str]]:
    """Secrets with another value; where they cannot be compared, the rest of the plan is told all the same."""
    from blumeops.app.planning import new_secrets

    try:
        return new_secrets(where.site, where.lab, wanted.units, wanted.secrets, arguments.age_key)
    except BlumeError as error:
        output.progress(f"note: whether secrets have new values is not known: {error}")
        return {}


def _here() -> Path:
    """The lab that we are in, or the bare repository."""
    try:
        return find_lab(Path.cwd())
    except UserError:
        return Path.cwd()


def _too_much() -> NoReturn:
    """What the revisions hold takes too long, or too much memory: the rest of the process is not worth having."""
    sys.stdout.flush()
    os.write(2, b"blumeops: BLU630 plan: the revisions take more time or memory to be read than a push gets\n")
    os._exit(1)
