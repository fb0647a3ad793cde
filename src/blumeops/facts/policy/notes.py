"""What a reader of policies finds on its way: findings with places, and typed access to values that may be anything.

Keys are compared without case, as the control plane's reader does (`ACLs` is `acls`). Once MOST_FINDINGS are noted,
the rest is not: nobody reads more, and hostile input shall not fill the memory.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from blumeops.base.findings import Finding, Place, Severity
from blumeops.facts.policy.hujson import MOST_FINDINGS, Document, Value, shown

MOST_COMPARED = 1000
"""Names that a wrong one is compared with."""

_WORDS = {dict: "an object {…}", list: "a list […]", str: "a string", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Nearest:
    """A hint at the name that was meant; `otherwise` when none is near. Comparing is slow: it waits to be printed."""

    text: str
    known: Iterable[str]
    otherwise: str = ""

    def __str__(self) -> str:
        known = itertools.islice(self.known, MOST_COMPARED)
        near = difflib.get_close_matches(self.text, known, 1) if len(self.text) < 100 else []
        return f"did you mean {near[0]}?" if near else self.otherwise


class Notes:
    """The findings about one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = list(document.findings)

    def place(self, value: Value) -> Place:
        """Where a value begins."""
        return self.document.place(value.at)

    def add(
        self,
        code: str,
        at: Value | Place,
        subject: str,
        message: str,
        hint: str | Nearest = "",
        severity: Severity = "error",
    ) -> None:
        """Note a finding about the value. The nearest name is looked for only when the finding is kept."""
        if len(self.findings) < MOST_FINDINGS or (severity == "error" and not self.wrong):
            place = at if isinstance(at, Place) else self.place(at)
            self.findings.append(Finding(code, place, shown(subject), message, str(hint), severity))

    @property
    def wrong(self) -> bool:
        """Whether there is an error among the findings."""
        return any(finding.severity == "error" for finding in self.findings)

    def fields(self, value: Value, what: str, known: Collection[str]) -> dict[str, Value]:
        """The fields of an object by their proper names; unknown ones are a finding. Null is as if it were absent."""
        names = {name.lower(): name for name in known}
        found: dict[str, Value] = {}
        for key, inside in self.object(value, what):
            name = names.get(key.lower())
            at = self.document.place(value.keys.get(key, inside.at))
            if name is None:
                hint = f"known are {', '.join(sorted(known))}"
                self.add("BLU223", at, key, f"is no field of {what}", Nearest(key, known, hint))
            elif name in found:
                self.add("BLU222", at, key, f"says {name} a second time", "keep one of the two")
            elif inside.data is not None:
                found[name] = inside
        return found

    def object(self, value: Value | None, what: str) -> Iterator[tuple[str, Value]]:
        """The members of an object; nothing when it is none, which is a finding."""
        if value is not None and self.typed(value, dict, what):
            yield from value.data.items()

    def items(self, value: Value | None, what: str) -> list[Value]:
        """The members of a list; none when it is something else, which is a finding."""
        return value.data if value is not None and self.typed(value, list, what) else []

    def strings(self, value: Value | None, what: str) -> list[tuple[str, Value]]:
        """The strings of a list, each with its value; others are a finding."""
        return [(item.data, item) for item in self.items(value, what) if self.typed(item, str, f"each of {what}")]

    def string(self, value: Value | None, what: str) -> str:
        """A string; empty when it is absent or something else, which is a finding."""
        return value.data if value is not None and self.typed(value, str, what) else ""

    def typed(self, value: Value, kind: type, what: str) -> bool:
        """Whether the value is of a kind; a finding when it is not."""
        if isinstance(value.data, kind):
            return True
        self.add("BLU224", value, what, f"must be {_WORDS[kind]}, but is {_said(value)}")
        return False


def _said(value: Value) -> str:
    if value.data is None:
        return "null"
    if isinstance(value.data, dict | list | bool | str):
        return next(word for kind, word in _WORDS.items() if isinstance(value.data, kind))
    return "a number"
