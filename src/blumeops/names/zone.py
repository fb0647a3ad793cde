"""What is answered from: one domain, the names in it, and where all of them lead. Imports nothing of DNS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

LARGEST = 1232
"""Bytes of a question, and of an answer over UDP: what no network takes to pieces (https://dnsflagday.net/2020/)."""


@dataclass(frozen=True, slots=True)
class Zone:
    """`labels`: in lower case, each one label before the domain. `serial`: grows whenever the names change."""

    domain: str
    labels: frozenset[str]
    serial: int
    addresses: tuple[str, ...] = ("127.0.0.1",)


def with_labels(zone: Zone, labels: Iterable[str], now: int) -> Zone:
    """The zone with these names; the same one where they are the same. `now`: seconds since 1970, for the serial."""
    wanted = frozenset(label.lower() for label in labels)
    # Two changes within a second, or a clock that was put back, must not give an old serial again (RFC 1982).
    return zone if wanted == zone.labels else replace(zone, labels=wanted, serial=max(now, zone.serial + 1))
