"""When a unit that is not as it should be is looked at again: soon, then later and later, then not before the next
look at everything.

In: times of a monotonic clock, passed in, so a jump of the wall clock moves nothing. Out: what is due.
"""

from __future__ import annotations

from collections.abc import Iterable

FIRST = 0.1
"""Seconds from what happened to the second look; the first is at once."""
GROWTH = 1.6
LONGEST = 6.0
"""A pause that would be longer ends it: the look at everything comes about then."""


class FollowUp:
    """Units, when each is due, and the pause after that."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[float, float]] = {}

    def begin(self, unit: str, now: float) -> None:
        """Something happened to the unit: it is due at once."""
        self._due[unit] = (now, FIRST)

    def due(self, now: float) -> set[str]:
        """What is to be looked at now."""
        return {unit for unit, (at, _) in self._due.items() if at <= now}

    def wait(self, now: float) -> float | None:
        """Seconds until something is due; None while nothing is."""
        return max(0.0, min(at for at, _ in self._due.values()) - now) if self._due else None

    def looked(self, unit: str, settled: bool, now: float) -> None:
        """The unit was looked at: it is as it should be, or is due again."""
        _, pause = self._due.pop(unit, (now, FIRST))
        if not settled and pause <= LONGEST:
            self._due[unit] = (now + pause, pause * GROWTH)

    def forget(self, units: Iterable[str]) -> None:
        """These are no more."""
        for unit in units:
            self._due.pop(unit, None)
