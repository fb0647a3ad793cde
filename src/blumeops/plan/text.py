"""A unit as lines of text: what a person compares. Secrets stand in it as references.

Two units that differ have lines that differ. Every line is printable: a value's own line breaks and control
characters stand in it as escapes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from blumeops.render.local_unit import FolderPart, HostPart, LocalUnit, Part, PortPart, SecretFilePart, SecretPart, Text


def parts_text(text: Text) -> str:
    """A text on one line, with what only the machine knows in angle brackets."""
    return printable("".join(map(_part, text)))


def lines(unit: LocalUnit) -> list[str]:
    """The unit, one fact a line."""
    found = []
    for name, value in unit:
        usual = isinstance(value, bool) and value == LocalUnit.model_fields[name].default
        if usual or value in (None, "", (), {}) or name == "unit":
            continue
        found += _value(name, value)
    return found


def _value(name: str, value: Any) -> list[str]:
    match name, value:
        case "files", dict():
            return [
                line
                for file, text in value.items()
                for line in (
                    f"file {file}:",
                    *(f"  {printable(row)}" for row in "".join(map(_part, text)).split("\n")),
                )
            ]
        case "env", dict():
            return [f"env {key}: {parts_text(text)}" for key, text in value.items()]
        case (("command" | "reload"), tuple()):
            return [f"{name}: {_words(value)}"]
        case _, dict():
            return [f"{name} {key}: {_plain(inner)}" for key, inner in value.items()]
        case _, tuple():
            return [f"{name}: {_plain(inner)}" for inner in value]
    return [f"{name}: {_plain(value)}"]


def _words(texts: Sequence[Text]) -> str:
    """A command; a word with spaces or quotes stands in quotes."""
    words = map(parts_text, texts)
    return " ".join(word if word and not set(word) & set(" \"'") else json.dumps(word) for word in words)


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        return printable(value.model_dump_json(exclude_defaults=True))
    return printable(str(value))


def printable(line: str) -> str:
    """The line with what cannot be seen as escapes: controls, marks of direction, line ends of any kind."""
    return "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)


def _part(part: Part) -> str:
    match part:
        case str():
            return part
        case SecretPart():
            return f"<{part.secret}>"
        case SecretFilePart():
            return f"<file of {part.secret_file}>"
        case PortPart():
            return f"<port {part.unit + ' ' if part.unit else ''}{part.port}>"
        case HostPart():
            return f"<host {part.unit or part.host}>"
        case FolderPart():
            return f"{part.before}<{part.folder}{'/' + part.name if part.name else ''}>{part.after}"
