"""The token that pushing asks for: one private file below the site's state."""

from __future__ import annotations

import secrets
from pathlib import Path

from blumeops.base.files import PRIVATE, private_folder, write_whole


def token_file(state: Path) -> Path:
    """Where the token of the site with this state folder lies."""
    return state / "forge-token"


def read_or_make(state: Path) -> str:
    """The site's token; made on the first start. The file is for its owner only. Raises EngineError `BLU903`."""
    path = token_file(state)
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        token = ""
    if not token:
        token = secrets.token_urlsafe(32)
        if not state.is_dir():  # one that is there is as the services of the site need it
            private_folder(state)
        write_whole(path, token + "\n", PRIVATE)
    path.chmod(PRIVATE)
    return token
