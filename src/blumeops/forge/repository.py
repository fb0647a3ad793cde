"""The bare repository below the site's state: what the lab is made real from.

What enters: pushes (through `http`), folders and files of our own making. What leaves: commits, as full object names;
`history` reads them. The user's Git configuration never counts; configuration and hooks are ours, written at each
start. `refs/heads/main` moves only from the commit that the mover saw: a race is an error, never a lost commit.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import EngineError, UserError
from blumeops.base.files import clear_scratch, private_folder, scratch, write_whole
from blumeops.base.processes import run
from blumeops.forge import hooks
from blumeops.forge.git import ZERO, commit_id, environment, git, printable
from blumeops.forge.history import BRANCH, History
from blumeops.forge.inspect import is_git_folder, look

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

_INDEXES = "blumeops-indexes"
"""A folder below, for commits that are being made: by a controller, and by commands beside it."""


@dataclass(frozen=True, slots=True)
class Repository(History):
    """One that we write to."""

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

    def clean(self, *, locks: bool = False) -> None:
        """Remove the quarantines, and with `locks` the lock files, that killed pushes left: none may be running."""
        for left in (self.path / "objects").glob("*incoming-*"):
            shutil.rmtree(left, ignore_errors=True)
        if locks:
            clear_scratch(self.path / _INDEXES)
            for left in (self.path / "objects").glob(f"{FETCHED}*"):
                shutil.rmtree(left, ignore_errors=True)
            for lock in [*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")]:
                lock.unlink(missing_ok=True)

    @contextmanager
    def _index(self) -> Iterator[dict[str, str]]:
        with scratch(self.path / _INDEXES, "index-") as folder:
            yield {"GIT_INDEX_FILE": f"{folder}/index"}

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
        with tempfile.TemporaryDirectory(prefix="blumeops-import-") as work:
            config = Path(work, "config")  # the person named this folder: whoever owns it, it may be read
            config.write_text(f"[safe]\n\tdirectory = {_quoted(folder)}\n\tdirectory = {_quoted(folder / '.git')}\n")
            env = {"GIT_CONFIG_GLOBAL": str(config)}
            probe = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD^{commit}"]
            revision = run(probe, env=environment(env)).stdout.decode().strip()
            if not revision:
                return None
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow")
            git(self.path, "fetch", *options, "--end-of-options", str(folder), "HEAD", env=env, seconds=300)
            return commit_id(revision)


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
