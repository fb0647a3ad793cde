"""check: what the description says and, where it is asked for, what the world says of it. Nothing is changed."""

from __future__ import annotations

import argparse
import os

from blumeops.base.findings import Finding, errors, in_order
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.cli import output
from blumeops.cli.place import lab_folder, place


def check(arguments: argparse.Namespace) -> int:
    """`blumeops check`: 0 without errors, else 1."""
    checked = check_folder(lab_folder(arguments))
    found = checked.findings
    if arguments.live and checked.passed:
        found = tuple(in_order([*found, *_live(arguments, checked.passed)]))
    if arguments.json:
        output.say_json({"version": 1, "findings": [finding.as_json() for finding in found]})
    else:
        output.say_findings(found)
        output.progress(output.count(found, len(checked.facts.services)))
    if arguments.live and not checked.passed:
        output.progress("nobody is asked about a description with errors: mend them first")
    return 1 if errors(found) else 0


def _live(arguments: argparse.Namespace, checked: CheckedLab) -> list[Finding]:
    """What stores, registries, indexes and the site say."""
    from blumeops.app import live  # the description alone needs none of it

    folder, site = lab_folder(arguments), place(arguments).site
    return live.findings(
        checked, folder, site, arguments.age_key, os.environ, lambda line: output.progress(f"{line}\r")
    )
