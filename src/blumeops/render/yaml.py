"""YAML as people write it, and as every reader of it understands it alike.

Enters: maps and lists with their keys in the order in which people write them. Leaves: lines of text in block style.
Promised: readers of YAML 1.1 (kubectl, Argo CD, Ansible, Prometheus) and of 1.2 find the same values, and equal input
gives equal bytes. So a text stands bare only when no reader could take it for anything else. (PyYAML's writer quotes
only what PyYAML itself would misread, and takes ten times as long.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any


class Noted(dict[str, Any]):
    """An item of a list with a comment before it: why it is there. Readers of YAML see the item alone."""

    def __init__(self, note: str, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.note = "".join(char if char.isprintable() else " " for char in note)


_BARE = re.compile(r"(?:--?)?[A-Za-z/_$](?:[^\s:#]++|:(?=\S)| (?=[^\s#])|(?<=\S)#)*+")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_JSON = json.JSONEncoder(ensure_ascii=False)
"""One for all texts: `json.dumps` makes a new one each time."""


def text(value: Mapping[str, Any] | list[Any]) -> str:
    """One document, without a mark of its beginning."""
    lines: list[str] = []
    _add(lines, value, "", "")
    return "".join(f"{line}\n" for line in lines)


def listing(items: Iterable[Mapping[str, Any]]) -> str:
    """A document that is a list, with an empty line between its items."""
    return "\n".join(text([item]) for item in items) or "[]\n"


def _add(lines: list[str], value: Any, first: str, indent: str) -> None:
    """The lines of a map or a list that has something in it: `first` stands before the first of them in place of
    `indent`, which holds the sign of an item where this one is in a list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = _scalar(key) if isinstance(key, str) else json.dumps(key)
            _behind(lines, f"{first}{name}:", inner, indent)
            first = indent
        return
    for inner in value:
        if isinstance(inner, Noted):
            lines.append(f"{first}# {inner.note}")
            first = indent
        if isinstance(inner, (dict, list, tuple)) and inner:
            _add(lines, inner, f"{first}- ", f"{indent}  ")
        else:
            _behind(lines, f"{first}-", inner, indent)
        first = indent


def _behind(lines: list[str], begun: str, value: Any, indent: str) -> None:
    """The lines of `value` behind a key or the sign of an item; what is within is two columns further in."""
    if isinstance(value, str):
        if "\n" in value and _is_block(value):
            end = len(value) - len(value.rstrip("\n"))
            lines.append(f"{begun} |{('-', '', '+')[min(end, 2)]}")
            lines.extend(f"{indent}  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
        else:
            lines.append(f"{begun} {_scalar(value)}")
    elif isinstance(value, (dict, list, tuple)):
        if value:
            lines.append(begun)
            _add(lines, value, f"{indent}  ", f"{indent}  ")
        else:
            lines.append(f"{begun} {'{}' if isinstance(value, dict) else '[]'}")
    else:
        lines.append(begun if value is None else f"{begun} {json.dumps(value)}")


def _is_block(value: str) -> bool:
    """Whether a text can stand as it is on lines of its own: readers find its indentation on the first one."""
    first, *rest = value.rstrip("\n").split("\n")
    if not rest or first[:1] in ("", " ", "\t"):
        return False
    return all(line.replace("\t", "").isprintable() and bool(line) == bool(line.strip()) for line in [first, *rest])


@lru_cache(maxsize=10_000)
def _scalar(value: str) -> str:
    if _BARE.fullmatch(value) and value.isprintable() and value.casefold() not in _WORDS:
        return value
    return _quoted(value)


def _quoted(value: str) -> str:
    """In double quotes, as in JSON; in single ones where that spares a backslash; what cannot be seen as its number."""
    if ('"' in value or "\\" in value) and "'" not in value and value.isprintable():
        return f"'{value}'"
    seen = _JSON.encode(value)
    return seen if seen.isprintable() else "".join(map(_visible, seen))


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
