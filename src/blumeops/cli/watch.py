"""status and history: what is, and what was."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from blumeops.app import running
from blumeops.base.errors import Unavailable, UserError
from blumeops.base.site import SiteFolder
from blumeops.cli import output, prune
from blumeops.cli import shares as cli_shares
from blumeops.cli.place import place
from blumeops.status import audience, records, remote, shares, shown, warnings
from blumeops.status.database import Database, read_database


def status(arguments: argparse.Namespace) -> int:
    """`blumeops status`: 0 when the site has settled, else 1; 4 when there is no controller to wait for."""
    site = place(arguments).site
    database = _database(site)
    settled_meanwhile = not arguments.wait or _wait(site, arguments.timeout)
    alive = running.controller_answers(site)
    here, units = records.site(database), records.units(database)
    settled = records.settled(here, units) and settled_meanwhile
    followed = remote.read(site.path)
    if arguments.json:
        output.say_json(shown.status_as_json(database) | prune.kept_as_json(site))
    else:
        say_status(here, units, audience.read(site.path))
        say_remote(followed)
        cli_shares.say(shares.read(site.path))
        say_warnings(site)
        prune.say_kept(site)
        say_previews(site)
        if not alive:
            output.progress("the controller does not run: this is what it saw last; start it with `blumeops up`")
    if arguments.wait and not alive:
        return Unavailable.exit_code
    return 0 if settled and alive and not followed.refused else 1


def _wait(site: SiteFolder, within: float | None) -> bool:
    """Until the controller says that it has settled, or cannot: whether it has. One that ends meanwhile is asked
    again when it is back."""
    from blumeops.app import ask  # HTTP takes as long to import as all the rest here

    end = None if within is None else time.monotonic() + within
    while ask.comes_back(site):
        try:
            left = None if end is None else max(0.0, end - time.monotonic())
            for line in ask.request_settled(site, left):
                if isinstance(line, int):
                    if line and end is not None and time.monotonic() >= end:
                        output.progress(f"not settled within {within:g} s")
                    return not line
                output.progress(line)
        except Unavailable:
            pass
        time.sleep(0.1)
    return False


def say_status(site: records.Site, units: list[records.Unit], reached: Mapping[str, Sequence[str]]) -> None:
    """The table of what runs where. `reached`: by service, who gets there at site home; here it is all on loopback."""
    now = time.time()
    rows = [
        (
            unit.id, unit.state, unit.health if unit.state == "running" else "", remote.ago(now - unit.since),
            unit.place, unit.url, ", ".join(reached.get(unit.id, ())), _short(unit.reason),
        )
        for unit in units
    ]  # fmt: skip
    titles = ("SERVICE", "STATE", "HEALTH", "SINCE", "PLACE", "ADDRESS", "EXPOSED AT HOME TO", "WHY")
    head, *body = output.table(titles, rows)
    output.say(output.paint(output.fit(head), "dim"))
    for unit, line in zip(units, body, strict=True):
        cut = output.fit(line)
        name, rest = cut[: len(unit.id)], cut[len(unit.id) :]
        output.say(name + rest.replace(unit.state, output.paint(unit.state, output.mood_of(unit.state)), 1))
        if (
            cut != line and unit.reason and unit.state not in ("provided", "scheduled")
        ):  # what matters most is what was cut
            output.say(output.fit(f"  {_short(unit.reason)}"))
    wanted = f", wanted {site.wanted_revision[:8]}" if site.wanted_revision != site.revision else ""
    healthy = sum(unit.state == "running" and unit.health == "healthy" for unit in units)
    resting = sum(unit.state in records.AT_REST for unit in units)
    missing = sum(unit.state == "unavailable" for unit in units)
    jobs_due = sum(unit.state == "scheduled" for unit in units)
    aside = f", {missing} unavailable" if missing else ""
    aside += f", {jobs_due} at {'its time' if jobs_due == 1 else 'their times'}" if jobs_due else ""
    aside += f", {resting - missing - jobs_due} not run here" if resting > missing + jobs_due else ""
    settled = "settled" if records.settled(site, units) else "not settled"
    revision = site.revision[:8] or "none"
    output.say(f"\n{healthy} of {len(units) - resting} healthy{aside}; revision {revision}{wanted}; {settled}")
    if site.problem:
        output.say(output.paint(output.fit(f"problem: {_short(site.problem)}"), "bad"))


def say_remote(followed: remote.Followed) -> None:
    """What the lab follows, where it does, and why not, if so."""
    for line in remote.in_words(followed, time.time()):
        output.say(output.paint(line, "bad") if followed.refused or followed.problem else line)


def say_warnings(site: SiteFolder) -> None:
    """What is not as it should be, though the lab does without."""
    for text in warnings.read(site.path).values():
        output.say(output.paint(f"warning: {text}", "wait"))


def say_previews(site: SiteFolder) -> None:
    """A line about each branch of the lab that stands beside it."""
    if not site.previews.is_dir():
        return
    from blumeops.app import previews  # it reads descriptions, which nothing else here does
    from blumeops.forge.git import printable

    for each in previews.known(site).values():
        branch = shlex.quote(printable(each.branch))
        output.progress(f"preview of {branch} at {each.revision[:8]}: `blumeops preview {branch} --down` takes it away")


def _short(reason: str) -> str:
    """One line, without what a log said; the whole stands in `status --json` and in the history."""
    return " ".join(reason.partition("; its log:")[0].split())


def history(arguments: argparse.Namespace) -> int:
    """`blumeops history`: the newest first."""
    database = _database(place(arguments).site)
    if arguments.json:
        output.say_json(shown.history_as_json(database, arguments.limit))
        return 0
    for run in records.history(database, arguments.limit):
        when = datetime.fromtimestamp(run.started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        took = f" in {run.ended - run.started:.1f} s" if run.ended else ""
        mood = {"applied": "good", "healed": "good", "running": "wait", "drifted": "wait"}.get(run.outcome, "bad")
        output.say(f"{when}  {run.revision[:8]}  {output.paint(run.outcome, mood)}{took}")
        for change in run.changes:
            output.say(f"    {change}")
        for step in run.steps:
            reason = f": {step.message}" if step.message else ""
            output.say(output.paint(f"    {step.unit}: {step.action}, {step.seconds:.1f} s{reason}", "dim"))
        if run.message and not run.steps:
            output.say("    " + run.message.replace("\n", "\n    "))
    return 0


def _database(site: SiteFolder) -> Database:
    running.must_exist(site)
    database = read_database(site.path)
    if database is None:
        raise UserError("BLU790", str(site.path), "has seen nothing yet", "start it with `blumeops up`")
    return database
