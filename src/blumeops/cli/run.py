"""up, down, sync and rollback; and the controller that they start."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blumeops.app import ask
from blumeops.app import site as app
from blumeops.base.errors import EngineError, UserError
from blumeops.base.files import cannot_write, locked, write_whole
from blumeops.base.site import SiteFolder
from blumeops.checks.check import check_folder
from blumeops.cli import output, prune, watch
from blumeops.cli import shares as cli_shares
from blumeops.cli.place import Place, place
from blumeops.connect.tokens import FOLDER
from blumeops.lab.settings import Settings
from blumeops.secrets.age import Key, find_key
from blumeops.secrets.stores import TOKENS
from blumeops.status import audience, records, remote, shares, shown
from blumeops.status.database import open_database, read_database


def up(arguments: argparse.Namespace) -> int:
    """`blumeops up`: from nothing, or from whatever was left, to a lab that runs."""
    prune.must_be_able_to_ask(arguments)
    where = place(arguments)
    if where.folder is None:
        raise UserError("BLU005", str(where.site.path), "is a site, not a lab", "name the lab with --lab DIR")
    checked = check_folder(where.folder)
    output.say_findings(checked.findings, sys.stderr)
    if checked.passed is None:
        if arguments.json:
            output.say_json({"version": 1, "findings": [finding.as_json() for finding in checked.findings]})
        return 1
    _refuse_foreign(where)
    before = shares.read(where.site.path)
    named = cli_shares.named(arguments.share, before, checked.passed.lab.settings)
    with alone(where.site):
        _claim(where)  # before anything else is made: another `up` sees an empty folder, or a site that is this lab's
        app.prepare(where.site)
        if named != before:
            shares.write(where.site.path, named)
        create = not app.holds_secrets(where.site, where.lab, where.folder)
        key = find_key(arguments.age_key, os.environ, where.site.age_key, create=create)
        begun = app.seed(where.site, where.lab, where.folder, output.progress)
        settings = app.settings_of(where.site, where.lab, checked.passed.lab.settings)
        app.start_controller(where.site, settings.here, key, output.progress)
    code = follow(where.site)
    pruned = prune.prune(where, arguments)
    settled = say_status(where.site, arguments.json)
    if not arguments.json:
        _say_next(where, settings, key, app.root_certificate(where.site, settings.network.proxy))
    if not app.same_as_forge(where.site, where.lab, where.folder):
        way = "commit what you changed, and push" if begun else "push to change it"
        output.progress(f"note: what runs is the forge's main, and {where.folder} is not the same: {way}")
    return code or (0 if settled and pruned else 1)


def down(arguments: argparse.Namespace) -> int:
    """`blumeops down`: the controller first, then users before their providers, then the manager."""
    prune.must_be_able_to_ask(arguments)
    where = place(arguments)
    if not where.site.lab_name.is_file():
        output.progress(f"{where.lab} is not up: {where.site.path} holds no site")
        return 0
    with alone(where.site):
        pruned = prune.prune(where, arguments)  # while the providers of databases run
        app.stop_all(where.site, output.progress)
        note_stopped(where.site)
    if arguments.json:
        output.say_json({"version": 1, "lab": where.lab, "up": False, "state": str(where.site.path)})
    else:
        output.say(f"{where.lab} is down; its state is kept in {where.site.path}")
        prune.say_kept(where.site)
        watch.say_previews(where.site)
    return 0 if pruned else 1


def note_stopped(site: SiteFolder) -> None:
    """Status says that nothing runs. A damaged database says nothing; the next `up` sets it aside."""
    try:
        if read_database(site.path):
            database = open_database(site.path)
            for unit in records.units(database):
                if unit.state not in records.AT_REST:
                    records.put_unit(database, records.stopped(unit))
            database.close()
    except EngineError as error:
        output.progress(f"the status could not be brought up to date: {error}")


def sync(arguments: argparse.Namespace) -> int:
    """`blumeops sync`: 0 when what is on main is applied."""
    site = place(arguments).site
    code = follow(site, restore=True)
    if arguments.json:
        say_status(site, as_json=True)
    return code


def rollback(arguments: argparse.Namespace) -> int:
    """`blumeops rollback`: 0 when main has the files of that revision again, and they are applied."""
    where = place(arguments)
    target = app.rollback_target(where.site, where.lab, arguments.revision)
    output.progress(f"back to {target[:8]}")
    code = told(ask.request_rollback(where.site, target))
    if arguments.json:
        say_status(where.site, as_json=True)
    elif not code:
        output.progress("main has a new commit: git pull")
    return code


def controller(arguments: argparse.Namespace) -> int:
    """The process that the manager keeps running: serves the forge and runs the loop."""
    where = place(arguments)
    key = find_key(arguments.age_key, os.environ, where.site.age_key, create=False)
    from blumeops.app.controller import run_controller

    run_controller(where.site, where.lab, arguments.port, arguments.dns, key)
    return 0


def say_status(site: SiteFolder, as_json: bool, *, kept: bool = True) -> bool:
    """Show it; whether all is settled. `kept`: what deleted services left is told too."""
    database = read_database(site.path)
    assert database is not None
    if as_json:
        output.say_json(shown.status_as_json(database) | prune.kept_as_json(site))
    else:
        output.progress("")
        watch.say_status(records.site(database), records.units(database), audience.read(site.path))
        watch.say_remote(remote.read(site.path))
        cli_shares.say(shares.read(site.path))
        watch.say_warnings(site)
        if kept:
            prune.say_kept(site)
    return records.settled(records.site(database), records.units(database))


def _say_next(where: Place, settings: Settings, key: Key, root: Path) -> None:
    """What a person needs to know once the lab is up."""
    helper = shlex.join([str(Path(sys.argv[0]).absolute()), "credential", "--state", str(where.site.path)])
    output.say()
    if settings.gitops.url:
        output.say(f"change it  push to branch {settings.gitops.branch} of {settings.gitops.url}")
    else:
        output.say(f"change it  git clone -c credential.helper={shlex.quote('!' + helper)} \\")
        output.say(f"             http://localhost:{settings.here.forge}/{where.lab}.git")
    output.say(f"trust it   {root}")
    opener = "the key in the keyring" if key.in_keyring else str(key.path)
    output.say(f"keep       {opener} opens the lab's secrets: have a copy elsewhere")


def follow(site: SiteFolder, restore: bool = False) -> int:
    """Ask for a sync and print its lines; returns the exit code."""
    return told(ask.request_sync(site, restore))


def told(lines: Iterator[str | int]) -> int:
    """Print the controller's lines; returns the exit code that stands behind them."""
    for line in lines:
        if isinstance(line, int):
            return line
        output.progress(line)
    raise EngineError("BLU791", "controller", "stopped answering", "look at its log: blumeops logs controller")


@contextmanager
def alone(site: SiteFolder) -> Iterator[None]:
    """Only one `up` or `down` at a time. Raises EngineError `BLU792`, `BLU903`."""
    try:  # its mode is for `prepare` to set: services may be at work in it
        site.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(site.path, error) from error
    with locked(site.lock, wait=False) as ours:
        if not ours:
            raise EngineError("BLU792", str(site.path), "another up or down is at work", "wait for its end")
        yield


def _refuse_foreign(where: Place) -> None:
    """A folder with somebody else's files does not become a site; the key may be there. Raises UserError `BLU796`."""
    path, expected = where.site.path, {where.site.age_key.name, where.site.lock.name, *TOKENS, FOLDER}
    found = {each.name for each in path.iterdir()} if path.is_dir() else set()
    claiming = f".{where.site.lab_name.name}."  # as another `up` writes that file in this very moment
    foreign = {name for name in found - expected if not name.startswith(claiming)}
    if foreign and not where.site.lab_name.is_file():
        raise UserError("BLU796", str(path), "holds other files, and no site", "name an empty folder with --state")


def _claim(where: Place) -> None:
    """A state folder belongs to one lab."""
    if where.site.lab_name.is_file():
        owner = where.site.lab_name.read_text().strip()
        if owner != where.lab:
            raise UserError(
                "BLU793", str(where.site.path), f"holds the lab {owner!r}", "name another folder with --state"
            )
    else:
        write_whole(where.site.lab_name, where.lab + "\n")
