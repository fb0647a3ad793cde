"""The events of a YAML parser become values and marks, one node at a time.

Enters: PyYAML's events. Leaves: plain values by the core schema of YAML 1.2, and beside them where each stands.
Promised: depth, number of values (those of aliases too) and findings are bounded; what goes beyond raises Refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from yaml import events

from blumeops.base.findings import Finding, Place
from blumeops.lab.marks import Document, Mark, shown

MOST_DEPTH = 64
MOST_NODES = 1_000_000
MOST_FINDINGS = 100

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


class Refused(Exception):
    """The file is not read any further."""

    def __init__(self, message: str, hint: str = "", code: str = "BLU002") -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


class Builder:
    """Turns events into values and marks, one node at a time."""

    def __init__(self, file: str, loader: Any) -> None:
        self.file = file
        self.next = loader.get_event
        self.peek = loader.peek_event
        self.anchors: dict[str, tuple[Any, Mark, int]] = {}
        """With the levels below each."""
        self.findings: list[Finding] = []
        self.nodes = 0
        self.deepest = 0
        self.line = self.column = 1

    def document(self) -> Document:
        self.next()  # the stream's start
        if isinstance(self.peek(), events.StreamEndEvent):
            return Document(self.file, None, Mark(1, 1))
        self.next()  # the document's start
        data, mark = self.node(0)
        self.next()  # the document's end
        if not isinstance(self.peek(), events.StreamEndEvent):
            self.at(self.peek())
            self.say("BLU001", self.file, "holds more than one YAML document", "split it into files")
        return Document(self.file, data, mark, tuple(self.findings))

    def documents(self) -> tuple[Document, ...]:
        """Each by itself, anchors too; what is bounded is so for all of them together."""
        self.next()  # the stream's start
        found = []
        while not isinstance(self.peek(), events.StreamEndEvent):
            self.next()  # the document's start
            self.anchors = {}
            data, mark = self.node(0)
            self.next()  # the document's end
            found.append(Document(self.file, data, mark))
        last = found.pop() if found else Document(self.file, None, Mark(1, 1))
        return (*found, replace(last, findings=tuple(self.findings)))

    def at(self, event: Any) -> None:
        self.line, self.column = event.start_mark.line + 1, event.start_mark.column + 1

    def node(self, depth: int) -> tuple[Any, Mark]:
        event = self.next()
        self.at(event)
        if isinstance(event, events.AliasEvent):
            return self.alias(event.anchor or "", depth)
        self.count(1, depth)
        mark = Mark(self.line, self.column)
        if event.tag:
            self.tag(event.tag)
        outside, self.deepest = self.deepest, depth
        value: Any
        if isinstance(event, events.ScalarEvent):
            value = self.scalar(event, mark)
        elif isinstance(event, events.SequenceStartEvent):
            value = self.sequence(mark, depth)
        else:
            value = self.mapping(mark, depth)
        if event.anchor:
            self.anchors[event.anchor] = (value, mark, self.deepest - depth)
        self.deepest = max(outside, self.deepest)
        return value, mark

    def scalar(self, event: events.ScalarEvent, mark: Mark) -> Any:
        if "\0" in event.value:
            raise Refused("holds a NUL character, which no program can be given")
        if event.style or event.tag == "!":
            return event.value
        value = resolve(event.value)
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) != event.value:
            mark.written = event.value
        return value

    def sequence(self, mark: Mark, depth: int) -> list[Any]:
        values: list[Any] = []
        mark.items = marks = []
        while not isinstance(self.peek(), events.SequenceEndEvent):
            value, inner = self.node(depth + 1)
            values.append(value)
            marks.append(inner)
            mark.size += inner.size
        self.next()
        return values

    def mapping(self, mark: Mark, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        items: dict[str, Mark] = {}
        keys: dict[str, tuple[int, int]] = {}
        mark.items, mark.keys = items, keys
        while not isinstance(self.peek(), events.MappingEndEvent):
            key = self.key()
            spot = (self.line, self.column)
            if key in values:
                message = f"stands here twice (first in line {keys[key][0]})"
                self.say("BLU003", shown(key), message, "keep one of the two")
            value, inner = self.node(depth + 1)
            values[key], items[key], keys[key] = value, inner, spot
            mark.size += inner.size
        self.next()
        return values

    def key(self) -> str:
        event = self.next()
        self.at(event)
        if not isinstance(event, events.ScalarEvent):
            hint = "quote a text that begins with `{`, `[` or `*`"
            raise Refused("has a key that is not a plain word", hint, "BLU001")
        key: str = event.value
        if "\0" in key:
            raise Refused("holds a NUL character, which no program can be given")
        if event.tag:
            self.tag(event.tag)
        if event.anchor:
            self.anchors[event.anchor] = (key, Mark(self.line, self.column), 0)
        return key

    def alias(self, anchor: str, depth: int) -> tuple[Any, Mark]:
        if anchor not in self.anchors:
            message = f"uses the anchor `{shown(anchor)}` inside itself or before it is set"
            raise Refused(message, "quote a text that begins with `*`", "BLU001")
        value, mark, levels = self.anchors[anchor]
        self.count(mark.size, depth + levels)
        return value, mark

    def count(self, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise Refused(f"holds more than {MOST_NODES} values once its aliases are expanded")
        if depth > MOST_DEPTH:
            raise Refused(f"is nested deeper than {MOST_DEPTH} levels")
        self.deepest = max(self.deepest, depth)

    def tag(self, tag: str) -> None:
        if tag != "!":
            word = shown(tag.replace("tag:yaml.org,2002:", "!!"))
            self.say("BLU004", word, "YAML tags are not read", "leave the tag out, or quote what is text")

    def say(self, code: str, subject: str, message: str, hint: str) -> None:
        self.findings.append(Finding(code, Place(self.file, self.line, self.column), subject, message, hint))
        if len(self.findings) > MOST_FINDINGS:
            raise Refused(f"has more than {MOST_FINDINGS} mistakes of this kind")


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
