"""Folders of this machine that stand in for shares of the lab, as `up --share` named them: a small file in the state.

`up` writes it; whatever makes an engine reads it. A file that is missing or damaged names none: each share is a folder
of the state then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from blumeops.base.files import PRIVATE, write_whole

FILE = "shares.json"


def read(folder: Path) -> dict[str, Path]:
    """By share (`host/share`), below the state folder `folder`."""
    try:
        found = json.loads((folder / FILE).read_text())
        return {str(share): Path(path) for share, path in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write(folder: Path, named: Mapping[str, Path]) -> None:
    """Keep them. Raises EngineError `BLU903`."""
    text = json.dumps({share: str(path) for share, path in sorted(named.items())}, indent=2)
    write_whole(folder / FILE, text + "\n", PRIVATE)
