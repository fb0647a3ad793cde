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


def makes_backups(facts: ServiceFacts) -> bool:
    """Whether it is what keeps the backups of a host."""
    derived = any(file.derived == "backup" for file in facts.app.files.values())
    return derived and facts.service.host is not None


def held(services: Mapping[str, ServiceFacts], all_kept: tuple[Kept, ...]) -> dict[str, tuple[Kept, ...]]:
    """What each maker of backups on a host holds at site `home`, by service.

    Folders are those of its own host. A database is streamed by the maker on the device of its provider, else by the
    first one. Where two are on one host, the first in the order of names holds everything.
    """
    makers = {name: facts.host for name, facts in sorted(services.items()) if makes_backups(facts)}
    by_host: dict[str, str] = {}
    for name, host in makers.items():
        by_host.setdefault(host, name)
    first = next(iter(makers), "")
    found: dict[str, list[Kept]] = {name: [] for name in makers}
    for each in all_kept:
        folders, database = by_host.get(services[each.service].service.host or ""), ""
        if each.database:
            database = by_host.get(services[each.database.provider].host, first)
        for name in dict.fromkeys(filter(None, (folders, database))):
            mine = each.folders if name == folders else ()
            use = each.database if name == database else None
            if mine or use:
                found[name].append(Kept(each.service, mine, use))
    return {name: tuple(kept) for name, kept in found.items()}


def left_out(services: Mapping[str, ServiceFacts], all_kept: tuple[Kept, ...]) -> tuple[tuple[str, str], ...]:
    """The services whose folders nothing holds at site `home`, each with its place: volumes of clusters, and hosts
    without a maker of backups."""
    folders = {each.service for kept in held(services, all_kept).values() for each in kept if each.folders}
    return tuple(
        (each.service, services[each.service].service.place)
        for each in all_kept
        if each.folders and each.service not in folders
    )
