"""YAML text becomes plain values and, beside them, the place of every key and value.

YAML 1.2, core schema: `on`, `yes`, `no` are strings, `010` is ten, keys are strings as written. The events
of PyYAML's C parser are fast and carry marks; scalars are resolved by us, since its own constructors read 1.1.
Hostile input ends in a finding: size, depth and the total size of expanded aliases are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import yaml

from blumeops.base.findings import Finding, Place
from blumeops.lab.marks import Document, Mark, shown
from blumeops.lab.nodes import MOST_FINDINGS, Builder, Refused

MOST_BYTES = 16 * 1024 * 1024
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


def read(text: bytes, file: str) -> Document:
    """Read one YAML document. Never raises for what the text holds: that is in `findings`, and `data` is None."""
    return _read(text, file, lambda builder: (builder.document(),))[0]


def read_all(text: bytes, file: str) -> tuple[Document, ...]:
    """Every document of a file, as Kubernetes' manifests are written; at least one, and the last has the findings."""
    return _read(text, file, Builder.documents)


def _read(text: bytes, file: str, build: Callable[[Builder], tuple[Document, ...]]) -> tuple[Document, ...]:
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
    builder = Builder(file, loader)
    try:
        return build(builder)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        hint = _hint(problem, decoded, line, column)
        return _refused(file, "BLU001", f"is not YAML: {problem}", line, column, hint, builder.findings)
    except Refused as error:
        return _refused(
            file, error.code, str(error), builder.line, builder.column, error.hint, builder.findings[:MOST_FINDINGS]
        )
    finally:
        loader.dispose()


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
