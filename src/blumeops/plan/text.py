"""A unit as lines of text: what a person compares. Secrets stand in it as references."""

from __future__ import annotations

from typing import Any

from blumeops.render.local_unit import FolderPart, LocalUnit, PortPart, SecretFilePart, SecretPart, Text


def parts_text(text: Text) -> str:
    """A text with what only the machine knows in angle brackets."""
    return "".join(_part(part) for part in text)


def lines(unit: LocalUnit) -> list[str]:
    """The unit, one fact a line."""
    found = []
    for name, value in unit:
        if value in (None, "", (), {}) or name == "unit":
            continue
        found += _value(name, value)
    return found


def _value(name: str, value: Any) -> list[str]:
    match name, value:
        case "files", dict():
            return [
                line
                for file, text in value.items()
                for line in (f"file {file}:", *(f"  {row}" for row in parts_text(text).splitlines()))
            ]
        case "env", dict():
            return [f"env {key}: {parts_text(text)}" for key, text in value.items()]
        case (("command" | "reload"), tuple()):
            return [f"{name}: {' '.join(parts_text(text) for text in value)}"]
        case "sources", tuple():
            return [f"source: {source.kind} {source.name}" for source in value]
        case _, dict():
            return [f"{name} {key}: {_plain(inner)}" for key, inner in value.items()]
        case _, tuple():
            return [f"{name}: {_plain(inner)}" for inner in value]
    return [f"{name}: {_plain(value)}"]


def _plain(value: Any) -> str:
    if hasattr(value, "model_dump_json"):
        return str(value.model_dump_json(exclude_defaults=True))
    return str(value)


def _part(part: str | SecretPart | SecretFilePart | PortPart | FolderPart) -> str:
    match part:
        case str():
            return part
        case SecretPart():
            return f"<{part.secret}>"
        case SecretFilePart():
            return f"<file of {part.secret_file}>"
        case PortPart():
            return f"<port {part.unit + ' ' if part.unit else ''}{part.port}>"
        case FolderPart():
            return f"<{part.folder}{'/' + part.name if part.name else ''}>"
