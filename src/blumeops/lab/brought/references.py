"""References to secrets in files of any kind: YAML, templates, scripts.

In: the text of a file. Out: each `op://vault/item/field` with its line, and findings for what only looks like one.
Lines that are comments are passed over. A name with spaces is seen where the reference is quoted or is a whole value.
"""

from __future__ import annotations

import re

from blumeops.base.findings import Finding, Place
from blumeops.lab.brought.model import Named

_PART = r"[A-Za-z0-9._-]+(?: +[A-Za-z0-9._-]+)*"
REFERENCE = re.compile(rf"op://{_PART}(?:/{_PART}){{2,3}}")
"""As `secrets/references.py` reads them."""
_SCHEME = re.compile(r"op://")
_WORD = re.compile(r"op://(?:\{\{.*?\}\}|\$\{.*?\}|[^\s\"'`,;)\]}<>|&\\])*")
_WHOLE = re.compile(r"(?:^|[:=-])\s*$")
"""What stands before a value that goes on to the end of its line."""
_COMMENTS = ("#", "{#", "//")
MOST = 100


def references(data: bytes, file: str) -> tuple[list[Named], list[Finding]]:
    """The references in the file; nothing of a file that is no text, or only for people."""
    if b"op://" not in data or file.endswith(".md"):
        return [], []
    found: list[Named] = []
    wrong: list[Finding] = []
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if line.lstrip().startswith(_COMMENTS):
            continue
        for match in _SCHEME.finditer(line):
            said = _said(line, match.start())
            place = Place(file, number, match.start() + 1)
            if REFERENCE.fullmatch(said):
                found.append(Named(said, place, "op://"))
            elif said != "op://" and len(wrong) < MOST:
                put = "{" in said or "$" in said
                message = "is put together when it is read" if put else "is not a reference to a secret"
                hint = "write op://vault/item/field whole, so that it is known beforehand who reads what"
                wrong.append(Finding("BLU501", place, file, message, hint))
    return found, wrong


def _said(line: str, start: int) -> str:
    """The reference that begins at `start`: as far as its quotes, its value or its word go."""
    before, rest = line[:start], line[start:]
    if before[-1:] in ("'", '"', "`") and before and before[-1] in rest:
        return rest[: rest.index(before[-1])]
    whole = rest.split(" #")[0].strip()
    if _WHOLE.search(before) and REFERENCE.fullmatch(whole):
        return whole
    word = _WORD.match(rest)
    return word[0] if word else rest
