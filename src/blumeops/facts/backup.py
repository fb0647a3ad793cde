"""What must be backed up: what the services of a lab keep, where none of it can be had again.

In: the facts of each service. Out: folders and databases, in the order of names. A database is dumped through its
provider; the provider's own folder is left out then, since a copy of it while it runs would not be whole. A job keeps
nothing of its own that is worth it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blumeops.facts.lookups import DatabaseUse

if TYPE_CHECKING:
    from blumeops.facts.derive import ServiceFacts


@dataclass(frozen=True, slots=True)
class Kept:
    """What one service keeps: folders by name, and its database in another service."""

    service: str
    folders: tuple[str, ...]
    database: DatabaseUse | None


def kept(services: Mapping[str, ServiceFacts]) -> tuple[Kept, ...]:
    """All that is worth a backup."""
    found = []
    for name, facts in sorted(services.items()):
        if facts.app.kind != "service":
            continue
        dumped = any(provide.dump for provide in facts.app.provides.values())
        folders = () if dumped else tuple((facts.service.state or facts.app.state).folders)
        use = facts.database
        if use and not services[use.provider].app.provides["database"].dump:
            use = None
        if folders or use:
            found.append(Kept(name, folders, use))
    return tuple(found)
