"""Whom an entry of `allow:` means: people by name, role, group or device; machines by host, service or `cluster`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from blumeops.lab.model import Lab, Service

ROLES = {"admins": "admin", "members": "member"}

CallerKind = Literal["role", "person", "group", "host", "service", "cluster"]


@dataclass(frozen=True, slots=True)
class Caller:
    """One entry of `allow:`. `cluster` means the pods of all clusters."""

    kind: CallerKind
    name: str


def callers(lab: Lab, name: str) -> tuple[Caller, ...]:
    """What an entry of `allow:` may mean: none when it is unknown, more than one when it is ambiguous."""
    settings = lab.settings
    found: list[Caller] = []
    if name in ROLES:
        found.append(Caller("role", name))
    if name == "cluster":
        found.append(Caller("cluster", name))
    kinds: tuple[tuple[CallerKind, Mapping[str, object]], ...] = (
        ("person", settings.people), ("group", settings.groups), ("host", settings.hosts), ("service", lab.services),
    )  # fmt: skip
    return (*found, *(Caller(kind, name) for kind, known in kinds if name in known))


def caller(lab: Lab, name: str) -> Caller | None:
    """What an entry of `allow:` means; the first that it may, where it is ambiguous."""
    return next(iter(callers(lab, name)), None)


def people_of(lab: Lab, who: Caller) -> tuple[str, ...]:
    """The people that a caller stands for; a person's own device stands for its owner."""
    people = lab.settings.people
    match who.kind:
        case "role":
            return tuple(name for name, person in people.items() if person.role == ROLES[who.name])
        case "group":
            return tuple(name for name in lab.settings.groups[who.name] if name in people)
        case "person":
            return (who.name,)
        case "host":
            owner = lab.settings.hosts[who.name].owner
            return (owner,) if owner in people else ()
    return ()


def names_people(lab: Lab, service: Service) -> bool:
    """Whether `allow:` names people, by name, role, group or device: then the service has a name for them."""
    found = (caller(lab, name) for name in service.allow)
    return any(who.kind in ("role", "person", "group") or people_of(lab, who) for who in found if who)
