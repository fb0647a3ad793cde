"""References to secrets. A string of the description enters, a typed `Reference` leaves; no value is ever in one.

The syntax is 1Password's (https://developer.1password.com/docs/cli/secret-reference-syntax/):
`op://vault/item/field` or `op://vault/item/section/field`, with letters, digits, `-`, `_`, `.` and inner spaces
in each part. Nothing is decoded: `%20` is not a space, and attributes (`?attribute=otp`) are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from blumeops.base.errors import UserError
from blumeops.base.findings import Place

SCHEME = "op://"
_PART = re.compile(r"[A-Za-z0-9._-]+(?: +[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """Where a secret lies: `section` is empty when the field stands directly in the item."""

    vault: str
    item: str
    section: str
    field: str

    @classmethod
    def parse(cls, text: str, place: Place | None = None) -> Reference:
        """The reference that `text` says. Raises UserError `BLU501`.

        What is not a reference may be a value that somebody put there by mistake: the error does not repeat it.
        """
        if not text.startswith(SCHEME):
            raise _malformed("this secret", f"does not start with {SCHEME}", place)
        parts = text.removeprefix(SCHEME).split("/")
        if len(parts) not in (3, 4):
            raise _malformed(_shown(text), f"has {len(parts)} parts instead of 3 or 4", place)
        if any(not _PART.fullmatch(part) for part in parts):
            reason = "has a part that is empty, or has other characters than letters, digits, - _ . and inner spaces"
            raise _malformed(_shown(text), reason, place)
        return cls.of(tuple(parts))

    @classmethod
    def of(cls, path: tuple[str, ...]) -> Reference:
        """The reference whose `path` is this: three or four names that are known to be good."""
        vault, item, *section, field = path
        return cls(vault, item, section[0] if section else "", field)

    @property
    def path(self) -> tuple[str, ...]:
        """The names from the vault down to the field."""
        return (self.vault, self.item, *([self.section] if self.section else []), self.field)

    def __str__(self) -> str:
        return SCHEME + "/".join(self.path)


def is_name(text: str) -> bool:
    """Whether a reference can have this as one of its parts."""
    return _PART.fullmatch(text) is not None


def _malformed(subject: str, reason: str, place: Place | None) -> UserError:
    return UserError("BLU501", subject, reason, "write op://vault/item/field", place)


def _shown(text: str) -> str:
    """On one line, and short."""
    line = "".join(char if char.isprintable() else "?" for char in text)
    return line if len(line) <= 80 else line[:79] + "…"
