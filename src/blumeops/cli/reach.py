"""reach: may a source reach a destination, by which name, and by which lines; one pair, or everybody and everything."""

from __future__ import annotations

import argparse
import csv
import io
import sys

from blumeops.base.errors import UserError
from blumeops.base.findings import errors
from blumeops.checks.check import check
from blumeops.cli import output
from blumeops.cli.place import lab_folder
from blumeops.facts.access import verdict
from blumeops.facts.access.access import Access
from blumeops.facts.access.chart import Chart, chart
from blumeops.facts.access.here import at_here
from blumeops.facts.access.sources import kind_of
from blumeops.lab.load import load


def reach(arguments: argparse.Namespace) -> int:
    """`blumeops reach`: 0 when it can be reached, 1 when not; with --matrix always 0. 1 for a lab with errors, too."""
    loaded = load(lab_folder(arguments))
    checked = check(loaded)
    output.say_findings(checked.findings, sys.stderr)
    if errors(checked.findings):
        return 1
    access = Access(loaded.lab, checked.facts)
    if arguments.matrix:
        if arguments.site == "here":
            hint = "whoever is on this machine reaches all of it; leave out --site here for the real devices"
            raise UserError("BLU290", "reach", "has a matrix for site home alone", hint)
        return _matrix(chart(access), arguments)
    if not arguments.src or not arguments.dst:
        raise UserError("BLU290", "reach", "needs a source and a destination", "or --matrix, for all of them")
    name, port = _port(arguments.dst)
    for text in (arguments.src, name):
        _known(access, text)
    found = (
        at_here(access, arguments.src, name, port)
        if arguments.site == "here"
        else verdict.reach(access, arguments.src, name, port)
    )
    if arguments.json:
        output.say_json(found.as_json())
    else:
        _say(found)
    return 0 if found.reachable else 1


def _port(text: str) -> tuple[str, int | None]:
    """`grafana:443`, `host:grafana`, `host:grafana:22`: the name, and the port if there is one."""
    name, colon, number = text.rpartition(":")
    if not colon or not number.isdecimal():
        return text, None
    if len(number) > 5 or not 0 < int(number) < 65536:
        raise UserError("BLU290", text, "has no port from 1 to 65535")
    return name, int(number)


def _known(access: Access, text: str) -> None:
    try:
        kind_of(access, text)
    except LookupError:
        import difflib

        settings = access.lab.settings
        known = [*settings.people, *settings.hosts, *settings.clusters, *access.facts.services, "internet", "lan"]
        near = difflib.get_close_matches(text, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "name a person, host, cluster or service, internet or lan"
        raise UserError("BLU291", text, "is nobody and nothing of this lab", hint) from None


def _say(found: verdict.Verdict) -> None:
    port = f" on {found.port}" if found.port else ""
    if found.reachable:
        by = f", by {found.name}" if found.name else ""
        output.say(output.paint(f"yes: {found.source} reaches {found.destination}{port}{by}", "good"))
    else:
        output.say(output.paint(f"no: {found.source} does not reach {found.destination}{port}", "bad"))
    rows = [(f"{each.place.file}:{each.place.line}", each.text) for each in found.because]
    width = max((len(place) for place, _ in rows), default=0)
    for place, text in rows:
        output.say(f"  {output.paint(place.ljust(width), 'dim')}  {text}")


def _matrix(found: Chart, arguments: argparse.Namespace) -> int:
    if arguments.json:
        output.say_json(found.as_json())
    elif arguments.csv:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["", *found.destinations])
        writer.writerows([source, *row] for source, row in zip(found.sources, found.cells, strict=True))
        sys.stdout.write(out.getvalue())
    else:
        # Services are many and callers few: a service is a row.
        rows = [[name, *(cell or "-" for cell in column)] for name, column in found.columns()]
        for line in output.table(["", *found.sources], rows):
            output.say(line)
    return 0
