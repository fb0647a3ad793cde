"""New secret values, from the operating system's randomness. Nothing enters but their shape."""

from __future__ import annotations

import math
import secrets
import string

from blumeops.base.errors import UserError

ALPHABET = string.ascii_letters + string.digits
"""Safe in URLs, shells, YAML and connection strings, without quoting."""

LEAST_BITS = 64


def generate(length: int = 32, alphabet: str = ALPHABET) -> str:
    """`length` characters of `alphabet`, each equally likely. Raises UserError `BLU508` below 64 bits of it."""
    characters = sorted(set(alphabet))
    if length * math.log2(max(len(characters), 1)) < LEAST_BITS:
        raise UserError(
            "BLU508", "new secret", f"{length} of {len(characters)} characters can be guessed", "make it longer"
        )
    return "".join(secrets.choice(characters) for _ in range(length))
