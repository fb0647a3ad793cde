"""The push gate without a controller: what a hook of somebody's own repository runs.

What enters: argv (the hook's name, the branch's full name, --fail-on-exposure), the lines that Git gives the hook, and
Git's quarantine in the environment. What leaves: findings or the plan on stderr, and the exit status: 0, or `REFUSED`.
The judge is that of a site's own forge; the whole of it runs within `base.limits`. What can only be known at a site
(its key, what runs there) is not asked: the plan leads from the branch's revision before to the pushed one.

Run as a program: `python -I -m blumeops.app.push_gate pre-receive refs/heads/main`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from blumeops.base.errors import BlumeError
from blumeops.base.findings import errors
from blumeops.base.limits import CPU_SECONDS, MEMORY, WALL_SECONDS, limit_this_process
from blumeops.forge.gate import Looked, Update, judge
from blumeops.forge.git import printable, reading_elsewhere
from blumeops.forge.hook_client import QUARANTINE
from blumeops.forge.own_hook import REFUSED
from blumeops.forge.repository import Repository
from blumeops.loop import leaks
from blumeops.loop.admission import unconsented
from blumeops.loop.controller import plan_lines, remote_lines
from blumeops.loop.revision import Revision, read_revision
from blumeops.plan.compare import compare
from blumeops.plan.exposure import exposure, exposure_lines


@dataclass
class _Gate:
    """One push: which branch counts, where checkouts lie, and what is known of it when it is judged."""

    branch: str
    work: Path
    exposure: bool
    accepted: bool = False
    old: str = ""
    before: Revision | None = None
    after: Revision | None = None

    def examine(
        self, repository: Repository, old: str | None, new: str, env: Mapping[str, str]
    ) -> Generator[str, None, bool]:
        """What `judge` asks about the branch: every finding, and nothing changes of who reaches what if that counts."""
        after = read_revision(repository, self.work, new, env)
        yield from map(str, after.findings)
        short = self.branch.removeprefix("refs/heads/")
        if after.checked is None:
            count = len(errors(after.findings))
            yield f"refused: {count} {'error' if count == 1 else 'errors'}; {short} stays where it was"
            return False
        self.after, self.old = after, old if old and repository.has(old) else ""
        if self.exposure and old and not self.old:
            yield f"refused: who reaches what cannot be compared, since {old[:8]} is not here: git fetch"
            return False
        if self.old and (unsaid := unconsented(repository, self._before(repository, env), after, env)):
            yield from self.changes(repository, env)
            yield from map(str, unsaid)
            yield f"refused: it needs consent; {short} stays where it was"
            return False
        if self.exposure and self.old and (changes := self.changes(repository, env)):
            yield from changes
            yield f"refused: who reaches what changes (--fail-on-exposure); {short} stays where it was"
            return False
        return True

    def changes(self, repository: Repository, env: Mapping[str, str]) -> list[str]:
        """Who reaches what from now on, a line each."""
        assert self.after and self.after.checked
        before = self._before(repository, env)
        if before.checked is None:
            return [
                f"access: not known: {before.name[:8]} does not pass the checks, so there is nothing to compare with"
            ]
        return [f"access: {line}" for line in exposure_lines(exposure(before.checked, self.after.checked))]

    def plan(self, repository: Repository, env: Mapping[str, str]) -> Iterator[str]:
        """What the accepted push changes, in words."""
        if self.after is None:
            return
        before = self._before(repository, env) if self.old else None
        if before and before.checked is None:
            yield f"note: {before.name[:8]} does not pass the checks, so there is no plan from there"
            return
        if before:
            yield f"{before.name[:8]} → {self.after.name[:8]}"
        yield from plan_lines(compare(self.after.units, before.units if before else {}), {})
        if before:
            yield from self.changes(repository, env)
            if before.secrets != self.after.secrets:
                yield "note: the SOPS file changes; which values are new is not seen without its key"
        yield from remote_lines(before, self.after)

    def _before(self, repository: Repository, env: Mapping[str, str]) -> Revision:
        if self.before is None:
            self.before = read_revision(repository, self.work, self.old, env)
        return self.before

    def too_much(self) -> None:
        """Time is up: what was not judged is refused; a plan that takes too long is done without."""
        for child in psutil.Process().children(recursive=True):
            child.kill()
        if self.accepted:
            _say("note: the plan takes too long to be told here")
            os._exit(0)
        _say(f"refused: judging this push takes more than {WALL_SECONDS} s, or {CPU_SECONDS} s of processor time")
        os._exit(REFUSED)


def main(hook: str, branch: str, *options: str) -> int:
    """Judge what Git says on stdin; the exit status."""
    gate = _Gate(branch, Path(tempfile.gettempdir()) / "work", "--fail-on-exposure" in options)
    limit_this_process(gate.too_much)
    try:
        return 0 if _judged(gate, hook) else REFUSED
    except BlumeError as error:
        _say(f"refused: {error}")
    except MemoryError:
        _say(f"refused: judging this push takes more than {MEMORY >> 20} MiB")
    return REFUSED


def _judged(gate: _Gate, hook: str) -> bool:
    repository = Repository(Path(os.environ.get("GIT_DIR") or (".git" if hook == "pre-push" else ".")).absolute())
    env = _environment()
    lines = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\n")
    found = [_pushed(line) if hook == "pre-push" else _received(line) for line in lines if line]
    # A forge keeps refs of its own (pull requests); in a clone only what leads to the branch is anybody's business. For
    # secrets all are searched: each takes files to where others are.
    updates = [
        each for each in found if each[2].startswith("refs/heads/") and (hook != "pre-push" or each[2] == gate.branch)
    ]
    known = leaks.FETCHED if hook == "pre-push" else leaks.ANY

    def search(*_: object) -> Looked:
        return leaks.search(repository, found, env, gate.work, known=known, branch=gate.branch)

    judged = judge(repository, updates, env, gate.examine, search, gate.branch)
    try:
        while True:
            _say(next(judged))
    except StopIteration as end:
        gate.accepted = end.value is True
    if gate.accepted:
        try:
            for line in gate.plan(repository, env):
                _say(line)
        except (BlumeError, MemoryError, OSError):
            _say("note: the plan cannot be told here")
    return gate.accepted


def _received(line: str) -> Update:
    old, new, ref = line.split(" ", 2)
    return old, new, ref


def _pushed(line: str) -> Update:
    _, new, ref, old = line.rsplit(" ", 3)  # the first may be anything that names a revision
    return old, new, ref


def _environment() -> dict[str, str]:
    """The quarantine, and how a repository is read that is not our forge's."""
    return reading_elsewhere() | {name: os.environ[name] for name in QUARANTINE if name in os.environ}


def _say(line: str) -> None:
    sys.stderr.buffer.write(printable(line).encode(errors="replace") + b"\n")
    sys.stderr.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
