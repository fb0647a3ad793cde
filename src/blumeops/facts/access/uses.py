"""Names that a service is given word for word: in its environment, its options, its blocks for one engine, its files.

A name under the lab's tailnet or domain is meant to be reached, from where the service runs. Its own name is not: that
is what it tells its visitors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from blumeops.base.findings import Place
from blumeops.facts.access.access import Access
from blumeops.facts.derive import ServiceFacts

VERBS = {"prometheus": "reads metrics from", "loki": "keeps logs in", "forgejo": "uses the forge", "zot": "pulls from"}
"""What one does with such a service, by app."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name that a service is given: `label` before the tailnet (`magic`) or the domain; `used`: whose that is."""

    user: str
    name: str
    label: str
    magic: bool
    used: str
    place: Place
    port: int | None
    """The number behind it, where there is one."""


class Uses:
    """Finds the names."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.labels = {service.label: name for name, service in access.facts.services.items()}

    @cached_property
    def _zones(self) -> tuple[str, ...]:
        ids = self.access.ids
        return tuple(zone for zone in (ids.tailnet, ids.domain) if zone)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        zones = "|".join(map(re.escape, self._zones))
        name, number = r"(?<![\w.-])([a-z0-9-]+(?:\.[a-z0-9-]+)*)", r"(?![\w-]|\.\w)(?::(\d{1,5})(?!\d))?"
        return re.compile(rf"{name}\.({zones}){number}", re.IGNORECASE)

    def of(self, service: ServiceFacts) -> Iterator[Named]:
        """The names of a service, each once a place."""
        if not self._zones:
            return
        seen = set()
        for text, place in self._texts(service):
            if not any(zone in text.lower() for zone in self._zones):
                continue
            for match in self._pattern.finditer(text):
                label, zone = match[1].lower(), match[2].lower()
                used = self.labels.get(label, "")
                magic = zone == self.access.ids.tailnet
                port = int(match[3]) if match[3] else None
                found = Named(service.name, f"{label}.{zone}", label, magic, used, place, port)
                if used != service.name and found not in seen:
                    seen.add(found)
                    yield found

    def _texts(self, service: ServiceFacts) -> Iterator[tuple[str, Place]]:
        lab, name, described = self.access.lab, service.name, service.service
        own = lab.service_place(name)
        for key, text in described.env.items():
            yield text, lab.service_place(name, "env", key)
        for key, value in described.options.items():
            yield from _strings(value, lab.service_place(name, "options", key))
        yield from _strings(
            described.kubernetes, lab.service_place(name, "kubernetes") if described.kubernetes else own
        )
        yield from _strings(described.ansible, lab.service_place(name, "ansible") if described.ansible else own)
        wiring = service.wiring
        texts = [t for key, t in wiring.env.items() if key not in described.env]
        options = [v for value in described.options.values() for v, _ in _strings(value, own)]
        for parts in (*texts, *wiring.command, *wiring.files.values()):
            for part in parts:
                # What an option says was looked at where it stands.
                if isinstance(part, str) and not any(option in part for option in options if "." in option):
                    yield part, own


def _strings(value: Any, place: Place) -> Iterator[tuple[str, Place]]:
    if isinstance(value, str):
        yield value, place
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each, place)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each, place)
