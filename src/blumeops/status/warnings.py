"""What the controller warns of besides the units: a small file in the state folder, written whole.

A warning is about what is of use but what nothing else needs; the site is settled all the same. The controller writes,
`status` reads, also when no controller runs. A file that is missing or damaged holds none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from blumeops.base.files import PRIVATE, write_whole

FILE = "warnings.json"


def read(folder: Path) -> dict[str, str]:
    """The warnings below the state folder `folder`, by what they are about."""
    try:
        found = json.loads((folder / FILE).read_text())
        return {str(about): str(text) for about, text in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def write(folder: Path, warnings: Mapping[str, str]) -> None:
    """Keep them instead of those before. Raises EngineError `BLU903`."""
    if read(folder) != warnings:
        write_whole(folder / FILE, json.dumps(dict(warnings), indent=2) + "\n", PRIVATE)
