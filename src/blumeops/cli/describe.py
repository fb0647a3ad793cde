"""check and plan: what the description says. Nothing is changed."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from blumeops.base.errors import BlumeError
from blumeops.checks.check import check_folder
from blumeops.cli import output
from blumeops.cli.place import Place, lab_folder, place

if TYPE_CHECKING:  # what only `plan` needs costs the others nothing
    from blumeops.loop.revision import Revision
    from blumeops.plan.compare import Plan


def check(arguments: argparse.Namespace) -> int:
    """`blumeops check`: 0 without errors, else 1."""
    checked = check_folder(lab_folder(arguments))
    if arguments.json:
        output.say_json({"version": 1, "findings": [finding.as_json() for finding in checked.findings]})
    else:
        output.say_findings(checked.findings)
        output.progress(output.count(checked.findings, len(checked.facts.services)))
    return 0 if checked.passed else 1


def plan(arguments: argparse.Namespace) -> int:
    """`blumeops plan`: from what is applied at site `here` to the lab's folder, or to a revision of the forge."""
    from blumeops.app import site as app
    from blumeops.plan.compare import compare, with_new_secrets
    from blumeops.plan.consent import refusal
    from blumeops.plan.exposure import exposure, exposure_lines
    from blumeops.plan.markdown import findings_as_markdown, plan_as_markdown
    from blumeops.status import records
    from blumeops.status.database import read_database

    where = place(arguments)
    wanted = _wanted(arguments, where)
    output.say_findings(wanted.findings, sys.stderr)
    if wanted.checked is None:
        if arguments.markdown:
            output.say(findings_as_markdown(wanted.findings))
        return 1
    fresh = _new_secrets(arguments, where, wanted)
    found = with_new_secrets(compare(wanted.units, app.applied(where.site)), wanted.units, fresh)
    database = read_database(where.site.path)
    before = records.site(database).revision if database else ""
    running = app.checked(where.site, where.lab, before)
    opened = exposure(running, wanted.checked)
    if arguments.markdown:
        output.say(plan_as_markdown(found))
        if opened:
            output.say("\n**Who reaches what**\n\n" + "\n".join(f"- {line}" for line in exposure_lines(opened)))
    elif arguments.json:
        told = [change.as_json() for change in opened]
        output.say_json({**found.as_json(before, wanted.name), "exposure": told})
    else:
        _say_plan(found, with_diff=not arguments.no_diff)
        for line in exposure_lines(opened):
            output.say(output.paint(f"access: {line}", "bold"))
        if unsaid := refusal(running or wanted.checked, wanted.checked, ()):
            output.progress(f"a push of this will be asked for consent: {unsaid.hint}")
    if opened and arguments.fail_on_exposure:
        output.progress("refused: who reaches what changes (--fail-on-exposure)")
        return 1
    return 3 if arguments.exit_code and found.changes else 0


def _say_plan(found: Plan, *, with_diff: bool) -> None:
    for change in found.changes:
        output.say(output.paint(f"{change.unit}: {change.action}: {change.why}", "bold"))
        for effect in change.effects:
            output.say(f"  {effect}")
        if with_diff:
            output.say("\n".join(f"    {line}" for line in change.diff.splitlines()[2:]) + "\n")
    if not found.changes:
        output.say("nothing changes")


def _wanted(arguments: argparse.Namespace, where: Place) -> Revision:
    """What the plan leads to: a revision of the forge, or the lab's folder as if it were one."""
    from blumeops.app import site as app
    from blumeops.loop.revision import Revision, read_revision
    from blumeops.render import local
    from blumeops.secrets import sops

    if arguments.revision:
        repository = app.existing_repository(where.site, where.lab)
        return read_revision(repository, where.site.work, repository.resolve(arguments.revision))
    folder = lab_folder(arguments)
    checked, file = check_folder(folder), folder / sops.NAME
    units = local.units(local.render(checked.passed)) if checked.passed else {}
    secrets = file.read_bytes() if file.is_file() else None
    return Revision(str(where.folder), checked.findings, checked.passed, units, secrets)


def _new_secrets(arguments: argparse.Namespace, where: Place, wanted: Revision) -> dict[str, list[str]]:
    """Secrets with another value; where they cannot be compared, the rest of the plan is told all the same."""
    from blumeops.app.planning import new_secrets

    try:
        return new_secrets(where.site, where.lab, wanted.units, wanted.secrets, arguments.age_key)
    except BlumeError as error:
        output.progress(f"note: whether secrets have new values is not known: {error}")
        return {}
