"""A Git repository of somebody's own, to read revisions of a lab from: a clone, or a bare one.

What enters: a folder, and names of revisions as a person writes them. What leaves: a `Repository` and full object
names. Nothing is written there, nothing is checked out, and no name can be taken for an option.
"""

from __future__ import annotations

from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.processes import run
from blumeops.forge.git import commit_id, environment, printable, reading_elsewhere
from blumeops.forge.repository import Repository


def clone_at(folder: Path) -> Repository:
    """The repository whose root, or whose bare self, `folder` is.

    Raises UserError `BLU650` where there is none, or a part of one; Unavailable `BLU901` without Git.
    """
    # Whoever owns it, a person named it: it may be looked at.
    asked = ("-c", "safe.directory=*", "rev-parse", "--absolute-git-dir", "--show-prefix")
    done = run(["git", "-C", str(folder), *asked], env=environment())
    git, _, prefix = done.stdout.decode(errors="surrogateescape").rstrip("\n").partition("\n")
    if done.code or not git:
        raise UserError("BLU650", printable(str(folder)), "is no Git repository", "name a clone of the lab by --lab")
    if prefix:
        message = "is a part of a Git repository: a lab is the whole of one"
        raise UserError("BLU650", printable(str(folder)), message, "give the lab a repository of its own")
    return Repository(Path(git))


def revision_of(repository: Repository, name: str) -> str:
    """The full name of a commit: of a branch, whatever it is called, else of one that a remote has, else of anything
    that Git knows by that name. Raises UserError `BLU601` where there is none."""
    argv = ["git", f"--git-dir={repository.path}", "rev-parse", "--verify", "--quiet", "--end-of-options"]
    for where in ("refs/heads/", "refs/remotes/"):
        done = run([*argv, f"{where}{name}^{{commit}}"], env=environment(reading_elsewhere()))
        if not done.code:
            return commit_id(done.stdout.decode().split()[-1])
    return repository.resolve(name)


def merge_base(repository: Repository, one: str, other: str) -> str | None:
    """The revision at which the histories of two part; None where they have none in common."""
    argv = ["git", f"--git-dir={repository.path}", "merge-base", commit_id(one), commit_id(other)]
    done = run(argv, env=environment(reading_elsewhere()))
    return None if done.code else commit_id(done.stdout.decode().split()[0])
