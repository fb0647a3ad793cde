"""Values of a Compose file: texts with their variables filled in, sizes, times, lists; a finding for what is none.

In: the service that names the file, and the file's document. Out: plain values, and the findings in `findings`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from blumeops.base.findings import Finding, Place
from blumeops.lab.app import Port
from blumeops.lab.marks import Document, shown
from blumeops.lab.model import Service
from blumeops.lab.quantities import Duration, Size

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<braced>[A-Za-z_]\w*)(?::?-(?P<default>[^{}]*))?\}|(?P<plain>[A-Za-z_]\w*)|)"
)


@dataclass
class Draft:
    """A service of the file, while it is read. `app`: fields of the app that it amounts to."""

    alias: str
    entry: Mapping[str, Any]
    app: dict[str, Any]
    ports: dict[int, Port]
    mounts: dict[str, str] = field(default_factory=dict)
    """Shares of the lab's service, and where they are mounted."""
    secrets: set[str] = field(default_factory=set)


class Values:
    """`place`: where the service `name` names the file."""

    def __init__(self, name: str, service: Service, document: Document, place: Place) -> None:
        self.name, self.service, self.document, self.place = name, service, document, place
        self.findings: list[Finding] = []

    def filled(self, draft: Draft, value: Any, *path: str | int) -> str:
        """A text with its variables: the service's secrets, as lookups, and its `env:`; a finding for others."""
        if isinstance(value, dict | list):
            self.wrong(draft, "must be a text", *path)
            return ""
        text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)

        def fill(match: re.Match[str]) -> str:
            name = match["braced"] or match["plain"]
            if match["dollar"] or not name:
                return "$"
            if (secret := name.lower()) in self.service.secrets:
                draft.secrets.add(secret)
                return f"{{{{ secrets.{secret} }}}}"
            if name in self.service.env:
                return self.service.env[name]
            if match["default"] is None:
                hint = f"name it in `env:` of {self.name}, or in `secrets:` as {secret}"
                self.find("BLU143", f"nobody says what ${{{name}}} is", hint, of=("services", draft.alias, *path))
            return match["default"] or ""

        return _VARIABLE.sub(fill, text)

    def words(self, draft: Draft, value: Any, key: str) -> tuple[str, ...]:
        """A command as words: a text is split as a shell would, which Compose does too."""
        if value is None:
            return ()
        try:
            words = shlex.split(value) if isinstance(value, str) else list(value)
        except (TypeError, ValueError):
            self.wrong(draft, "must be a text or a list of words", key)
            return ()
        return tuple(self.filled(draft, word, key, place) for place, word in enumerate(words))

    def memory(self, draft: Draft, given: Any) -> int | None:
        """Compose's units are binary: 512m is 512Mi."""
        found = re.fullmatch(r"(\d+)\s*([kmg]?)i?b?", str(given).lower())
        if not found:
            self.wrong(draft, "must be a size like 512m", "mem_limit")
            return None
        unit = found[2].replace("k", "Ki").replace("m", "Mi").replace("g", "Gi")
        return TypeAdapter(Size).validate_python(f"{found[1]}{unit}" if unit else int(found[1]))

    def duration(self, draft: Draft, given: Any, *path: str) -> str:
        if self.fits(Duration, given):
            return str(given)
        self.wrong(draft, "must be a time like 30s", *path)
        return "10s"

    def list(self, draft: Draft, key: str) -> list[Any]:
        given = draft.entry.get(key) or []
        if isinstance(given, list):
            return given
        self.wrong(draft, "must be a list", key)
        return []

    def fits(self, kind: Any, value: Any) -> bool:
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError:
            return False
        return True

    def wrong(self, draft: Draft, message: str, *path: str | int) -> None:
        self.find("BLU140", message, of=("services", draft.alias, *path))

    def find(self, code: str, message: str, hint: str = "", *, of: tuple[str | int, ...]) -> None:
        place = self.document.place(*of, of_key=len(of) < 3)
        subject = shown(".".join(map(str, of[1:] if len(of) > 1 else of)) or self.document.file)
        self.findings.append(Finding(code, place, subject, message, hint))
