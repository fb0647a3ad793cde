"""The bare repository below the site's state: what the lab is made real from.

What enters: pushes (through `http`), folders and files of our own making. What leaves: revisions, as full object
names, and checkouts. The user's Git configuration never counts; configuration and hooks are ours, written at each
start. `refs/heads/main` moves only from the commit that the mover saw: a race is an error, never a lost commit.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import EngineError, UserError
from blumeops.base.files import cannot_write, private_folder, write_whole
from blumeops.base.processes import run
from blumeops.forge import hooks
from blumeops.forge.git import ZERO, beginning, blobs, commit_id, environment, git, printable
from blumeops.forge.inspect import FOLDER, LINK, PROGRAM, Entry, is_git_folder, look

BRANCH = "refs/heads/main"
MOST_SAID = 1 << 20
"""Bytes of trailers: a million commits would say more, and no person."""

_CONFIG = """\
# Written at each start by BlumeOps; changes are lost.
[core]
\thooksPath = {hooks}
\tlogAllRefUpdates = true
\tbigFileThreshold = 1m
\tdeltaBaseCacheLimit = 16m
\tpackedGitWindowSize = 8m
\tpackedGitLimit = 64m
[pack]
\tthreads = 1
\twindowMemory = 32m
[gc]
\tautoDetach = false
[transfer]
\tfsckObjects = true
[receive]
\tunpackLimit = 1
\tmaxInputSize = {size}
\tdenyDeleteCurrent = refuse
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[http]
\tgetanyfile = false
[user]
\tname = blumeops
\temail = blumeops@localhost
"""
PUSH_BYTES = 50 << 20
"""The largest pack that a push may send. What it unpacks to is for `inspect` and `git.limited`."""

FETCHED = "fetched-"
"""The beginning of the name of a quarantine for what a remote sent (`remote.fetched`)."""

_INDEX = "blumeops-index-"
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
class Repository:
    """A bare Git repository in the folder `path`."""

    path: Path

    @classmethod
    def create_or_open(cls, path: Path, socket: Path) -> Repository:
        """For the controller, at its start: made if it is not there, configured, its hooks asking at `socket`.

        Removes what a killed push left, so no push may be running. Raises EngineError.
        """
        private_folder(path.parent)
        git(path, "init", "--quiet", "--bare", "--object-format=sha1", "--template=", "--initial-branch=main")
        write_whole(path / "blumeops.config", _CONFIG.format(hooks=_quoted(path / "hooks"), size=PUSH_BYTES))
        git(path, "config", "include.path", "blumeops.config")
        hooks.write(path / "hooks", socket)
        repository = cls(path)
        repository.clean(locks=True)
        return repository

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

    def changed(self, old: str, new: str, env: Mapping[str, str] | None = None) -> list[str]:
        """The paths that are new or other in `new` than in `old` (ZERO: all of them); `env` names a quarantine."""
        listed = ["ls-tree", "-r", "--name-only", "-z", commit_id(new)]
        if old != ZERO:
            listed = ["diff-tree", "-r", "--name-only", "--diff-filter=d", "-z", commit_id(old), commit_id(new)]
        return [os.fsdecode(path) for path in git(self.path, *listed, env=env).split(b"\0") if path]

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

    def commit_as_before(self, before: str, files: Mapping[str, bytes | None], message: str, parent: str) -> str:
        """A commit on `parent` with the tree of revision `before`, but for `files` (None: not there). No branch moves
        there: see `advance`."""
        with self._index() as index:
            git(self.path, "read-tree", commit_id(before), env=index)
            git(self.path, "update-index", "-z", "--index-info", stdin=self._index_lines(files, index), env=index)
            return self._commit_index(index, message, parent)

    def commit_files(self, files: Mapping[str, bytes | None], message: str, parent: str | None) -> str:
        """Commit `files` over the tree of `parent` (None: the first commit) and move `main` there from `parent`.

        None in place of bytes removes a file. Returns the new revision. Raises EngineError `BLU602` when main is no
        longer at `parent`.
        """
        with self._index() as index:
            if parent is not None:
                git(self.path, "read-tree", commit_id(parent), env=index)
            git(self.path, "update-index", "-z", "--index-info", stdin=self._index_lines(files, index), env=index)
            return self.advance(self._commit_index(index, message, parent), parent)

    def import_folder(
        self, folder: Path, exclude: Sequence[Path] = (), admit: Callable[[str], object] = lambda revision: None
    ) -> str:
        """The first revision: HEAD with its history where `folder` is the root of a Git repository of its own;
        else one commit of its files, without what `.gitignore` and `exclude` name. Returns it. `admit` may raise, and
        then `main` is not made.

        Raises UserError with the first finding of `inspect`, `BLU605` where there is nothing to import, EngineError
        `BLU602` when `main` is there already.
        """
        folder = folder.resolve()
        if (folder / ".git").exists() and (fetched := self._fetch_head(folder)):
            revision = fetched
        else:
            revision = self.commit_folder(folder, f"Import {folder.name}\n", exclude)
        for finding in look(self.path, revision).findings:
            raise UserError(finding.code, finding.subject, finding.message, finding.hint, finding.place)
        admit(revision)
        return self.advance(revision, None)

    def commit_folder(self, folder: Path, message: str, exclude: Sequence[Path] = ()) -> str:
        """A commit, without a parent, of the files in `folder` but for what `.gitignore` and `exclude` name; no branch
        moves there. Raises UserError `BLU605` where there are none."""
        folder = folder.resolve()
        inside = [path.resolve().relative_to(folder) for path in exclude if path.resolve().is_relative_to(folder)]
        with self._index() as index:
            env = index | {"GIT_WORK_TREE": str(folder), "GIT_DIR": str(self.path)}
            left_out = [f":(exclude,literal){path}" for path in inside]
            argv = ["git", "-C", str(folder), "add", "--all", "--", ".", *left_out]
            done = run(argv, env=environment(env), seconds=300)
            if done.code:
                raise EngineError("BLU600", "git add", done.words)
            if not git(self.path, "ls-files", "-z", env=index):
                raise UserError("BLU605", str(folder), "has no files to import", "a lab has at least a lab.yaml")
            return self._commit_index(index, message, None)

    def advance(self, revision: str, old: str | None) -> str:
        """Move main from `old` to `revision`; returns that. One who brought it there meanwhile did our work: a look at
        the remote, say, where we pushed it. Raises EngineError `BLU602` when main is at neither."""
        try:
            git(self.path, "update-ref", "--create-reflog", BRANCH, commit_id(revision), old or ZERO)
        except EngineError as error:
            if (head := self.head()) == revision:
                return revision
            if head == old:
                raise
            raise EngineError("BLU602", "main", "was moved by somebody else meanwhile", "repeat it") from error
        return revision

    def branch(self, name: str, revision: str | None) -> None:
        """Let the branch `name` (one of our own) be at `revision`, wherever it was; None removes it."""
        change = [f"refs/heads/{name}", commit_id(revision)] if revision else ["-d", f"refs/heads/{name}"]
        git(self.path, "update-ref", *change)

    def child(self, branch: str, revision: str) -> str | None:
        """Where `branch` is at, if that is a commit right on `revision`."""
        argv = ["git", f"--git-dir={self.path}", "rev-parse", "--verify", "--quiet", "--end-of-options"]
        parent, commit = (run([*argv, f"refs/heads/{branch}{up}"], env=environment()) for up in ("^", ""))
        return commit.stdout.decode().strip() if parent.stdout.decode().strip() == revision else None

    def follows(self, revision: str, old: str) -> bool:
        """Whether `old` is in the history of `revision`, or is it."""
        argv = ["git", f"--git-dir={self.path}", "merge-base", "--is-ancestor", commit_id(old), commit_id(revision)]
        return run(argv, env=environment()).code == 0

    def clean(self, *, locks: bool = False) -> None:
        """Remove the quarantines, and with `locks` the lock files, that killed pushes left: none may be running."""
        for left in (self.path / "objects").glob("*incoming-*"):
            shutil.rmtree(left, ignore_errors=True)
        if locks:
            for left in self.path.glob(f"{_INDEX}*"):
                shutil.rmtree(left, ignore_errors=True)
            for left in (self.path / "objects").glob(f"{FETCHED}*"):
                shutil.rmtree(left, ignore_errors=True)
            for lock in [*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")]:
                lock.unlink(missing_ok=True)

    def _contents(self, entries: Sequence[Entry], env: Mapping[str, str] | None) -> Iterator[tuple[Entry, bytes]]:
        return zip(entries, blobs(self.path, [entry.name for entry in entries], env), strict=True)

    @contextmanager
    def _index(self) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory(prefix=_INDEX, dir=self.path) as scratch:
            yield {"GIT_INDEX_FILE": f"{scratch}/index"}

    def _index_lines(self, files: Mapping[str, bytes | None], index: Mapping[str, str]) -> bytes:
        staged = git(self.path, "ls-files", "--stage", "-z", env=index).decode(errors="surrogateescape")
        modes = {line.partition("\t")[2]: line[:6] for line in staged.split("\0") if line}
        lines = []
        for path, data in files.items():
            if any(part in {"", ".", ".."} or is_git_folder(part) for part in path.split("/")):
                raise UserError("BLU612", printable(path), "is no path of a repository")
            if data is None:
                lines.append(f"0 {ZERO}\t{path}\0")
            else:
                name = git(self.path, "hash-object", "-w", "--stdin", stdin=data).decode().strip()
                lines.append(f"{modes.get(path, '100644')} {name}\t{path}\0")
        return "".join(lines).encode()

    def _commit_index(self, index: Mapping[str, str], message: str, parent: str | None) -> str:
        tree = git(self.path, "write-tree", env=index).decode().strip()
        above = ["-p", commit_id(parent)] if parent else []
        return git(self.path, "commit-tree", *above, "-F", "-", tree, stdin=message.encode()).decode().strip()

    def _fetch_head(self, folder: Path) -> str | None:
        """HEAD of another repository, its objects copied; None where it has no commit yet."""
        with tempfile.TemporaryDirectory(prefix="blumeops-import-") as scratch:
            config = Path(scratch, "config")  # the person named this folder: whoever owns it, it may be read
            config.write_text(f"[safe]\n\tdirectory = {_quoted(folder)}\n\tdirectory = {_quoted(folder / '.git')}\n")
            env = {"GIT_CONFIG_GLOBAL": str(config)}
            probe = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD^{commit}"]
            revision = run(probe, env=environment(env)).stdout.decode().strip()
            if not revision:
                return None
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow")
            git(self.path, "fetch", *options, "--end-of-options", str(folder), "HEAD", env=env, seconds=300)
            return commit_id(revision)


def _commit(line: str) -> Commit:
    revision, parents, when, author, subject = line.split("\0")
    return Commit(revision, tuple(parents.split()), int(when), printable(author), printable(subject))


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
