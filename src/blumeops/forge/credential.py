"""Git's credential protocol (git-credential(1)): gives the forge's token to a git on this machine."""

from __future__ import annotations

from pathlib import Path

from blumeops.forge.hosts import is_loopback


def answer(stdin_text: str, token_file: Path) -> str:
    """The answer to `get`: the site's token for a loopback address, nothing for any other or while there is none."""
    asked = dict(line.partition("=")[::2] for line in stdin_text.splitlines() if "=" in line)
    if asked.get("protocol") != "http" or not is_loopback(asked.get("host", "")):
        return ""
    try:
        token = token_file.read_text().strip()
    except OSError:
        return ""
    return f"username={asked.get('username') or 'blumeops'}\npassword={token}\n" if token else ""
