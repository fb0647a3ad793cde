"""`check --live`, of site `here`: whether what runs is what the description says, and is well. Nothing is changed.

In: a lab that passed the checks, and its site. Out: findings: a warning for each unit that is not well, a note for each
that the description has otherwise than it runs, which is so of every change before its push. Nothing where the site was
never up.
"""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.app.running import controller_answers
from blumeops.app.site import compared, contained
from blumeops.base.findings import Finding, Place
from blumeops.base.site import SiteFolder
from blumeops.checks.check import CheckedLab
from blumeops.plan.compare import compare
from blumeops.render import local
from blumeops.status import records
from blumeops.status.database import read_database


def findings(checked: CheckedLab, site: SiteFolder) -> Iterator[Finding]:
    """As `plan` compares, and as `status` says."""
    database, applied = read_database(site.path), compared(site)
    if database is None or not applied:
        return
    if not controller_answers(site):
        message = "what runs at this site is not known: its controller does not run"
        yield Finding("BLU138", checked.lab.place(), checked.lab.settings.lab, message, "blumeops up", "note")
        return
    for unit in records.units(database):
        if unit.state not in records.AT_REST and (unit.state, unit.health) != ("running", "healthy"):
            state = f"runs, but is {unit.health}" if unit.state == "running" else f"is {unit.state}"
            message = f"{state}{f': {unit.reason}' if unit.reason else ''}"
            yield Finding("BLU138", _place(checked, unit.id), unit.id, message, "blumeops status", "warning")
    for change in compare(local.units(local.render(checked)), applied, contained(site)).changes:
        message = f"is not as it is described here: {change.action}, {change.why}"
        yield Finding("BLU138", _place(checked, change.unit), change.unit, message, "blumeops plan", "note")


def _place(checked: CheckedLab, unit: str) -> Place:
    """Where the unit's service is described; a unit may be a part of one, or of none any more."""
    found = checked.facts.services.get(unit)
    return checked.lab.service_place(found.name if found else unit)
