"""All that the commands print: results to stdout, progress and hints to stderr, colour only on a terminal."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from blumeops.base.findings import Finding, errors

if TYPE_CHECKING:
    from blumeops.base.tree import FileTree

_COLOURS = {"bad": "31", "good": "32", "wait": "33", "dim": "2", "bold": "1"}
_MOODS = {
    "running": "good", "provided": "dim", "scheduled": "dim", "unavailable": "dim", "failed": "bad", "stopped": "bad",
    "waiting": "wait", "starting": "wait",
}  # fmt: skip


def paint(text: str, mood: str, stream: TextIO | None = None) -> str:
    """The text in a colour, where the stream (stdout as it is now) is a terminal and NO_COLOR is not set."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[mood]}m{text}\x1b[0m"


def fit(line: str, stream: TextIO | None = None) -> str:
    """The line, cut to the width of the terminal where the stream is one: whoever reads a file or a pipe gets all."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return line
    columns = shutil.get_terminal_size().columns
    return line if len(line) <= columns else line[: columns - 1] + "…"


def mood_of(state: str) -> str:
    """The colour of a unit's state."""
    return _MOODS.get(state, "bold")


def say(line: str = "") -> None:
    """A line of the result."""
    print(line, flush=True)


def progress(line: str) -> None:
    """A line about what is going on, or a hint. One that ends with a carriage return passes: on a terminal the next one
    is written over it; elsewhere it is a line like others, but not oftener than every `_SELDOM` seconds."""
    if not line.endswith("\r"):
        print(f"{_CLEAR if _passing.shown else ''}{line}", file=sys.stderr, flush=True)
        _passing.shown = False
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        print(f"{_CLEAR}{fit(line.rstrip(), sys.stderr)}", end="", file=sys.stderr, flush=True)
        _passing.shown = True
    elif time.monotonic() - _passing.told >= _SELDOM:
        print(line.rstrip(), file=sys.stderr, flush=True)
        _passing.told = time.monotonic()


class _Passing:
    """Whether such a line stands on the terminal, and when one was told elsewhere."""

    shown = False
    told = -math.inf


_passing = _Passing()
_CLEAR = "\r\x1b[2K"
_SELDOM = 10.0


def say_json(value: object) -> None:
    """The result as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell; the last one is as long as it is."""
    rows = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *rows]) for column in range(len(head) - 1)]
    return [
        "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]).rstrip()
        for row in [list(head), *rows]
    ]


def say_written(tree: FileTree, written: Sequence[Path], as_json: bool) -> None:
    """The files of a tree that was written to a folder: with JSON all, else those that are new or changed."""
    if as_json:
        say_json({"version": 1, "files": list(tree), "written": sorted(str(path) for path in written)})
    for path in written if not as_json else ():
        say(str(path))


def say_findings(findings: Sequence[Finding], stream: TextIO | None = None) -> None:
    """Every finding on a line of its own; place first, so that editors and terminals can jump there."""
    stream = stream or sys.stdout
    for finding in findings:
        print(finding, file=stream, flush=True)


def count(findings: Sequence[Finding], services: int) -> str:
    """How much was looked at, and what was found."""
    bad, notes = len(errors(findings)), sum(finding.severity == "note" for finding in findings)
    counts = [(services, "service"), (bad, "error"), (len(findings) - bad - notes, "warning")]
    counts += [(notes, "note")] if notes else []
    return ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counts)
