"""Alloy's configuration syntax, written from blocks and attributes as `alloy fmt` would: tabs, equal signs in a column.

A text in quotes comes out of Alloy's parser as the value that went in. Parts that only an engine can say (an address,
a path) stand in quotes as well, and are tame: hosts, numbers and paths of ours.
https://grafana.com/docs/alloy/latest/get-started/configuration-syntax/syntax/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from blumeops.facts.parts import Text, joined


@dataclass(frozen=True, slots=True)
class Raw:
    """An expression as it is: a reference to another component, or a raw string."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A text in pieces."""

    text: Text


_MARK = "\ufeff"
_JSON = json.JSONEncoder(ensure_ascii=False)

Value = str | int | float | bool | Raw | Said | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Block:
    """`name "label" { … }`. `about`: a comment before it. Attributes come first, then the blocks within."""

    name: str
    label: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    blocks: Sequence[Block] = ()
    about: str = ""


def write(blocks: Iterable[Block]) -> Text:
    """The blocks, with an empty line between two."""
    pieces: list[Text | str] = []
    for block in blocks:
        pieces += ["\n", *_block(block, "")] if pieces else _block(block, "")
    return joined(*pieces)


def _block(block: Block, indent: str) -> Iterator[Text | str]:
    for line in block.about.replace(_MARK, " ").splitlines():
        yield f"{indent}// {line}\n"
    label = f" {quoted(block.label)}" if block.label else ""
    if not block.values and not block.blocks:
        yield f"{indent}{block.name}{label} {{ }}\n"
        return
    yield f"{indent}{block.name}{label} {{\n"
    inner = indent + "\t"
    yield from _attributes(block.values, inner, " = ", "\n")
    for place, each in enumerate(block.blocks):
        yield "\n" if place or block.values else ""
        yield from _block(each, inner)
    yield f"{indent}}}\n"


def _attributes(values: Mapping[str, Value], indent: str, sign: str, end: str) -> Iterator[Text | str]:
    """The signs of neighbours stand in a column, until after one that takes several lines."""
    widths: dict[str, int] = {}
    run: list[str] = []
    for place, name in enumerate(values, 1):
        run.append(name)
        if _long(values[name]) or place == len(values):
            widths |= dict.fromkeys(run, max(map(len, run)))
            run = []
    for name, value in values.items():
        yield f"{indent}{name.ljust(widths[name])}{sign}"
        yield from _value(value, indent)
        yield end


def _long(value: Value) -> bool:
    """Whether the value takes several lines."""
    if isinstance(value, Raw):
        return "\n" in value.text
    many = isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str))
    return many and (isinstance(value, Mapping) or any(map(_long, value)))  # type: ignore[arg-type]  # a sequence


def _value(value: Value, indent: str) -> Iterator[Text | str]:
    match value:
        case bool():
            yield "true" if value else "false"
        case int() | float():
            yield str(value)
        case str():
            yield quoted(value)
        case Raw(text):
            yield text
        case Said(text):
            yield '"'
            yield tuple(quoted(piece)[1:-1] if isinstance(piece, str) else piece for piece in text)
            yield '"'
        case Mapping():
            inner = indent + "\t"
            yield "{\n"
            keys = {quoted(key): each for key, each in value.items()}
            yield from _attributes(keys, inner, " = ", ",\n")
            yield f"{indent}}}"
        case _:
            yield from _list(value, indent)


def _list(values: Sequence[Value], indent: str) -> Iterator[Text | str]:
    if not _long(values):
        yield "["
        for place, each in enumerate(values):
            yield ", " if place else ""
            yield from _value(each, indent)
        yield "]"
        return
    inner = indent + "\t"
    yield "[\n"
    for each in values:
        yield inner
        yield from _value(each, inner)
        yield ",\n"
    yield f"{indent}]"


def quoted(text: str) -> str:
    """`text` in double quotes, with Go's escapes. A byte order mark stands nowhere but at the beginning of a file."""
    return _JSON.encode(text).replace(_MARK, "\\ufeff")
