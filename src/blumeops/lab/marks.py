"""Where each value of a file stands, and how a stranger's text is said in a message.

Enters: lines and columns, as the reader finds them. Leaves: the place of any value or key by its path; beside it the
file's values and findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from blumeops.base.findings import Finding, Place

_EMPTY: dict[str, Any] = {}
"""What a scalar has inside: one for all of them, since there are millions. Never written to."""


@dataclass(slots=True)
class Mark:
    """Where a value starts, and the marks of what is inside it. Lines and columns are counted from 1."""

    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=lambda: _EMPTY)
    items: dict[str, Mark] | list[Mark] = field(default_factory=lambda: _EMPTY)
    size: int = 1
    written: str = ""
    """How a number is written, where that is not the text of its value: `022`, `1.10`."""

    def find(self, path: Sequence[str | int], *, of_key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path` (or of its key); of the nearest value around it if there is none.

        Parts of the path that name nothing here are passed over: validators add such parts of their own.
        """
        at, spot = self, (self.line, self.column)
        for part in path:
            if (step := at.step(part)) is not None:
                spot = at.keys[str(part)] if of_key and isinstance(at.items, dict) else (step.line, step.column)
                at = step
        return spot

    def step(self, part: str | int) -> Mark | None:
        """The mark of one part of this value; None when it has no such part."""
        if isinstance(self.items, dict):
            return self.items.get(str(part))
        return self.items[part] if isinstance(part, int) and part < len(self.items) else None


@dataclass(frozen=True, slots=True)
class Document:
    """A file's values (`data`), their marks, and what is wrong with the text itself."""

    file: str
    data: Any
    mark: Mark
    findings: tuple[Finding, ...] = ()

    def place(self, *path: str | int, of_key: bool = False) -> Place:
        """The place of the value at `path`, or of its key."""
        return Place(self.file, *self.mark.find(path, of_key=of_key))


def unread(finding: Finding) -> Document:
    """The document of a file that could not be had at all."""
    return Document(finding.place.file, None, Mark(1, 1), (finding,))


def shown(text: str, most: int = 60) -> str:
    """Hostile text as it may stand in a message: on one line, printable, short."""
    line = text if text.isprintable() else repr(text)[1:-1]
    return line if len(line) <= most else line[: most - 1] + "…"
