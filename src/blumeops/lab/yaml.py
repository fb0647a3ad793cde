"""YAML text becomes plain values and, beside them, the place of every key and value.

YAML 1.2, core schema: `on`, `yes`, `no` are strings, `010` is ten, keys are strings as written. The events
of PyYAML's C parser are fast and carry marks; scalars are resolved here, since its own constructors read 1.1.
Hostile input ends in a finding: size, depth and the total size of expanded aliases are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from blumeops.base.findings import Finding, Place

MOST_BYTES = 16 * 1024 * 1024
MOST_DEPTH = 64
MOST_NODES = 2_000_000

_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = {".inf": "inf", "-.inf": "-inf", "+.inf": "inf", ".nan": "nan"}
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("0123456789+-.")

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Mark:
    """Where a value starts, and the marks of what is inside it. Lines and columns are counted from 1."""

    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    items: dict[str, Mark] | list[Mark] = field(default_factory=dict)
    size: int = 1

    def find(self, path: Sequence[str | int], *, of_key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path` (or of its key); of the nearest value around it if there is none.

        Parts of the path that name nothing here are passed over: validators add such parts of their own.
        """
        at, spot = self, (self.line, self.column)
        for part in path:
            if isinstance(at.items, dict) and (step := at.items.get(str(part))) is not None:
                spot = at.keys[str(part)] if of_key else (step.line, step.column)
                at = step
            elif isinstance(at.items, list) and isinstance(part, int) and part < len(at.items):
                at = at.items[part]
                spot = (at.line, at.column)
        return spot


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


def read(text: bytes, file: str) -> Document:
    """Read one YAML document. Never raises for what the text holds: that is in `findings`, and `data` is None."""
    if len(text) > MOST_BYTES:
        return _refused(file, "BLU002", f"is larger than {MOST_BYTES // 2**20} MiB", 1, 1)
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _refused(file, "BLU002", "is not UTF-8 text", text.count(b"\n", 0, error.start) + 1, 1)
    loader = _Loader(decoded)
    builder = _Builder(file, loader)
    try:
        return builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = " ".join(part for part in (error.context, error.problem) if part)
        return _refused(file, "BLU001", f"is not YAML: {problem}", line, column)
    except yaml.reader.ReaderError as error:
        line = decoded.count("\n", 0, error.position) + 1
        return _refused(file, "BLU001", f"is not YAML: {error.reason}", line, 1)
    except _TooMuch as error:
        return _refused(file, "BLU002", str(error), builder.line, builder.column)
    finally:
        loader.dispose()


def _refused(file: str, code: str, message: str, line: int, column: int) -> Document:
    finding = Finding(code, Place(file, line, column), file, message)
    return Document(file, None, Mark(line, column), (finding,))


class _TooMuch(Exception):
    pass


class _Builder:
    """Turns events into values and marks, one node at a time."""

    def __init__(self, file: str, loader: Any) -> None:
        self.file = file
        self.next = loader.get_event
        self.peek = loader.peek_event
        self.anchors: dict[str, tuple[Any, Mark]] = {}
        self.findings: list[Finding] = []
        self.nodes = 0
        self.line = self.column = 1

    def document(self) -> Document:
        self.next()  # the stream's start
        if isinstance(self.peek(), yaml.StreamEndEvent):
            return Document(self.file, None, Mark(1, 1))
        self.next()  # the document's start
        data, mark = self.node(0)
        self.next()  # the document's end
        if not isinstance(self.peek(), yaml.StreamEndEvent):
            start = self.peek().start_mark
            place = Place(self.file, start.line + 1, start.column + 1)
            self.findings.append(Finding("BLU001", place, self.file, "holds more than one YAML document"))
        return Document(self.file, data, mark, tuple(self.findings))

    def node(self, depth: int) -> tuple[Any, Mark]:
        event = self.next()
        self.line, self.column = event.start_mark.line + 1, event.start_mark.column + 1
        if depth > MOST_DEPTH:
            raise _TooMuch(f"is nested deeper than {MOST_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor or "")
        mark = Mark(self.line, self.column)
        self.count(1)
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = event.value if event.style or event.tag == "!" else resolve(event.value)
            if event.tag and event.tag.startswith("!") and event.tag != "!":
                self.say("BLU004", event.tag, "YAML tags are not read", "leave the tag out")
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(mark, depth)
        else:
            value = self.mapping(mark, depth)
        if event.anchor:
            self.anchors[event.anchor] = (value, mark)
        return value, mark

    def sequence(self, mark: Mark, depth: int) -> list[Any]:
        values: list[Any] = []
        mark.items = []
        while not isinstance(self.peek(), yaml.SequenceEndEvent):
            value, inner = self.node(depth + 1)
            values.append(value)
            mark.items.append(inner)
            mark.size += inner.size
        self.next()
        return values

    def mapping(self, mark: Mark, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        items: dict[str, Mark] = {}
        while not isinstance(self.peek(), yaml.MappingEndEvent):
            event = self.next()
            self.line, self.column = event.start_mark.line + 1, event.start_mark.column + 1
            spot = (self.line, self.column)
            if not isinstance(event, yaml.ScalarEvent):
                raise _TooMuch("has a key that is not a plain word")
            key = event.value
            if key in values:
                self.say("BLU003", key, f"stands here twice (first in line {mark.keys[key][0]})", "keep one of the two")
            value, inner = self.node(depth + 1)
            values[key], items[key], mark.keys[key] = value, inner, spot
            mark.size += inner.size
        mark.items = items
        self.next()
        return values

    def alias(self, anchor: str) -> tuple[Any, Mark]:
        if anchor not in self.anchors:
            raise _TooMuch(f"uses the anchor {anchor!r} inside itself or before it is set")
        value, mark = self.anchors[anchor]
        self.count(mark.size)
        return value, mark

    def count(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise _TooMuch(f"holds more than {MOST_NODES} values once its aliases are expanded")

    def say(self, code: str, subject: str, message: str, hint: str) -> None:
        self.findings.append(Finding(code, Place(self.file, self.line, self.column), subject, message, hint))


def resolve(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS or len(text) > 400:
        return text
    if _INTEGER.match(text):
        return int(text)
    if _OCTAL.match(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.match(text):
        return int(text[2:], 16)
    if _FLOAT.match(text):
        return float(text)
    if text.lower() in _NOT_FINITE:
        return float(_NOT_FINITE[text.lower()])
    return text
