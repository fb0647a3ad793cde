"""Manifests as Python values, and the YAML that people and every reader of it understand alike.

Enters: dicts with keys in the order in which people write them. Leaves: one file, its origin on the first line.
Promised: readers of YAML 1.1 (kubectl, Argo CD) and of 1.2 find the same values, and equal input gives equal bytes.
So a text stands bare only when no reader could take it for anything else. (PyYAML's writer quotes only what
PyYAML itself would misread, and takes ten times as long.)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Manifest = dict[str, Any]


class Noted(Manifest):
    """An item of a list with a comment before it: why it is there. Readers of YAML see the item alone."""

    def __init__(self, note: str, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.note = "".join(char if char.isprintable() else " " for char in note)


_BARE = re.compile(r"(?:--?)?[A-Za-z/_$](?:[^\s:#]|:(?=\S)| (?=[^\s#])|(?<=\S)#)*")
_WORDS = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)
_LIST_ITEM = "- "


def dump(header: str, manifests: Iterable[Mapping[str, Any]]) -> bytes:
    """One YAML file: `header` as its first line, a comment; then the documents."""
    documents = ("".join(f"{line}\n" for line in _lines(manifest)) for manifest in manifests)
    return (f"# {header}\n" + "---\n".join(documents)).encode()


def digest(content: Any) -> str:
    """Eight characters for a name: another content has another name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def merged(base: Any, over: Any) -> Any:
    """`base` with `over` laid on it: maps key by key (null takes a key away), lists of things with a name by
    that name, every other value whole."""
    if isinstance(base, dict) and isinstance(over, Mapping):
        result = {key: merged(value, over[key]) if key in over else value for key, value in base.items()}
        result |= {key: value for key, value in over.items() if key not in base}
        return {key: value for key, value in result.items() if value is not None}
    if isinstance(base, list) and isinstance(over, list) and all(map(_name, [*base, *over])):
        replaced = {_name(item): item for item in over}
        kept = [merged(item, replaced.pop(_name(item), {})) for item in base]
        return [*kept, *replaced.values()]
    return over


def _name(item: Any) -> str:
    """The name of a container, variable, volume, or of a claim in a StatefulSet; empty for what has none."""
    if not isinstance(item, Mapping):
        return ""
    metadata = item.get("metadata")
    return str(item.get("name") or (metadata.get("name", "") if isinstance(metadata, Mapping) else ""))


def _lines(value: Any) -> Iterator[str]:
    """A map or a list in block style; everything within is two columns further in."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _after(f"{_scalar(key)}:", inner)
    else:
        for inner in value:
            if isinstance(inner, Noted):
                yield f"# {inner.note}"
            if isinstance(inner, Mapping | list | tuple) and inner:
                first, *rest = _lines(inner)
                yield _LIST_ITEM + first
                yield from _moved(rest)
            else:
                yield from _after("-", inner)


def _after(begun: str, value: Any) -> Iterator[str]:
    """The lines of `value` behind a key or the sign of an item."""
    if isinstance(value, Mapping | list | tuple):
        yield begun if value else f"{begun} {'{}' if isinstance(value, Mapping) else '[]'}"
        yield from _moved(_lines(value))
    elif isinstance(value, str) and _is_block(value):
        end = len(value) - len(value.rstrip("\n"))
        yield f"{begun} |{('-', '', '+')[min(end, 2)]}"
        yield from _moved(value.removesuffix("\n").split("\n"))
    else:
        yield f"{begun} {_scalar(value)}"


def _moved(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" if line else "" for line in lines)


def _is_block(text: str) -> bool:
    """Whether `text` can stand as it is on lines of its own: readers find its indentation on the first one."""
    first, *rest = text.rstrip("\n").split("\n")
    if not rest or first[:1] in ("", " ", "\t"):
        return False
    return all(line.replace("\t", "").isprintable() and bool(line) == bool(line.strip()) for line in [first, *rest])


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and value.isprintable() and not _WORDS.fullmatch(value)
        return value if bare else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """In double quotes, as in JSON; what cannot be seen as its number."""
    seen = json.dumps(text, ensure_ascii=False)
    return seen if seen.isprintable() else "".join(map(_visible, seen))


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
