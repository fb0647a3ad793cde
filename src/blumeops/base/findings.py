"""Places in files, and what a check says about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
"""A note says what is to be known, and is nothing that lacks."""


class Place(NamedTuple):
    """A spot in a file of the lab: path relative to the lab's folder, line and column counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says: a stable code, the place, the subject, what is wrong and what to change."""

    code: str
    place: Place
    subject: str
    message: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        mark = "" if self.severity == "error" else f"{self.severity}: "
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.place}: {self.code} {mark}{self.subject}: {self.message}{hint}"

    def as_json(self) -> dict[str, object]:
        """The object of `check --json`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "subject": self.subject,
            "message": self.message,
            "hint": self.hint,
        }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The findings by place, then code: the order in which a person reads and mends them; doubles once."""
    return sorted(set(findings), key=lambda finding: (finding.place, finding.code, finding.subject, finding.message))


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Only those that refuse a revision."""
    return [finding for finding in findings if finding.severity == "error"]
