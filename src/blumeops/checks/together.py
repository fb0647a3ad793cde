"""BLU309 of Compose files: in a cluster their parts find each other by the names that they have in the file."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding, Place, Severity
from blumeops.facts.derive import Facts
from blumeops.facts.together import files, labels, pods_of
from blumeops.lab.marks import shown
from blumeops.lab.model import Lab, Member


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Each name can be one in DNS, and leads to one part. A second name of a part may be of use elsewhere alone."""
    for parts in files(lab).values():
        if not lab.services[parts[0]].cluster:
            continue
        taken = {name: part for part in parts for name in (part, pods_of(part))}
        for part in parts:
            member = lab.members[part]
            for alias, label in labels(member).items():
                place = _place(lab, member, alias)
                if not label:
                    message = f"is not found as `{shown(alias)}` by the other parts: it is no name in Kubernetes"
                    severity: Severity = "error" if alias == member.key else "warning"
                    hint = "use small letters, digits and -, and begin with a letter"
                    yield Finding("BLU309", place, part, message, hint, severity)
                elif taken.setdefault(label, part) != part:
                    message = f"has the name `{shown(alias)}`, by which {taken[label]} is found in its cluster"
                    yield Finding("BLU309", place, part, message, "give one of the two another")


def _place(lab: Lab, member: Member, alias: str) -> Place:
    document = lab.documents[member.file]
    entry = document.data["services"][member.key]
    field = next((field for field in ("container_name", "hostname") if str(entry.get(field)) == alias), "")
    if alias == member.key or not field:
        return document.place("services", member.key, of_key=True)
    return document.place("services", member.key, field)
