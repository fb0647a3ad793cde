"""What a bare repository holds: names of commits, their history, and their files.

What enters: names that people and remotes say, full object names. What leaves: revisions, as full object names,
contents and checkouts. Nothing here changes the repository; `env` names the quarantine of a push that is not accepted
yet.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.files import cannot_write
from blumeops.base.processes import run
from blumeops.forge.git import beginning, blobs, commit_id, environment, git, printable
from blumeops.forge.inspect import FOLDER, LINK, PROGRAM, Entry, look

BRANCH = "refs/heads/main"
MOST_SAID = 1 << 20
"""Bytes of trailers: a million commits would say more, and no person."""

_NAME = re.compile(r"[A-Za-z0-9][\w./~^@{}-]{0,199}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Commit:
    """One revision of the history: full object names, seconds since 1970."""

    revision: str
    parents: tuple[str, ...]
    when: int
    author: str
    subject: str


@dataclass(frozen=True, slots=True)
class History:
    """Of the bare Git repository in the folder `path`."""

    path: Path

    def head(self) -> str | None:
        """The revision of `main`, or None before the first commit."""
        done = run(
            ["git", f"--git-dir={self.path}", "rev-parse", "--verify", "--quiet", BRANCH],
            env=environment(),
        )
        return done.stdout.decode().strip() or None

    def resolve(self, name: str) -> str:
        """The full object name of a commit: from a branch, a tag, (part of) an object name, `main~2`.

        Raises UserError `BLU601` where there is none.
        """
        argv = ["git", f"--git-dir={self.path}", "rev-parse", "--verify", "--quiet", "--end-of-options"]
        done = run([*argv, f"{name}^{{commit}}"], env=environment()) if _NAME.match(name) else None
        if done is None or done.code:
            raise UserError("BLU601", printable(name), "is no revision of this lab", "`blumeops history` lists them")
        return commit_id(done.stdout.decode().split()[-1])

    def has(self, revision: str) -> bool:
        """Whether the commit of this full name is there still."""
        argv = ["git", f"--git-dir={self.path}", "cat-file", "-e", f"{commit_id(revision)}^{{commit}}"]
        return run(argv, env=environment()).code == 0

    def holds(self, revision: str, path: str) -> bool:
        """Whether there is a file of that path in the revision."""
        return bool(git(self.path, "ls-tree", "-z", commit_id(revision), "--", path))

    def log(self, revision: str | None = None, limit: int = 50) -> list[Commit]:
        """The last `limit` commits up to `revision` (default: main), newest first; none before the first commit."""
        start = revision or self.head()
        if start is None:
            return []
        form = "--format=%H%x00%P%x00%at%x00%an%x00%s"
        lines = git(self.path, "log", f"--max-count={limit}", form, commit_id(start), "--").decode(errors="replace")
        return [_commit(line) for line in lines.split("\n") if line]

    def trailers(self, key: str, old: str, new: str, env: Mapping[str, str] | None = None) -> list[str]:
        """What the commits that `new` has and `old` has not say behind `KEY:` at the end of their messages; no more
        than `MOST_SAID` bytes of it, the newest first: whoever pushes writes them."""
        form = f"--format=%(trailers:key={key},valueonly,unfold)"
        wanted = ("log", form, commit_id(new), f"^{commit_id(old)}", "--")
        said = beginning(self.path, *wanted, most=MOST_SAID, env=env)
        whole = said if len(said) < MOST_SAID else said.rpartition(b"\n")[0]
        return [line for line in whole.decode(errors="replace").split("\n") if line.strip()]

    def export(self, revision: str, folder: Path, env: Mapping[str, str] | None = None) -> None:
        """Write the files of `revision` into `folder` (new or empty), byte for byte: no filter, no attribute counts.

        `env` names the quarantine of a push that is not accepted yet. Nothing is written when `inspect` has
        findings: UserError with the first of them. Links are made last, so no file is written through one.
        """
        inspection = look(self.path, revision, env)
        for finding in inspection.findings:
            raise UserError(finding.code, finding.subject, finding.message, finding.hint, finding.place)
        files = [entry for entry in inspection.entries if entry.mode not in {FOLDER, LINK}]
        links = [entry for entry in inspection.entries if entry.mode == LINK]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for entry in inspection.entries:
                if entry.mode == FOLDER:
                    (folder / entry.path).mkdir()
            for entry, data in self._contents([*files, *links], env):
                if entry.mode == LINK:
                    (folder / entry.path).symlink_to(os.fsdecode(data))
                else:
                    _write_new(folder / entry.path, data, 0o755 if entry.mode == PROGRAM else 0o644)
        except OSError as error:
            raise cannot_write(Path(error.filename or folder), error) from error

    def differs(self, one: str, other: str, ignoring: Sequence[str] = ()) -> bool:
        """Whether two revisions have other files, not counting those named."""
        left_out = [f":(exclude,top,literal){path}" for path in ignoring]
        names = git(self.path, "diff-tree", "-r", "--name-only", commit_id(one), commit_id(other), "--", ".", *left_out)
        return bool(names)

    def content(self, revision: str, path: str) -> bytes | None:
        """A file of a revision; None where there is none."""
        return (
            git(self.path, "cat-file", "blob", f"{commit_id(revision)}:{path}") if self.holds(revision, path) else None
        )

    def versions(self, path: str, limit: int = 500) -> Iterator[tuple[int, bytes]]:
        """When main got each version of a file (seconds since 1970), and what was in it; newest first."""
        head = self.head()
        if head is None:
            return
        form = ["--format=%H %ct", "--first-parent", "--diff-merges=first-parent", f"--max-count={limit}"]
        for line in git(self.path, "log", *form, head, "--", path).decode().split("\n"):
            revision, _, when = line.partition(" ")
            if revision and (data := self.content(revision, path)) is not None:
                yield int(when), data

    def child(self, branch: str, revision: str) -> str | None:
        """Where `branch` is at, if that is a commit right on `revision`."""
        argv = ["git", f"--git-dir={self.path}", "rev-parse", "--verify", "--quiet", "--end-of-options"]
        parent, commit = (run([*argv, f"refs/heads/{branch}{up}"], env=environment()) for up in ("^", ""))
        return commit.stdout.decode().strip() if parent.stdout.decode().strip() == revision else None

    def follows(self, revision: str, old: str) -> bool:
        """Whether `old` is in the history of `revision`, or is it."""
        argv = ["git", f"--git-dir={self.path}", "merge-base", "--is-ancestor", commit_id(old), commit_id(revision)]
        return run(argv, env=environment()).code == 0

    def _contents(self, entries: Sequence[Entry], env: Mapping[str, str] | None) -> Iterator[tuple[Entry, bytes]]:
        return zip(entries, blobs(self.path, [entry.name for entry in entries], env), strict=True)


def _commit(line: str) -> Commit:
    revision, parents, when, author, subject = line.split("\0")
    return Commit(revision, tuple(parents.split()), int(when), printable(author), printable(subject))


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
