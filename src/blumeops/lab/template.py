"""`{{ dotted.name }}` in a string of an app: split into literal text and lookups, nothing more.

There is no logic in it on purpose: a lookup keeps its meaning (a secret, a port, a folder) until an engine
says it in its own way, and a hostile template can do nothing but name something that is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_LOOKUP = re.compile(r"\{\{\s*([a-zA-Z_][\w-]*(?:\.[\w-]+)*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A name to look up, by its parts: `options.polling.minutes`."""

    path: tuple[str, ...]
    start: int = field(default=0, compare=False)
    """Where it begins in the text."""

    def __str__(self) -> str:
        return ".".join(self.path)


Template = tuple[str | Lookup, ...]


class TemplateError(ValueError):
    """A `{{` that starts no lookup, and where it stands in the text."""

    def __init__(self, rest: str, start: int) -> None:
        super().__init__(f"{rest[:30]!r} is no lookup: write {{{{ a.dotted.name }}}}")
        self.start = start


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """The pieces of `text`, in order. Raises TemplateError for a `{{` that starts no lookup."""
    pieces: list[str | Lookup] = []
    end = 0
    for match in _LOOKUP.finditer(text):
        pieces += (_literal(text, end, match.start()), Lookup(tuple(match[1].split(".")), match.start()))
        end = match.end()
    pieces.append(_literal(text, end, len(text)))
    return tuple(piece for piece in pieces if piece != "")


def _literal(text: str, start: int, end: int) -> str:
    strange = text.find("{{", start, end)
    if strange >= 0:
        raise TemplateError(text[strange : strange + 30], strange)
    return text[start:end]
