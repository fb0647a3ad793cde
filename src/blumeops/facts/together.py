"""The parts of a Compose file, together: which they are, and what each one's names there are as names of DNS.

In: a lab. Out: parts by the service that names their file, and a label for each name of a part. Kubernetes' Services
take labels alone: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#rfc-1035-label-names
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from blumeops.lab.model import Lab, Member

_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def files(lab: Lab) -> Mapping[str, tuple[str, ...]]:
    """By the service that names a Compose file: its parts, in the order of names."""
    found: dict[str, list[str]] = {}
    for name in sorted(lab.members):
        found.setdefault(lab.members[name].project, []).append(name)
    return {project: tuple(parts) for project, parts in found.items()}


def labels(member: Member) -> Mapping[str, str]:
    """By the name that a part has in its file: the label that it is in DNS, which knows no case; empty: it is none."""
    lowered = {alias: alias.lower() for alias in member.aliases}
    return {alias: label if _LABEL.fullmatch(label) else "" for alias, label in lowered.items()}


def pods_of(part: str) -> str:
    """The name by which DNS leads to the pods of a part, in its namespace."""
    return f"{part}-pods"
