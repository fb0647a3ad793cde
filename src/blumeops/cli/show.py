"""show: what is derived for a service, and from which line of the description. Nothing is changed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from blumeops.base.errors import UserError
from blumeops.base.findings import Place
from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab, check
from blumeops.cli import output
from blumeops.cli.place import lab_folder
from blumeops.facts.access.access import Access
from blumeops.facts.derive import Facts, ServiceFacts
from blumeops.facts.story import Told, needed_by, tell
from blumeops.lab.load import load
from blumeops.lab.model import Lab

_TEXT = 44
"""A text that is no longer leaves its place beside it in one column."""


def show(arguments: argparse.Namespace) -> int:
    """`blumeops show`: a table of all services, or all about one; 1 when the lab does not pass the checks."""
    loaded = load(lab_folder(arguments))
    checked, lab = check(loaded), loaded.lab
    output.say_findings(checked.findings, sys.stderr)
    if arguments.service:
        _one(lab, checked.facts, _named(checked.facts, arguments.service), checked.passed, arguments.json)
    elif arguments.json:
        access, measured = Access(lab, checked.facts), _measured(checked.passed)
        services = [_as_json(lab, checked.facts, name, measured, access) for name in checked.facts.services]
        output.say_json({"version": 1, "lab": lab.settings.lab, "services": services})
    else:
        _all(lab, checked.facts)
    return 0 if checked.passed else 1


def _named(facts: Facts, name: str) -> str:
    if name not in facts.services:
        import difflib

        near = difflib.get_close_matches(name, facts.services, n=1)
        hint = f"did you mean {near[0]}?" if near else "`blumeops show` lists them"
        raise UserError("BLU763", name, "is no service of this lab", hint)
    return name


def _all(lab: Lab, facts: Facts) -> None:
    rows = [
        (
            name, f"{each.app.app} {each.version}", each.service.place, each.here_url, ", ".join(each.needs),
            _line(lab.service_place(name)),
        )
        for name, each in facts.services.items()
    ]  # fmt: skip
    head, *body = output.table(("SERVICE", "APP", "PLACE", "ADDRESS HERE", "NEEDS", "FROM"), rows)
    output.say(output.paint(head, "dim"))
    for line in body:
        output.say(line)
    output.progress("\nin the order in which they start; `blumeops show SERVICE` tells all about one")


def _one(lab: Lab, facts: Facts, name: str, passed: CheckedLab | None, as_json: bool) -> None:
    files = _files(passed, name) if passed else {}
    if as_json:
        output.say_json({"version": 1, **_as_json(lab, facts, name, _measured(passed)), "files": files})
        return
    output.say(output.paint(name, "bold"))
    topic = ""
    for told in [*tell(lab, facts, name), *_measured(passed)(name)]:
        output.say(_row(told, "" if told.topic == topic else told.topic))
        topic = told.topic
    for site, paths in files.items():
        for index, line in enumerate(_by_folder(paths)):
            output.say(f"  {'' if index else f'files {site}':10}  {line}")


def _by_folder(paths: Sequence[str]) -> list[str]:
    """The file alone in its folder, or the folder and how many are in it."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault("/".join(path.split("/")[:3]), []).append(path)
    return [inside[0] if len(inside) == 1 else f"{folder}/ ({len(inside)} files)" for folder, inside in folders.items()]


def _row(told: Told, topic: str) -> str:
    return f"  {topic:10}  {told.text:{_TEXT}}  {output.paint(_line(told.place), 'dim')}"


def _line(place: Place) -> str:
    return f"{place.file}:{place.line}"


def _measured(passed: CheckedLab | None) -> Callable[[str], list[Told]]:
    """Tells what is measured of a service; nothing is rendered from a lab with errors."""
    from blumeops.render.telemetry.story import Measured

    return Measured(passed).tell if passed else lambda _: []


def _as_json(
    lab: Lab, facts: Facts, name: str, measured: Callable[[str], list[Told]], access: Access | None = None
) -> dict[str, object]:
    each: ServiceFacts = facts.services[name]
    return {
        "service": name, "app": each.app.app, "app_version": each.version, "place": each.service.place,
        "host": each.host,
        "addresses": {"here": each.here_url, "people": each.people_url, "machines": each.machine_url},
        "needs": list(each.needs), "needed_by": needed_by(facts, name),
        "derived": [
            {"topic": told.topic, "text": told.text, "file": told.place.file, "line": told.place.line}
            for told in [*tell(lab, facts, name, access), *measured(name)]
        ],
    }  # fmt: skip


def _files(passed: CheckedLab, name: str) -> Mapping[str, list[str]]:
    """By site: the files that are rendered for this service alone."""
    from blumeops.render import local
    from blumeops.render.ansible import render as for_hosts
    from blumeops.render.kubernetes import render as for_clusters

    def own(*trees: FileTree) -> list[str]:
        return [path for tree in trees for path in tree if name in _subjects(path)]

    return {"here": own(local.render(passed)), "home": own(for_hosts(passed), for_clusters(passed))}


def _subjects(path: str) -> tuple[str, ...]:
    """What a rendered file may be about: `units/NAME.json`, `argocd/apps/NAME.yaml`, `ansible/roles/NAME/…`."""
    parts = PurePosixPath(path).parts
    return (parts[2],) if len(parts) > 3 else (PurePosixPath(path).stem,) if len(parts) > 1 else ()
