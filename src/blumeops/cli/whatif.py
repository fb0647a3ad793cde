"""whatif: what is lost when a host, a cluster or a service is down, for whom; and the single points of failure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from blumeops.base.errors import UserError
from blumeops.base.findings import errors
from blumeops.checks.check import check
from blumeops.cli import output
from blumeops.cli.place import lab_folder
from blumeops.facts.access.access import Access
from blumeops.facts.outage import Loss, Outage, Outages
from blumeops.lab.load import load


def whatif(arguments: argparse.Namespace) -> int:
    """`blumeops whatif`: 0; 1 for a lab with errors."""
    loaded = load(lab_folder(arguments))
    checked = check(loaded)
    output.say_findings(checked.findings, sys.stderr)
    if errors(checked.findings):
        return 1
    outages = Outages(Access(loaded.lab, checked.facts))
    if arguments.what is None:
        _points(outages.single_points(), arguments.json)
        return 0
    try:
        found = outages.of(arguments.what)
    except LookupError:
        import difflib

        settings = loaded.lab.settings
        near = difflib.get_close_matches(
            arguments.what, [*settings.hosts, *settings.clusters, *checked.facts.services], n=1
        )
        hint = f"did you mean {near[0]}?" if near else "name a host, a cluster or a service"
        raise UserError("BLU291", arguments.what, "is nobody and nothing of this lab", hint) from None
    if arguments.json:
        output.say_json(found.as_json() | {"single_points": [_point(each) for each in outages.single_points()]})
    else:
        _say(found)
        output.say()
        _points(outages.single_points(), as_json=False)
    return 0


def _say(found: Outage) -> None:
    output.say(output.paint(f"without {found.name} ({found.kind})", "bold"))
    if not found.lost and not found.lacking:
        output.say("  nothing else is lost")
    for word, losses in (("lost", found.lost), ("runs on", found.lacking)):
        _losses(word, losses)
    for person, names in found.users.items():
        output.say(f"  for {person}: {', '.join(names)}")


def _losses(word: str, losses: Sequence[Loss]) -> None:
    if not losses:
        return
    head, *body = output.table(
        (word, "", ""), [(each.name, each.why, f"{each.place.file}:{each.place.line}") for each in losses]
    )
    output.say(f"  {output.paint(head, 'dim')}")
    for line in body:
        output.say(f"    {line}")


def _points(points: Sequence[Outage], as_json: bool) -> None:
    if as_json:
        output.say_json({"version": 1, "single_points": [_point(each) for each in points]})
        return
    output.say(output.paint("single points of failure", "bold") if points else "nothing is a single point of failure")
    rows = [(each.name, each.kind, str(len(each.lost)), ", ".join(loss.name for loss in each.lost)) for each in points]
    for line in output.table(("NAME", "KIND", "LOST", "WHAT"), rows) if points else ():
        output.say(f"  {line}")


def _point(each: Outage) -> dict[str, object]:
    return {"name": each.name, "kind": each.kind, "lost": [loss.name for loss in each.lost]}
