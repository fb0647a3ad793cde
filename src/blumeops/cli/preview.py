"""preview: a branch of the lab beside the lab that runs, for as long as somebody looks at it."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from blumeops.app import previews, running
from blumeops.app import site as app
from blumeops.app.cabinets import Where
from blumeops.app.previewed_lab import wanted_services
from blumeops.app.previews import Preview
from blumeops.base.errors import BlumeError, UserError
from blumeops.base.files import clear_scratch
from blumeops.base.site import SiteFolder
from blumeops.cli import output, run
from blumeops.cli.place import Place, place
from blumeops.forge.git import printable, reading_elsewhere
from blumeops.loop.revision import read_revision
from blumeops.status import records
from blumeops.status.database import read_database


def preview(arguments: argparse.Namespace) -> int:
    """`blumeops preview [BRANCH [SERVICE…]]`: 0 when all of it is healthy; without a branch it lists them."""
    where = place(arguments)
    if arguments.branch is None:
        if arguments.down:
            raise UserError("BLU784", "--down", "takes one preview away", "name its branch")
        return _list(where.site, arguments.json)
    if arguments.down:
        if arguments.services:
            raise UserError("BLU784", "--down", "takes a whole preview away", "name no services")
        return _down(where.site, arguments.branch, arguments.json)
    return _up(where, arguments)


def _up(where: Place, arguments: argparse.Namespace) -> int:
    branch, shown = arguments.branch, printable(arguments.branch)
    source, name = previews.source_of(where.lab, where.folder, where.site, branch)
    with ExitStack() as held:  # the site, where there is one, takes away what a command that is killed leaves
        work = where.site.work
        if not where.site.lab_name.is_file():
            work = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="blumeops-")))
        revision = read_revision(source, work, name, reading_elsewhere())
    output.say_findings(revision.findings, sys.stderr)
    if revision.checked is None:
        if arguments.json:
            output.say_json({"version": 1, "findings": [finding.as_json() for finding in revision.findings]})
        return 1
    wanted_services(revision.checked, arguments.services)  # before anything is made
    ours = revision.checked.lab.settings.here
    folder = previews.site_of(where.site, branch)
    before = previews.at(folder, branch)
    made = previews.note(where.site, where.lab, branch, name, ours, tuple(arguments.services))
    output.progress(f"preview of {shown} at {name[:8]}, beside {where.lab}: nothing of it is kept")
    with run.alone(folder):
        try:
            store = Where(where.site, where.lab, where.folder) if arguments.with_secrets else None
            key = previews.bring(folder, made, source, revision.checked, store, arguments.age_key)
        except BlumeError:  # what cannot be begun leaves nothing, and what was there is as it was
            if before:
                previews.keep(folder, before)
            else:
                previews.remove(folder)
            raise
        app.start_controller(folder, made.here, key, output.progress)
    code = run.follow(folder)
    settled = run.say_status(folder, arguments.json, kept=False)
    if not arguments.json:
        proxy = revision.checked.lab.settings.network.proxy
        output.say(f"\npreview    of {shown} at {name[:8]}, with data and secrets of its own, and no jobs")
        output.say(f"trust it   {app.root_certificate(folder, proxy)}")
        output.say(f"look at it blumeops logs SERVICE --state {shlex.quote(str(folder.path))}")
        words = ["--state", str(arguments.state)] if arguments.state else []
        output.say(f"end it     {shlex.join(['blumeops', 'preview', shown, '--down', *words])}")
    return code or (0 if settled else 1)


def _down(site: SiteFolder, branch: str, as_json: bool) -> int:
    """Stop it, and take it away with its data."""
    folder = previews.site_of(site, branch)
    if previews.at(folder, branch) is None:
        previews.sweep(folder)
        clear_scratch(site.work)
        output.progress(f"there is no preview of {printable(branch)}")
        return 0
    with run.alone(folder):
        if folder.lab_name.is_file():
            app.stop_all(folder, output.progress)
        previews.remove(folder)
    clear_scratch(site.work)  # of one that was killed on its way up
    if as_json:
        output.say_json({"version": 1, "branch": branch, "up": False})
    else:
        output.say(f"the preview of {printable(branch)} is gone, with all that it kept")
    return 0


def _list(site: SiteFolder, as_json: bool) -> int:
    found = previews.known(site)
    if as_json:
        output.say_json({"version": 1, "previews": [_as_json(path, each) for path, each in found.items()]})
        return 0
    for line in output.table(("BRANCH", "REVISION", "STATE", "PORT", "SERVICES"), _rows(found)) if found else ():
        output.say(line)
    if not found:
        output.progress("there are no previews; blumeops preview BRANCH makes one")
    return 0


def _rows(found: Mapping[Path, Preview]) -> list[tuple[str, ...]]:
    return [
        (
            printable(each.branch), each.revision[:8], _state(path), str(each.https), ", ".join(each.services) or "all",
        )
        for path, each in found.items()
    ]  # fmt: skip


def _as_json(path: Path, each: Preview) -> dict[str, object]:
    return {**each.model_dump(mode="json"), "state": str(path), "condition": _state(path)}


def _state(path: Path) -> str:
    """In a word how it is."""
    if not running.controller_answers(SiteFolder(path)):
        return "not up"
    database = read_database(path)
    return "settled" if database and records.settled(records.site(database), records.units(database)) else "not settled"
