"""Programs: from a unit's sources to a folder of binaries, or to an image.

In: sources in the order in which they are tried, and the version wanted. Out: a `Program`, or Unavailable
`BLU701` that says for each source why not and how to get it. Promised: the version is the one wanted; what is
fetched is verified, by the distribution's signature or by its SHA-256, and is whole or not there; nothing is
installed, no root.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from blumeops.base.errors import Unavailable
from blumeops.engines.local.programs import deb, images, installed, release
from blumeops.engines.local.programs.found import Missing, Program
from blumeops.render.local_unit import Source

__all__ = ["Program", "Programs", "cache_folder"]

Say = Callable[[str], None]
Fetch = Callable[[Source, str], Program | Missing]


def cache_folder() -> Path:
    """Shared by all labs of this user, absolute: `BLUMEOPS_CACHE`, else the platform's (the machine's for root,
    since services of root run as another user)."""
    named = os.environ.get("BLUMEOPS_CACHE")
    if named:
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path(platformdirs.site_cache_dir("blumeops"))
    return Path(platformdirs.user_cache_dir("blumeops"))


@dataclass(frozen=True)
class Programs:
    """`cache`: the folder for what is fetched."""

    cache: Path

    def obtain(self, sources: Sequence[Source], version: str, say: Say) -> Program:
        """The first source that has the version. Raises Unavailable `BLU701` with the reason of every source."""
        missing = []
        fetched: dict[str, Fetch] = {
            "deb": lambda each, of: deb.unpacked(each, of, self.cache, say),
            "release": lambda each, of: release.unpacked(each, of, self.cache, say),
            "container": lambda each, of: images.obtained(each, of, say),
        }
        for source in sources:
            wanted = source.version or version
            found: Program | Missing = installed.ask(source, wanted, fetched)
            if isinstance(found, Program):
                return found
            missing.append((source, found))
        name = sources[0].name if sources else "program"
        reasons = "; ".join(f"{source.kind} {source.name}: {each.reason}" for source, each in missing)
        commands = [each.command for _, each in missing if each.command]
        hint = f"get it by: {' | '.join(commands)}" if commands else ""
        raise Unavailable("BLU701", f"{name} {version}", reasons or "no source is named", hint)
