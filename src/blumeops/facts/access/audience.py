"""Who reaches a service at site home, in a few words: for a column of a table. `Story.exposure` tells it with names."""

from __future__ import annotations

from blumeops.facts.access.access import Access
from blumeops.facts.access.services import to_service
from blumeops.facts.access.sources import Source, source

_FEW = 3


def audiences(access: Access) -> dict[str, tuple[str, ...]]:
    """By service: people but for admins, machines, `the home network`; `admins` where it is nobody else, `nobody`.

    Services without a port are left out, and so are all in a lab without a tailnet and a domain: nothing stands between
    there. More than a few people are `N people`; all machines that are elsewhere are `machines`.
    """
    if not (access.ids.tailnet or access.ids.domain):
        return {}
    settings = access.lab.settings
    people = {name: source(access, f"person:{name}") for name in settings.people}
    machines = {n: source(access, f"host:{n}") for n, host in settings.hosts.items() if host.owner is None}
    machines |= {f"{n} (pods)": source(access, f"cluster:{n}") for n in access.ids.placed_clusters}
    lan = source(access, "lan")
    found = {}
    for name, service in access.facts.services.items():
        if not service.ports:
            continue
        everybody = [who for who, asked in people.items() if _is_open(access, asked, name)]
        words = [who for who in everybody if settings.people[who].role != "admin"]
        words = words if len(words) <= _FEW else [f"{len(words)} people"]
        elsewhere = {who: asked for who, asked in machines.items() if asked.place != service.service.place}
        near = [who for who, asked in elsewhere.items() if _is_open(access, asked, name)]
        words += ["machines"] if near and len(near) == len(elsewhere) else near
        words += ["the home network"] if _is_open(access, lan, name) else []
        found[name] = tuple(words) or (("admins",) if everybody else ("nobody",))
    return found


def _is_open(access: Access, who: Source, name: str) -> bool:
    return any(not way.missing for way in to_service(access, who, name))
