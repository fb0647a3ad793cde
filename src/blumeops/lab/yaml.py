"""YAML text becomes plain values and, beside them, the place of every key and value.

YAML 1.2, core schema: `on`, `yes`, `no` are strings, `010` is ten, keys are strings as written. The events
of PyYAML's C parser are fast and carry marks; scalars are resolved here, since its own constructors read 1.1.
Hostile input ends in a finding: size, depth and the total size of expanded aliases are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from blumeops.base.findings import Finding, Place

MOST_BYTES = 16 * 1024 * 1024
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
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
"""What YAML 1.2 does not allow in a file (https://yaml.org/spec/1.2.2/#51-character-set), and the three characters
(U+0085, U+2028, U+2029) that are line breaks to 1.1, and so to the parser, but not to 1.2."""

_HINTS = {
    "mapping values are not allowed": "quote a text that holds `: `",
    "expected ',' or": "close the bracket, or quote a text that holds brackets or commas",
    "could not find expected ':'": "write `key: value`, with a space behind the colon",
    "did not find expected key": "indent it as its neighbours are",
    "found undefined tag": "quote a text that begins with `!`",
}
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EMPTY: dict[str, Any] = {}
"""What a scalar has inside: one for all of them, since there are millions. Never written to."""


@dataclass(slots=True)
class Mark:
    """Where a value starts, and the marks of what is inside it. Lines and columns are counted from 1."""

    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=lambda: _EMPTY)
    items: dict[str, Mark] | list[Mark] = field(default_factory=lambda: _EMPTY)
    size: int = 1
    written: str = ""
    """How a number is written, where that is not the text of its value: `022`, `1.10`."""

    def find(self, path: Sequence[str | int], *, of_key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path` (or of its key); of the nearest value around it if there is none.

        Parts of the path that name nothing here are passed over: validators add such parts of their own.
        """
        at, spot = self, (self.line, self.column)
        for part in path:
            if (step := at.step(part)) is not None:
                spot = at.keys[str(part)] if of_key and isinstance(at.items, dict) else (step.line, step.column)
                at = step
        return spot

    def step(self, part: str | int) -> Mark | None:
        """The mark of one part of this value; None when it has no such part."""
        if isinstance(self.items, dict):
            return self.items.get(str(part))
        return self.items[part] if isinstance(part, int) and part < len(self.items) else None


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
    return _read(text, file, lambda builder: (builder.document(),))[0]


def read_all(text: bytes, file: str) -> tuple[Document, ...]:
    """Every document of a file, as Kubernetes' manifests are written; at least one, and the last has the findings."""
    return _read(text, file, _Builder.documents)


def _read(text: bytes, file: str, build: Callable[[_Builder], tuple[Document, ...]]) -> tuple[Document, ...]:
    if len(text) > MOST_BYTES:
        return _refused(file, "BLU002", f"is larger than {MOST_BYTES // 2**20} MiB")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _refused(file, "BLU002", "is not UTF-8 text", *_spot(text, error.start))
    if found := _NOT_TEXT.search(decoded):
        spot = _spot(decoded.encode(), len(decoded[: found.start()].encode()))
        hint = f'write "\\u{ord(found[0]):04x}", in double quotes' if found[0] != "\0" else ""
        return _refused(file, "BLU002", f"holds the control character U+{ord(found[0]):04X}", *spot, hint)
    loader = _Loader(decoded)
    builder = _Builder(file, loader)
    try:
        return build(builder)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        hint = _hint(problem, decoded, line, column)
        return _refused(file, "BLU001", f"is not YAML: {problem}", line, column, hint, builder.findings)
    except _Refused as error:
        return _refused(
            file, error.code, str(error), builder.line, builder.column, error.hint, builder.findings[:MOST_FINDINGS]
        )
    finally:
        loader.dispose()


def unread(finding: Finding) -> Document:
    """The document of a file that could not be had at all."""
    return Document(finding.place.file, None, Mark(1, 1), (finding,))


def shown(text: str, most: int = 60) -> str:
    """Hostile text as it may stand in a message: on one line, printable, short."""
    line = text if text.isprintable() else repr(text)[1:-1]
    return line if len(line) <= most else line[: most - 1] + "…"


def _refused(
    file: str, code: str, message: str, line: int = 1, column: int = 1, hint: str = "", more: Sequence[Finding] = ()
) -> tuple[Document]:
    finding = Finding(code, Place(file, line, column), file, message, hint)
    return (Document(file, None, Mark(line, column), (*more, finding)),)


def _spot(text: bytes, offset: int) -> tuple[int, int]:
    """Line and column of a byte of `text`."""
    start = text.rfind(b"\n", 0, offset) + 1
    return text.count(b"\n", 0, offset) + 1, len(text[start:offset].decode("utf-8-sig", errors="replace")) + 1


def _hint(problem: str, text: str, line: int, column: int) -> str:
    """What a person may have meant, for the mistakes that everybody makes."""
    if "cannot start any token" in problem:
        rest = text.split("\n", line)[line - 1][column - 1 :]
        if rest.startswith("\t"):
            return "indent with spaces, not tabs"
        return f"quote a text that begins with `{shown(rest[:1])}`"
    return next((hint for part, hint in _HINTS.items() if part in problem), "")


class _Refused(Exception):
    """The file is not read any further."""

    def __init__(self, message: str, hint: str = "", code: str = "BLU002") -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


class _Builder:
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
        if isinstance(self.peek(), yaml.StreamEndEvent):
            return Document(self.file, None, Mark(1, 1))
        self.next()  # the document's start
        data, mark = self.node(0)
        self.next()  # the document's end
        if not isinstance(self.peek(), yaml.StreamEndEvent):
            self.at(self.peek())
            self.say("BLU001", self.file, "holds more than one YAML document", "split it into files")
        return Document(self.file, data, mark, tuple(self.findings))

    def documents(self) -> tuple[Document, ...]:
        """Each by itself, anchors too; what is bounded is so for all of them together."""
        self.next()  # the stream's start
        found = []
        while not isinstance(self.peek(), yaml.StreamEndEvent):
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
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event.anchor or "", depth)
        self.count(1, depth)
        mark = Mark(self.line, self.column)
        if event.tag:
            self.tag(event.tag)
        outside, self.deepest = self.deepest, depth
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event, mark)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(mark, depth)
        else:
            value = self.mapping(mark, depth)
        if event.anchor:
            self.anchors[event.anchor] = (value, mark, self.deepest - depth)
        self.deepest = max(outside, self.deepest)
        return value, mark

    def scalar(self, event: yaml.ScalarEvent, mark: Mark) -> Any:
        if "\0" in event.value:
            raise _Refused("holds a NUL character, which no program can be given")
        if event.style or event.tag == "!":
            return event.value
        value = resolve(event.value)
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) != event.value:
            mark.written = event.value
        return value

    def sequence(self, mark: Mark, depth: int) -> list[Any]:
        values: list[Any] = []
        mark.items = marks = []
        while not isinstance(self.peek(), yaml.SequenceEndEvent):
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
        while not isinstance(self.peek(), yaml.MappingEndEvent):
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
        if not isinstance(event, yaml.ScalarEvent):
            hint = "quote a text that begins with `{`, `[` or `*`"
            raise _Refused("has a key that is not a plain word", hint, "BLU001")
        key: str = event.value
        if "\0" in key:
            raise _Refused("holds a NUL character, which no program can be given")
        if event.tag:
            self.tag(event.tag)
        if event.anchor:
            self.anchors[event.anchor] = (key, Mark(self.line, self.column), 0)
        return key

    def alias(self, anchor: str, depth: int) -> tuple[Any, Mark]:
        if anchor not in self.anchors:
            message = f"uses the anchor `{shown(anchor)}` inside itself or before it is set"
            raise _Refused(message, "quote a text that begins with `*`", "BLU001")
        value, mark, levels = self.anchors[anchor]
        self.count(mark.size, depth + levels)
        return value, mark

    def count(self, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise _Refused(f"holds more than {MOST_NODES} values once its aliases are expanded")
        if depth > MOST_DEPTH:
            raise _Refused(f"is nested deeper than {MOST_DEPTH} levels")
        self.deepest = max(self.deepest, depth)

    def tag(self, tag: str) -> None:
        if tag != "!":
            word = shown(tag.replace("tag:yaml.org,2002:", "!!"))
            self.say("BLU004", word, "YAML tags are not read", "leave the tag out, or quote what is text")

    def say(self, code: str, subject: str, message: str, hint: str) -> None:
        self.findings.append(Finding(code, Place(self.file, self.line, self.column), subject, message, hint))
        if len(self.findings) > MOST_FINDINGS:
            raise _Refused(f"has more than {MOST_FINDINGS} mistakes of this kind")


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
