"""What looks like a secret in a push: in every file that is new to the repository by it, of whatever commit and ref.

What enters: the updates of a push, and the repository with its quarantine. What leaves: findings, with the commit that
brings each, and notes about what was not looked through. What a later commit takes out again is found all the same: Git
keeps it. Time is bounded: what the pushed revisions themselves hold is looked through in any case, or the push is
refused; what lies before them, newest first, as far as the time goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blumeops.base.errors import BlumeError, EngineError
from blumeops.base.files import scratch
from blumeops.base.findings import Finding, Place, in_order
from blumeops.forge.gate import Looked, Search, Update
from blumeops.forge.git import ZERO, beginning, blobs, commit_id, printable
from blumeops.forge.history import BRANCH
from blumeops.forge.news import Introduction, NewFile, News, brought, introduced
from blumeops.forge.repository import Repository
from blumeops.lab import yaml
from blumeops.lab.described import Described
from blumeops.lab.settings import SecretsSetting
from blumeops.secrets import scan

SECONDS = 12.0
"""For what need not be looked through."""
ANY = ("--all",)
"""What a repository that is pushed to knows."""
FETCHED = ("--remotes",)
"""What a clone that pushes knows to be elsewhere already."""
_AT_ONCE = 8 << 20
"""Bytes that the scanner gets at once: it takes about a second for them."""
_MOST = 100
_ALLOW = "secrets: {allow: [{file, rule, reason}]}"


@dataclass(frozen=True, slots=True)
class _New:
    """A file, what was pushed with it, and what was known before; None where the file itself was."""

    file: NewFile
    pushed: str
    known: tuple[str, ...] | None

    @property
    def path(self) -> str:
        return printable(self.file.path) or "(no path)"


@dataclass
class _Search:
    """One push: its new files by object name, and how many are not among them."""

    repository: Repository
    env: Mapping[str, str]
    work: Path
    started: float
    files: dict[str, _New] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    rest: int = 0
    whole: bool = True

    def left(self, seconds: float = SECONDS) -> float:
        """How much of these is left."""
        return self.started + seconds - time.monotonic()

    def add(self, news: News, pushed: str, known: tuple[str, ...] | None) -> None:
        for file in news.files:
            self.files.setdefault(file.name, _New(file, pushed, known))
        self.large |= news.large
        self.rest += news.rest
        self.whole = self.whole and news.whole

    def found(self) -> Iterator[tuple[_New, scan.Leak]]:
        """Look through them: first what must be, then what there is time for."""
        files = sorted(self.files.values(), key=lambda new: not new.file.last)
        while files:
            some = _some(files)
            must = some[0].file.last
            try:
                leaks = self._look(some, self.left(scan.SECONDS if must else SECONDS))
            except EngineError as error:
                if error.code != "BLU902" or must:
                    raise
                self.rest += len(files)
                return
            yield from ((some[leak.at], leak) for leak in leaks)
            del files[: len(some)]

    def _look(self, some: Sequence[_New], seconds: float) -> list[scan.Leak]:
        if seconds <= 0:
            raise EngineError("BLU902", "betterleaks", f"took longer than {scan.SECONDS:g} s")
        contents = blobs(self.repository.path, [new.file.name for new in some], self.env)
        return scan.look(zip((new.file.path for new in some), contents, strict=True), self.work, seconds)

    def notes(self) -> Iterator[str]:
        if self.large:
            yield f"note: not looked through for secrets: {_counted(len(self.large))} of more than 1 MiB"
        if self.rest or not self.whole:
            some = f"{_counted(self.rest)} of earlier commits" if self.rest else "the earliest commits"
            yield f"note: not looked through for secrets, since there is too much: {some}; `betterleaks git` does"


def searcher(work: Path) -> Search:
    """What the gate of a site's own forge asks."""

    def asked(repository: Repository, updates: Sequence[Update], env: Mapping[str, str]) -> Looked:
        return search(repository, updates, env, work)

    return asked


def search(
    repository: Repository, updates: Sequence[Update], env: Mapping[str, str], work: Path, *,
    known: Sequence[str] = ANY, branch: str = BRANCH,
) -> Looked:  # fmt: skip
    """Look through a push. `known`: options of `git rev-list` for what the repository had before; `branch`: that which
    the lab is made from, of which all that changes is looked through, whichever branch brought it here.

    What `lab.yaml` of the pushed revision itself allows is not told. Raises EngineError `BLU600`, `BLU902`, `BLU522`.
    """
    updates = [update for update in updates if update[1] != ZERO]
    if not updates:
        return Looked()
    if scan.program() is None:
        return Looked(notes=("note: not looked through for secrets: there is no betterleaks; see `blumeops doctor`",))
    now = _Search(repository, env, work, time.monotonic())
    before: tuple[str, ...] = tuple(known)
    for old, _, _ in updates:
        if old != ZERO and repository.has(old):
            before += (old, f"{old}^{{tree}}")
    for old, new, ref in updates:
        if now.left() <= 0:
            now.whole = False
            break
        now.add(brought(repository.path, commit_id(new), before, env), new, before)
        if ref == branch:
            there = (f"{old}^{{tree}}",) if old in before else ()
            now.add(brought(repository.path, f"{new}^{{tree}}", there, env), new, None)
        before += (new,)
    findings = _told(now)
    more = [f"note: {len(findings) - _MOST:,} more look like secrets"] if len(findings) > _MOST else []
    return Looked(tuple(findings[:_MOST]), (*more, *now.notes()))


def _told(now: _Search) -> list[Finding]:
    """Each but those that are allowed; what several versions of a file have in one line once, in the oldest."""
    told: dict[tuple[str, int, str], Finding] = {}
    found = list(now.found())
    for pushed in dict.fromkeys(new.pushed for new, _ in found):
        setting = _setting(now, pushed)
        mine = [each for each in found if each[0].pushed == pushed and not setting.allows(each[0].path, each[1].rule)]
        brings: dict[str, Introduction] = {}
        for known in dict.fromkeys(new.known for new, _ in mine if new.known is not None):
            names = list(dict.fromkeys(new.file.name for new, _ in mine if new.known == known))[:_MOST]
            brings |= introduced(now.repository.path, names, pushed, known, now.env)
        for new, leak in mine:  # the newest comes first
            told[new.path, leak.line, leak.rule] = _finding(new, leak, brings.get(new.file.name))
    return in_order(told.values())


def _setting(now: _Search, pushed: str) -> SecretsSetting:
    """What lab.yaml says of secrets in a pushed revision; nothing where there is none, or it cannot be read."""
    with scratch(now.work, "allowed-") as folder:
        asked = ("cat-file", "blob", f"{pushed}:lab.yaml")
        try:
            text = beginning(now.repository.path, *asked, most=yaml.MOST_BYTES, env=now.env)
        except BlumeError:
            return SecretsSetting()
        (folder / "lab.yaml").write_bytes(text)
        return Described(folder).settings().secrets


def _finding(new: _New, leak: scan.Leak, brings: Introduction | None) -> Finding:
    commit = brings.commit if brings else new.file.commit
    if new.known is None or not commit:
        message, mend = "looks like a secret, and everybody with the files has it", "take it out"
    else:
        message = f"looks like a secret, and commit {commit[:8]} has it, so that everybody with a clone will"
        mend = "take it out: git commit --amend"
        if not new.file.last or commit != new.file.commit:
            start = "--root" if brings and brings.first else f"{commit[:8]}^"
            mend = f"mend that commit, for a later one leaves it in Git: git rebase -i {start}"
    hint = f"{mend}; replace it if it was ever anywhere else; or say in lab.yaml: {_ALLOW}"
    return Finding("BLU521", Place(new.path, leak.line, leak.column), leak.rule, message, hint)


def _some(files: Sequence[_New]) -> list[_New]:
    """As many of the first ones as are looked through at once; all that must be, or none."""
    size = count = 0
    for count, new in enumerate(files):
        size += new.file.size
        if count and (size > _AT_ONCE or new.file.last != files[0].file.last):
            return list(files[:count])
    return list(files)


def _counted(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"
