"""A role of the lab's own: copied as it is, given its variables and secrets by the playbook.

In it, `op_secrets['op://vault/item/field']` is a secret that the playbook read beforehand: every such reference in its
files is found. Each secret of the service and its app is a variable, `SERVICE_NAME`, and so is what `ansible:` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blumeops.checks.check import CheckedLab
from blumeops.facts import parts
from blumeops.facts.derive import ServiceFacts
from blumeops.lab.brought.model import way_of
from blumeops.render.ansible.contained import contained
from blumeops.render.ansible.speak import Speaker, variable
from blumeops.render.ansible.words import in_variable


@dataclass(frozen=True, slots=True)
class OwnRole:
    """`files`: by path below the role's folder. `secrets`: the references that it reads."""

    files: Mapping[str, bytes]
    secrets: frozenset[str]
    variables: Mapping[str, Any]


def rendered(checked: CheckedLab, service: ServiceFacts) -> bool:
    """Whether its role is made from its app."""
    if way_of(service.service) is not None:
        return False
    return contained(checked, service) or (bool(service.app.command) and not service.service.compose)


def own_role(checked: CheckedLab, service: ServiceFacts) -> OwnRole:
    """The role that the lab brings for a service."""
    brought = checked.lab.brought[service.name]
    read: set[str] = {named.reference for named in brought.secrets}
    say = Speaker(checked, service, read)
    given = {
        variable(service.name, use.name.replace("-", "_")): in_variable(say((parts.SecretValue(use.reference),)))
        for use in service.secrets
    }
    return OwnRole(brought.files, frozenset(read), given | service.service.ansible)
