"""Looks for values that must not be seen: in files, in Git objects, in processes, and in whatever was printed.

In: canaries, values that can be known again, and places. Out: what was found, and where. A value is known raw, with its
letters and digits within any quoting (JSON, URLs, YAML, shells, HTML, Python leave those alone), in hexadecimal, and
within base64 wherever it begins there.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

LEAST = 12
"""Characters of a run that is long enough to be no chance."""
LARGEST = 1 << 30


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """`place`: words for where; `canary`: what was found there; `mode` and `owner`: of a file."""

    place: str
    canary: str
    mode: int | None = None
    owner: int | None = None

    def __str__(self) -> str:
        rights = "" if self.mode is None else f" (mode {self.mode:o}, owner {self.owner})"
        return f"{self.canary} in {self.place}{rights}"


def forms(value: str) -> set[bytes]:
    """All by which the value is known: see the module."""
    data = value.encode()
    parts = {data} | {each for each in re.findall(rb"[A-Za-z0-9]+", data) if len(each) >= LEAST}
    found = set(parts)
    for part in parts:
        found |= {part.hex().encode(), part.hex().upper().encode()}
        for before in range(3):
            text = base64.b64encode(b"\0" * before + part)
            # The first characters also hold bits of what stands before, the last ones of what comes behind.
            begin, end = (0, 2, 3)[before], (len(part) + before) // 3 * 4
            found |= {text[begin:end], text[begin:end].replace(b"+", b"-").replace(b"/", b"_")}
    return {form for form in found if len(form) >= LEAST}


class Seeker:
    """Knows the canaries of one test, and finds them. `unseen`: values, by name."""

    def __init__(self) -> None:
        self.mark = "Cnry" + secrets.token_hex(6)
        """At the beginning of all that is planted, so that one look finds whichever it is."""
        self.values: dict[str, str] = {}
        self._forms: dict[bytes, str] = {}
        self._first: frozenset[bytes] = frozenset(forms(self.mark))
        """One of them is in whatever has a canary in it."""

    def plant(self, name: str, more: str = "") -> str:
        """A new value of that name. `more`: what stands behind it, as quotes."""
        return self.know(name, f"{self.mark}{secrets.token_hex(8)}{more}")

    def know(self, name: str, value: str) -> str:
        """Look for this value too: one that was made elsewhere."""
        self.values[name] = value
        self._forms = {**self._forms, **dict.fromkeys(forms(value), name)}  # a watch may be reading the old one
        if not value.startswith(self.mark):
            self._first |= forms(value)
        return value

    def names_in(self, data: bytes) -> set[str]:
        """The canaries in it."""
        if not any(form in data for form in self._first):
            return set()
        return {name for form, name in self._forms.items() if form in data}

    def in_text(self, place: str, text: str | bytes) -> set[Found]:
        """In what was printed or answered."""
        return {Found(place, name) for name in self.names_in(text if isinstance(text, bytes) else text.encode())}

    def in_files(self, top: Path) -> set[Found]:
        """In the names and contents of all files below, those of databases also as their rows say."""
        found = set()
        for folder, _, names in os.walk(top):
            for path in (Path(folder, name) for name in names):
                place = str(path.relative_to(top))
                found |= self.in_text(f"name {place}", place)
                with suppress(FileNotFoundError):
                    found |= self._in_file(path, place)
        return found

    def _in_file(self, path: Path, place: str) -> set[Found]:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return self.in_text(f"link {place}", os.fsencode(path.readlink()))
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            return set()
        data = path.read_bytes()
        names = self.names_in(data)
        if data.startswith(b"SQLite format 3\0"):  # a long text may lie in several pages
            names |= self.names_in("\n".join(_rows(path)).encode(errors="replace"))
        return {Found(place, name, stat.S_IMODE(status.st_mode), status.st_uid) for name in names}

    def in_repository(self, folder: Path) -> set[Found]:
        """In all of its objects, also those that nothing leads to."""
        argv = ["git", f"--git-dir={folder}", "cat-file", "--batch-all-objects", "--unordered", "--batch"]
        objects = subprocess.run(argv, capture_output=True, check=True).stdout
        return self.in_text(f"objects of {folder.name}", objects)


def _rows(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection, suppress(sqlite3.Error):
        yield from connection.iterdump()


class Watch:
    """Looks at all processes, again and again while the block runs: what is in their arguments and environments.

    Place of what is found: `arguments of WORDS`, or `environment of` what the variable `mark` says, else of WORDS.
    """

    def __init__(self, seeker: Seeker, mark: str = "", pause: float = 0.03) -> None:
        self.found: set[Found] = set()
        self.looks = 0
        self._seeker, self._mark, self._pause = seeker, f"{mark}=".encode(), pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self.look()
            self._over.wait(self._pause)

    def look(self) -> None:
        """Once."""
        for pid in (name for name in os.listdir("/proc") if name.isdigit()):
            with suppress(OSError):
                environment = _read(f"/proc/{pid}/environ")
                words = _read(f"/proc/{pid}/cmdline")  # after it: what became another program is called by that
                if names := self._seeker.names_in(words):
                    self.found |= {Found(f"arguments of {_shown(words)}", name) for name in names}
                if names := self._seeker.names_in(environment):
                    marks = [each for each in environment.split(b"\0") if each.startswith(self._mark)]
                    whose = marks[0].partition(b"=")[2] if self._mark != b"=" and marks else words
                    self.found |= {Found(f"environment of {_shown(whose)}", name) for name in names}
        self.looks += 1


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _shown(words: bytes) -> str:
    return words.replace(b"\0", b" ").decode(errors="replace").strip()[:200]


@dataclass(frozen=True, slots=True)
class Allowed:
    """A place where canaries may be. `place`: a pattern for the whole of it; `canaries`: one for their names; `mode`:
    rights that a file there may have at most; `why`: the reason; `brief`: it lasts so short that a look may miss it."""

    place: str
    canaries: str
    why: str
    mode: int | None = None
    brief: bool = False

    def covers(self, found: Found) -> bool:
        """Whether what was found is this."""
        return (
            re.fullmatch(self.place, found.place) is not None
            and re.fullmatch(self.canaries, found.canary) is not None
            and (self.mode is None or (found.mode is not None and found.mode | self.mode == self.mode))
        )


def unexpected(found: Iterable[Found], allowed: Iterable[Allowed]) -> list[str]:
    """What was found elsewhere than allowed, in words."""
    known = tuple(allowed)
    return sorted(str(each) for each in found if not any(rule.covers(each) for rule in known))


def never_met(found: Iterable[Found], allowed: Mapping[str, Allowed]) -> list[str]:
    """The names of those rules that nothing needed: a list that allows too much proves less."""
    every = tuple(found)
    return sorted(name for name, rule in allowed.items() if not (rule.brief or any(map(rule.covers, every))))
