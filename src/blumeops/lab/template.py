"""`{{ dotted.name }}` in a string of an app: split into literal text and lookups, nothing more.

There is no logic in it on purpose: a lookup keeps its meaning (a secret, a port, a folder) until an engine
says it in its own way, and a hostile template can do nothing but name something that is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_LOOKUP = re.compile(r"\{\{\s*([a-zA-Z_][\w-]*(?:\.[\w-]+)*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A name to look up, by its parts: `options.polling.minutes`."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.path)


Template = tuple[str | Lookup, ...]


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """The pieces of `text`, in order. Raises ValueError for `{{` that starts no lookup."""
    pieces: list[str | Lookup] = []
    end = 0
    for match in _LOOKUP.finditer(text):
        pieces.append(text[end : match.start()])
        pieces.append(Lookup(tuple(match[1].split("."))))
        end = match.end()
    pieces.append(text[end:])
    for piece in pieces:
        if isinstance(piece, str) and "{{" in piece:
            rest = piece[piece.index("{{") :][:30]
            raise ValueError(f"{rest!r} is no lookup: write {{{{ a.dotted.name }}}}")
    return tuple(piece for piece in pieces if piece != "")
