"""What is copied from elsewhere (a program's last lines, its answers, a changed file) without the secrets in it.

In: values, and whole texts. Out: the texts with `***` in their place. A value is known as it is, in any usual quoting
(JSON, URLs, HTML, Python, shells), by each of its lines and long words, in hexadecimal, and within base64 wherever it
begins there. What a program makes of a value beyond that (a part of it, a digest, base64 in lines) is not known again.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote, quote_plus

MASK = "***"
SHORT = 4
"""A shorter line of a secret that has several ("}", "---") says nothing, and is in every text."""
WORD = re.compile(r"[A-Za-z0-9]{16,}")
"""Within a value, so long a word is a secret by itself: any quoting leaves it alone."""
CORE = 8
"""Characters of base64 that are no chance."""
_QUOTINGS: tuple[Callable[[str], str], ...] = (
    str, lambda text: json.dumps(text)[1:-1], lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1], lambda text: quote(text, safe=""), quote, quote_plus,
    html.escape, lambda text: repr(text)[1:-1], lambda text: repr(text.encode())[2:-1],
    lambda text: shlex.quote(text).strip("'"),
)  # fmt: skip


class Masks:
    """Values, and texts without them. For several threads."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._new: list[str] = []
        self._shapes: list[str] = []
        self._cores: list[str] = []
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        """Know this value from now on."""
        with self._lock:
            if value not in self._known:
                self._known.add(value)
                self._new.append(value)

    def mask(self, text: str) -> str:
        """`text` without any value that is known, nor a line of one. It must be whole: a part is not known again."""
        cores, shapes = self._prepared() if text else ((), ())
        for core in cores:
            if core in text:  # what stands around it in the same word holds some bits of it too
                text = re.sub(rf"[A-Za-z0-9+/_=-]*{re.escape(core)}[A-Za-z0-9+/_=-]*", MASK, text)
        for shape in shapes:
            text = text.replace(shape, MASK)
        return text

    def _prepared(self) -> tuple[Sequence[str], Sequence[str]]:
        """The longest first. Made when they are needed: a lab adds all of its values at once."""
        with self._lock:
            if self._new:
                new, self._new = self._new, []
                shapes = {*self._shapes, *(shape for value in new for shape in _shapes(value))}
                cores = {*self._cores, *(core for value in new for core in _cores(value))}
                self._shapes, self._cores = (sorted(each, key=len, reverse=True) for each in (shapes, cores))
            return self._cores, self._shapes


def _parts(value: str) -> set[str]:
    lines = [line.strip() for line in value.splitlines()]
    return {value, value.strip(), *(line for line in lines if len(line) >= SHORT), *WORD.findall(value)} - {""}


def _shapes(value: str) -> Iterator[str]:
    for part in _parts(value):
        yield from (quoted(part) for quoted in _QUOTINGS)
        if len(part) >= SHORT:
            yield from (part.encode().hex(), part.encode().hex().upper())


def _cores(value: str) -> Iterator[str]:
    """The characters of base64 that depend on nothing else, for each place at which the value can begin."""
    for part in _parts(value):
        data = part.encode()
        for before in range(3):
            text = base64.b64encode(b"\0" * before + data).decode()
            core = text[(0, 2, 3)[before] : (len(data) + before) // 3 * 4]
            if len(core) >= CORE:
                yield from (core, core.replace("+", "-").replace("/", "_"))
