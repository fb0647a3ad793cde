"""Which of the versions that there are is newer than the one that is pinned, and of the same kind.

In: the pinned version, and all that are told. Out: the newest. Two versions are of a kind when they have as many
numbers and the same words around them: for `1.27-alpine`, `1.28-alpine` is newer, and `1.28`, `1.28.3-alpine` and
`v1.28-alpine` are something else. What is not released yet is only told to who pinned such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

_PARTS = re.compile(
    r"(?P<before>[vV]?)(?P<numbers>[0-9]{1,9}(\.[0-9]{1,9}){0,5})(?P<after>([-+._~]?[A-Za-z].*|[-+~].+)?)"
)
_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)*")
_YEAR = 1900


@dataclass(frozen=True, slots=True)
class _Read:
    text: str
    kind: tuple[object, ...]
    order: tuple[Version, tuple[int, ...]]
    early: bool
    """Whether it is before a release: an alpha, a beta, a candidate."""


@dataclass(frozen=True, slots=True)
class Newer:
    """`newest`: of all; `in_line`: with the same first number, where that is another; each empty where none is."""

    newest: str = ""
    in_line: str = ""


def newer(pinned: str, known: Iterable[str]) -> Newer:
    """What is newer than `pinned` among `known`; nothing where `pinned` is no version."""
    now = _read(pinned)
    if now is None:
        return Newer()
    found = [each for text in known if (each := _read(text)) and _follows(each, now)]
    if not found:
        return Newer()
    newest = max(found, key=lambda each: each.order)
    line = [each for each in found if each.order[0].major == now.order[0].major]
    in_line = max(line, key=lambda each: each.order).text if line else ""
    return Newer(newest.text, in_line if in_line != newest.text else "")


def _follows(each: _Read, now: _Read) -> bool:
    if each.kind != now.kind or each.order <= now.order or (each.early and not now.early):
        return False
    return each.order[0].major < _YEAR or now.order[0].major >= _YEAR  # some began to count by years, and left off


def _read(text: str) -> _Read | None:
    found = _PARTS.fullmatch(text)
    if found is None or len(text) > 128:
        return None
    numbers, after = found["numbers"], found["after"]
    early, version = False, Version(numbers)
    try:
        whole = Version(numbers + after)
        early = whole.is_prerelease
        version = whole
    except InvalidVersion:  # words that say how it is made: -alpine, -rootless
        early = bool(re.match(r"[-._]?(alpha|beta|rc|pre|preview|dev|nightly|snapshot|unstable)", after, re.IGNORECASE))
    words = "" if early else _NUMBERS.sub("0", after)
    inside = tuple(int(number) for number in re.findall("[0-9]{1,9}", after))
    return _Read(text, (found["before"], numbers.count("."), words), (version, inside), early)
