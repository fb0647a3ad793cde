"""HuJSON text (JSON with comments and trailing commas) becomes values that know where they stand.

What enters is hostile: size, depth, the length of numbers and the count of findings are bounded, the work grows with
the length of the text alone, and nothing that the text holds raises. Keys that stand twice are a finding; the first
stays. Lone surrogates become U+FFFD, as the control plane's own reader makes them.
Source: https://github.com/tailscale/hujson and RFC 8259.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blumeops.base.findings import Finding, Place

MOST_BYTES = 16 * 1024 * 1024
MOST_DEPTH = 100
MOST_FINDINGS = 100
MOST_DIGITS = 300
"""Digits of one number: what no reader disagrees about. A float holds 1e308 at most."""

_BLANK = re.compile(r"(?:[ \t\r\n]++|//[^\n]*+|/\*(?s:.*?)\*/)*+")
_TOKEN = re.compile(r'[{}\[\],:]|"(?:[^"\\\x00-\x1f]++|\\.)*+"|-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][+-]?\d++)?|[a-z]++')
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None}
_NO_KEYS: Mapping[str, int | Place] = {}
"""What a value has that is no object: one for all, since there are millions. Never written to."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class Value:
    """One value: `data` is a dict or list of Values, a string, a number, a bool or None; `at` is where it begins."""

    __slots__ = ("at", "data", "keys")

    def __init__(self, data: Any, at: int | Place, keys: Mapping[str, int | Place] | None = None) -> None:
        self.data = data
        self.at = at
        self.keys = _NO_KEYS if keys is None else keys

    def plain(self) -> Any:
        """The value without places, as `json.loads` gives it."""
        if isinstance(self.data, dict):
            return {key: value.plain() for key, value in self.data.items()}
        return [value.plain() for value in self.data] if isinstance(self.data, list) else self.data


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and what is wrong with its text; `root` is None when it cannot be read at all."""

    file: str
    root: Value | None
    findings: tuple[Finding, ...]
    lines: Sequence[int] = ()
    """The offsets at which lines begin."""

    def place(self, at: int | Place) -> Place:
        """File, line and column of an offset; values that were built, not read, bring their own place."""
        if isinstance(at, Place):
            return at
        line = bisect.bisect_right(self.lines, at)
        return Place(self.file, max(line, 1), at - (self.lines[line - 1] if line else 0) + 1)


class _Refused(Exception):
    """The text ends here for us: code, offset, message, hint."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A plain value of our own, with the place that its findings and decisions shall name."""

    data: Any
    place: Place


def read(text: bytes, file: str) -> Document:
    """Read one HuJSON text. Never raises for what it holds."""
    if len(text) > MOST_BYTES:
        return _refused(file, (), "BLU221", 0, f"is larger than {MOST_BYTES // 2**20} MiB")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8-sig")
        return _refused(file, _lines(before), "BLU221", len(before), "is not UTF-8 text")
    reader = _Reader(decoded)
    try:
        root = reader.document()
    except _Refused as error:
        code, at, message, hint = error.args
        return _refused(file, _lines(decoded), code, at, message, hint)
    document = Document(file, root, (), _lines(decoded))
    twice = [
        Finding("BLU222", document.place(at), shown(key), "stands twice in one object", "keep one of the two")
        for key, at in reader.twice[:MOST_FINDINGS]
    ]
    return Document(file, root, tuple(twice), document.lines)


def build(data: Any, place: Place) -> Document:
    """A document from plain values of our own: dicts, lists, tuples, strings; `Placed` says where a part comes from."""
    return Document(place.file, _built(data, place), ())


def shown(text: str, most: int = 60) -> str:
    """Hostile text as it may stand in a message: on one line, printable, short."""
    line = text if text.isprintable() else repr(text)[1:-1]
    return line if len(line) <= most else line[: most - 1] + "…"


def _built(data: Any, place: Place) -> Value:
    if isinstance(data, Placed):
        return _built(data.data, data.place)
    if isinstance(data, Mapping):
        inside = {str(key): _built(value, place) for key, value in data.items()}
        return Value(inside, place, dict.fromkeys(inside, place))
    if isinstance(data, Sequence) and not isinstance(data, str):
        return Value([_built(value, place) for value in data], place)
    return Value(data, place)


def _refused(file: str, lines: Sequence[int], code: str, at: int, message: str, hint: str = "") -> Document:
    document = Document(file, None, (), lines)
    return Document(file, None, (Finding(code, document.place(at), file, message, hint),), lines)


def _lines(text: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer("\n", text))]


class _Reader:
    """One pass over the text; every method begins and ends behind what it has read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces = self._pieces()
        self.at = 0
        self.twice: list[tuple[str, int]] = []

    def document(self) -> Value:
        first = next(self.pieces, "")
        if not first:
            raise _Refused("BLU220", 0, "holds no value", "write at least {}")
        root = self._value(first, 0)
        if extra := next(self.pieces, ""):
            raise _Refused("BLU220", self.at, f"goes on with {shown(extra, 20)} behind its end", "remove what follows")
        return root

    def _pieces(self) -> Iterator[str]:
        text, blank, piece = self.text, _BLANK.match, _TOKEN.match
        position = 0
        while True:
            gap = blank(text, position)
            position = gap.end() if gap else position
            self.at = position
            found = piece(text, position)
            if found is None:
                if position < len(text):
                    raise _Refused("BLU220", position, *self._strange(position))
                return
            position = found.end()
            yield found[0]

    def _strange(self, at: int) -> tuple[str, str]:
        """What is wrong with a text that is no piece."""
        if self.text.startswith("/*", at):
            return "has a comment that does not end", "close it with */"
        if self.text[at] == '"':
            return "has a string that does not end on its line", 'close it with "; write a line break as \\n'
        if self.text[at] == "'":
            return "has a string in single quotes", 'use "double quotes"'
        if self.text[at] == "#":
            return "has a # where a value should be", "comments begin with // here"
        return f"has {shown(self.text[at])!r} where a value should be", "quote strings"

    def _next(self) -> str:
        found = next(self.pieces, None)
        if found is None:
            raise _Refused("BLU220", self.at, "ends too early", "close every { and [")
        return found

    def _value(self, piece: str, depth: int) -> Value:
        at, first = self.at, piece[0]
        if first == '"':
            return Value(self._string(piece), at)
        if first == "{" or first == "[":
            if depth == MOST_DEPTH:
                raise _Refused("BLU221", at, f"is nested deeper than {MOST_DEPTH}", "")
            return self._object(at, depth) if first == "{" else self._array(at, depth)
        if first in "-0123456789":
            return Value(self._number(piece), at)
        if piece in _WORDS:
            return Value(_WORDS[piece], at)
        hint = "quote strings" if first.isalpha() else "remove it, or write the value that is missing"
        raise _Refused("BLU220", at, f"has {shown(piece, 20)!r} where a value should be", hint)

    def _object(self, at: int, depth: int) -> Value:
        inside: dict[str, Value] = {}
        keys: dict[str, int | Place] = {}
        piece = self._next()
        while piece != "}":
            if piece[0] != '"':
                raise _Refused("BLU220", self.at, f"has {shown(piece, 20)!r} where a key should be", "quote keys")
            key, key_at = self._string(piece), self.at
            if self._next() != ":":
                raise _Refused("BLU220", self.at, f"lacks the colon behind {shown(key)!r}", 'write "key": value')
            value = self._value(self._next(), depth + 1)
            if key in inside:
                self.twice.append((key, key_at))
            else:
                inside[key], keys[key] = value, key_at
            piece = self._behind("}")
        return Value(inside, at, keys)

    def _array(self, at: int, depth: int) -> Value:
        inside: list[Value] = []
        piece = self._next()
        while piece != "]":
            inside.append(self._value(piece, depth + 1))
            piece = self._behind("]")
        return Value(inside, at)

    def _behind(self, end: str) -> str:
        """The piece that follows a member: `end`, or the one behind the comma."""
        piece = self._next()
        if piece == ",":
            return self._next()
        if piece != end:
            raise _Refused("BLU220", self.at, f"has {shown(piece, 20)!r} where , or {end} should be", "add a comma")
        return piece

    def _string(self, piece: str) -> str:
        if "\\" not in piece:
            return piece[1:-1]
        try:
            text: str = json.loads(piece)
        except ValueError:
            raise _Refused(
                "BLU220", self.at, "has a string with an escape that JSON does not know", "use \\\\"
            ) from None
        return _SURROGATE.sub("\ufffd", text)

    def _number(self, piece: str) -> int | float:
        if len(piece) > MOST_DIGITS:
            raise _Refused("BLU221", self.at, f"has a number of more than {MOST_DIGITS} digits", "")
        if piece.isdecimal():
            return int(piece)
        number: int | float = json.loads(piece)
        if number in (float("inf"), float("-inf")):
            raise _Refused("BLU221", self.at, f"has a number that is too large: {shown(piece)}", "")
        return number
