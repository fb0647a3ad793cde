"""run: a job now, and not at its time."""

from __future__ import annotations

import argparse

from blumeops.app import ask, running
from blumeops.base.errors import EngineError, UserError
from blumeops.cli import output
from blumeops.cli.place import place
from blumeops.status import jobs, shown
from blumeops.status.database import read_database


def run(arguments: argparse.Namespace) -> int:
    """`blumeops run`: 0 when the job went well, 1 when it did not. What it prints is the result."""
    site, say = place(arguments).site, output.progress if arguments.json else output.say
    running.must_exist(site)
    code = None
    for line in ask.request_run(site, arguments.job):
        if isinstance(line, int):
            code = line
        else:
            say(line)
    if code is None:
        hint = f"the job goes on; see blumeops status and blumeops logs {arguments.job}"
        raise EngineError("BLU791", "controller", "stopped answering", hint)
    database = read_database(site.path)
    ended = jobs.last(database, arguments.job) if database else None
    if ended is None or ended.seconds is None:
        raise UserError("BLU717", arguments.job, "was forgotten while it ran")
    if arguments.json:
        output.say_json({"version": shown.VERSION, "job": arguments.job, "run": shown.job_run_as_json(ended)})
    else:
        why = f": {ended.message}" if ended.message else ""
        output.progress(f"{arguments.job}: {ended.outcome} in {ended.seconds:.1f} s{why}")
    return code
