"""check, plan and render: what the description says. Nothing is changed but the folder that `render` is given."""

from __future__ import annotations

import argparse
import sys

from blumeops.base.findings import errors
from blumeops.base.tree import FileTree
from blumeops.checks.check import Checked, CheckedLab, check_folder
from blumeops.cli import output
from blumeops.cli.place import lab_folder, place


def check(arguments: argparse.Namespace) -> int:
    """`blumeops check`: 0 without errors, else 1."""
    checked = check_folder(lab_folder(arguments))
    if arguments.json:
        output.say_json({"version": 1, "findings": [finding.as_json() for finding in checked.findings]})
    else:
        output.say_findings(checked.findings)
        output.progress(_count(checked))
    return 0 if checked.passed else 1


def render(arguments: argparse.Namespace) -> int:
    """`blumeops render`: writes the tree; files that nothing derives any more are left alone and named."""
    passed = _passed(arguments)
    if passed is None:
        return 1
    tree = _home(passed) if arguments.site == "home" else _here(passed)
    written = tree.write(arguments.out)
    output.say_written(tree, written, arguments.json)
    if not arguments.json:
        output.progress(f"{len(tree.files)} files, {len(written)} of them new or changed")
    return 0


def plan(arguments: argparse.Namespace) -> int:
    """`blumeops plan`: from what is applied at site `here` to the lab's folder, or to a revision of the forge."""
    from blumeops.app import site as app
    from blumeops.plan.compare import compare
    from blumeops.render import local
    from blumeops.status import records
    from blumeops.status.database import read_database

    where = place(arguments)
    if arguments.revision:
        from blumeops.loop.revision import read_revision

        repository = app.existing_repository(where.site, where.lab)
        revision = read_revision(repository, where.site.work, repository.resolve(arguments.revision))
        after, units = revision.name, revision.units
        if revision.checked is None:
            output.say_findings(revision.findings, sys.stderr)
            return 1
    else:
        passed = _passed(arguments)
        if passed is None:
            return 1
        after, units = str(where.folder), local.units(local.render(passed))
    found = compare(units, app.applied(where.site))
    if arguments.json:
        database = read_database(where.site.path)
        before = records.site(database).revision if database else ""
        output.say_json(found.as_json(before, after))
    for change in found.changes if not arguments.json else ():
        output.say(output.paint(f"{change.unit}: {change.action}: {change.why}", "bold"))
        for effect in change.effects:
            output.say(f"  {effect}")
        if not arguments.no_diff:
            output.say("\n".join(f"    {line}" for line in change.diff.splitlines()[2:]) + "\n")
    if not found.changes and not arguments.json:
        output.say("nothing changes")
    return 3 if arguments.exit_code and found.changes else 0


def _passed(arguments: argparse.Namespace) -> CheckedLab | None:
    """The lab when it passes the checks; else None, with the findings told."""
    checked = check_folder(lab_folder(arguments))
    output.say_findings(checked.findings, sys.stderr)
    if checked.passed is None:
        output.progress(_count(checked))
    return checked.passed


def _count(checked: Checked) -> str:
    bad = len(errors(checked.findings))
    warnings = len(checked.findings) - bad
    counts = ((len(checked.facts.services), "service"), (bad, "error"), (warnings, "warning"))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def _here(passed: CheckedLab) -> FileTree:
    from blumeops.render import local

    return local.render(passed)


def _home(passed: CheckedLab) -> FileTree:
    from blumeops.render.ansible import render as for_hosts
    from blumeops.render.kubernetes import render as for_clusters
    from blumeops.render.tailscale import render as for_tailnet

    return FileTree({**for_hosts(passed).files, **for_clusters(passed).files, **for_tailnet(passed).files})
