"""doctor: what this machine lacks to run the lab. Nothing is changed."""

from __future__ import annotations

import argparse
import sys

from blumeops.app.doctor import examine
from blumeops.base.site import SiteFolder, default_state
from blumeops.checks.check import check_folder
from blumeops.cli import output
from blumeops.cli.place import lab_folder


def doctor(arguments: argparse.Namespace) -> int:
    """`blumeops doctor`: 0 when nothing lacks, else 1."""
    folder = lab_folder(arguments)
    checked = check_folder(folder)
    output.say_findings(checked.findings, sys.stderr)
    if checked.passed is None:
        return 1
    name = checked.passed.lab.settings.lab
    site = SiteFolder((arguments.state or default_state(name)).absolute())
    answers = []
    for answer in examine(checked.passed, folder, site, arguments.age_key):
        answers.append(answer)
        if not arguments.json:
            mark = output.paint("ok   ", "good") if answer.ok else output.paint("lacks", "bad")
            output.say(f"{mark}  {answer.what}: {answer.why}")
            if answer.command:
                output.say(f"       {output.paint(answer.command, 'bold')}")
    lacking = sum(not answer.ok for answer in answers)
    if arguments.json:
        output.say_json({"version": 1, "checks": [answer.as_json() for answer in answers]})
    else:
        output.progress(f"{lacking} of {len(answers)} lack" if lacking else f"{name} can be run on this machine")
    return 1 if lacking else 0
