"""check: what the description says. Nothing is changed."""

from __future__ import annotations

import argparse

from blumeops.checks.check import check_folder
from blumeops.cli import output
from blumeops.cli.place import lab_folder


def check(arguments: argparse.Namespace) -> int:
    """`blumeops check`: 0 without errors, else 1."""
    checked = check_folder(lab_folder(arguments))
    if arguments.json:
        output.say_json({"version": 1, "findings": [finding.as_json() for finding in checked.findings]})
    else:
        output.say_findings(checked.findings)
        output.progress(output.count(checked.findings, len(checked.facts.services)))
    return 0 if checked.passed else 1
