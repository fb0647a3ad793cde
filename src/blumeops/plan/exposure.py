"""What changes of who reaches what, between two checked labs, in a person's words: "household can now reach grafana".

Pure. Subjects are the people who are no admins, each for themselves; the machines of the lab; and the home network, by
addresses past the tailnet. Admins reach everything: only who becomes one, or is one no more, is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blumeops.checks.check import CheckedLab
from blumeops.facts.access.access import Access
from blumeops.facts.access.devices import to_host
from blumeops.facts.access.services import to_service
from blumeops.facts.access.sources import source

EVERYTHING = "everything"
_FEW = 5
"""Services of one subject that are told a line each; more stand on one."""
_MANY = 30
"""Those that are named on one line."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """One subject that reaches one thing from now on, or no more. `port`: None for everything."""

    subject: str
    what: str
    port: int | None
    opened: bool

    def __str__(self) -> str:
        return f"{self.subject} {_can(self.opened)} {_what(self)}"

    def as_json(self) -> dict[str, object]:
        """The object in `exposure` of `plan --json`."""
        return {
            "src": self.subject, "dst": self.what, "port": self.port, "opened": self.opened, "text": str(self),
        }  # fmt: skip


def exposure(before: CheckedLab | None, after: CheckedLab) -> tuple[Exposure, ...]:
    """The changes: by subject, what is opened first. Without a lab before, everything is new."""
    old = _opened(before) if before else {}
    new = _opened(after)
    found = []
    for subject in dict.fromkeys([*new, *old]):
        had, has = old.get(subject, {}), new.get(subject, {})
        if EVERYTHING in had and EVERYTHING in has:
            continue
        for opened, some, others in ((True, has, had), (False, had, has)):
            found += [
                Exposure(subject, what, port or None, opened)
                for what, ports in some.items()
                for port in sorted(ports - others.get(what, frozenset()))
            ]
    return tuple(found)


def exposure_lines(changes: tuple[Exposure, ...]) -> list[str]:
    """The changes, a line each; many of one subject stand on one line."""
    lines = []
    groups: dict[tuple[str, bool], list[Exposure]] = {}
    for change in changes:
        groups.setdefault((change.subject, change.opened), []).append(change)
    for (subject, opened), found in groups.items():
        if len(found) <= _FEW:
            lines += [str(change) for change in found]
        else:
            more = f" and {len(found) - _MANY} more" if len(found) > _MANY else ""
            lines.append(f"{subject} {_can(opened)} {', '.join(map(_what, found[:_MANY]))}{more}")
    return lines


def _can(opened: bool) -> str:
    return "can now reach" if opened else "can no longer reach"


def _what(change: Exposure) -> str:
    return change.what if change.port is None else f"{change.what} on {change.port}"


def _opened(checked: CheckedLab) -> Mapping[str, Mapping[str, frozenset[int]]]:
    """By subject: what it reaches, at which ports; 0 stands for all."""
    access = checked.access
    settings = checked.lab.settings
    if not access.ids.tailnet and not access.ids.domain:
        return {}
    found: dict[str, dict[str, frozenset[int]]] = {}
    for name, person in settings.people.items():
        found[name] = (
            {EVERYTHING: frozenset({0})} if person.role == "admin" else _reached(access, name, f"person:{name}")
        )
    for name, host in settings.hosts.items():
        if host.owner is None:
            found[f"the host {name}"] = _reached(access, name, f"host:{name}")
    for name in access.ids.placed_clusters:
        found[f"the pods of {name}"] = _reached(access, name, f"cluster:{name}")
    found["the home network, past the tailnet,"] = _reached(access, "lan", "lan")
    return found


def _reached(access: Access, name: str, text: str) -> dict[str, frozenset[int]]:
    who = source(access, text)
    found = {}
    for service in sorted(access.facts.services):
        if not access.facts.services[service].ports:
            continue
        # What is beside a source is not exposed to it: it is there already, and no way of the tailnet.
        ports = frozenset(way.port for way in to_service(access, who, service) if not way.missing and not way.beside)
        if ports:
            found[service] = ports
    for host in access.lab.settings.hosts:
        if host != who.host and who.view != "lan":
            ports = frozenset(way.port for way in to_host(access, who, host, None) if not way.missing)
            if ports:
                found[f"the host {host}"] = ports
    return found
