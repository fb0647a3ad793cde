"""Who reaches each service at site home, as the applied revision says: a small file in the state folder, written whole.

The controller writes it after a sync, `status` reads it. A file that is missing or damaged tells of no service.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from blumeops.base.files import PRIVATE, write_whole

FILE = "audience.json"


def read(folder: Path) -> dict[str, tuple[str, ...]]:
    """By service, below the state folder `folder`."""
    try:
        found = json.loads((folder / FILE).read_text())
        return {str(name): tuple(map(str, who)) for name, who in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def write(folder: Path, found: Mapping[str, Sequence[str]]) -> None:
    """Keep it instead of what was there. Raises EngineError `BLU903`."""
    if read(folder) != found:
        write_whole(folder / FILE, json.dumps(dict(found), indent=2) + "\n", PRIVATE)
