"""What the providers of a unit make for it, and how they are told again of the form that serves.

Promised: whatever was granted to a form that is taken back, the one that serves can work with its providers again.
"""

from __future__ import annotations

from blumeops.base.errors import BlumeError
from blumeops.engines.local import helpers, instance
from blumeops.engines.local.record import Instance
from blumeops.engines.local.site import Site
from blumeops.render.local_unit import LocalUnit


class Grants:
    """Of the wanted form of one unit. `told`: whether providers may have been told what the form that serves does not
    know."""

    def __init__(self, site: Site, unit: LocalUnit, told: bool) -> None:
        self.site, self.unit, self.told = site, unit, told

    def make(self, slot: str) -> None:
        """Let the providers make what the wanted form needs; what they were told is kept with its instance."""
        instance.keep_grants(self.site.folders.instance(self.unit.unit, slot), self.made())

    def made(self) -> list[helpers.Granted]:
        """Let the providers make it; what they were told. Raises EngineError `BLU711`, Unavailable `BLU709`."""
        done = []
        for wish in self.unit.grants:
            provider, spec = self.site.provider(wish.provider)
            resolver = self.site.resolver_of(provider)
            granted = helpers.resolved(wish, resolver)
            self.told = True
            helpers.grant(self.unit.unit, granted, spec, resolver)
            done.append(granted)
        return done

    def again(self, old: Instance | None) -> str:
        """The providers shall know the old form's passwords again; empty, or what went wrong."""
        if old is None or not self.told:
            return ""
        try:
            for granted in instance.kept_grants(self.site.folders.instance(self.unit.unit, old.slot)):
                provider, spec = self.site.provider(granted.provider)
                helpers.grant(self.unit.unit, granted, spec, self.site.resolver_of(provider))
        except BlumeError as error:
            return f"; and what its providers were told: {error.message}"
        self.told = False
        return ""
