"""Which units are no more, and left something: by the names of files alone, since `status` asks each time."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from blumeops.engines.local.folders import SLOTS


def known(units: Path) -> set[str]:
    """Every unit that left something to take away below `units`: a record, or the files of an instance."""
    return {path.parent.name for name in ("record.json", *SLOTS) for path in units.glob(f"*/{name}")}


def of_gone_units(state: Path) -> set[str]:
    """Those of which something is kept, and that are no more. Never raises."""
    names = {path.name for path in (state / "data").glob("*/") if not _is_empty(path)}
    names |= {path.parent.name for path in (state / "units").glob("*/kept.json")}
    return names - known(state / "units")


def _is_empty(folder: Path) -> bool:
    """Whether there is nothing in it; what we may not look into is not empty."""
    with suppress(OSError):
        return not any(folder.iterdir())
    return False
