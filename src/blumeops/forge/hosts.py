"""Which names mean this machine. Without imports of servers: Git's credential helper asks too, at each push."""

from __future__ import annotations

import re

_LOOPBACK = re.compile(r"(?:localhost|(?:[a-z0-9-]+\.)+localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?\Z")


def is_loopback(host: str) -> bool:
    """Whether a Host header's value (name or address, perhaps with a port) means this machine, by RFC 6761."""
    return bool(_LOOPBACK.match(host.lower()))
