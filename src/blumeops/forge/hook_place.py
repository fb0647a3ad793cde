"""Where a hook of ours goes in somebody's Git repository: a forge's bare one, or the clone of a person.

What enters: a folder. What leaves: which repository that is, where Git looks for its hooks, and in which of three forms
ours stands there. Nothing is written here, and somebody else's hook is never ours to touch.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blumeops.base.errors import UserError
from blumeops.base.processes import Completed, run
from blumeops.forge.git import printable

Form = Literal["whole", "part", "dispatched"]
"""`whole`: the hook itself is ours; `part`: ours is one of NAME.d/, which somebody else's hook calls; `dispatched`: the
same, and what calls NAME.d/ is ours too."""

OURS = "# blumeops gate: "
DISPATCHER = "# blumeops dispatcher"
_OF_INIT = "# Refuses a push to main of a lab that does not pass `blumeops check`."
"""How a hook began that `init --hook` wrote before there was `hook install`."""
_CALLS_FOLDER = re.compile(r"\.d[/\"'}]")
"""A hook that goes through the files of a folder `NAME.d`, as that of Forgejo and Gitea does."""
_READ = 64 << 10


@dataclass(frozen=True, slots=True)
class Target:
    """A repository: `git` is its Git directory, `hooks` where Git looks for hooks, `branch` a full name."""

    git: Path
    hooks: Path
    bare: bool
    branch: str

    @property
    def name(self) -> str:
        """The hook that refuses a push here."""
        return "pre-receive" if self.bare else "pre-push"

    @property
    def main(self) -> Path:
        """The file that Git calls."""
        return self.hooks / self.name

    @property
    def part(self) -> Path:
        """Our file where there are several."""
        return self.hooks / f"{self.name}.d" / "blumeops"


def locate(folder: Path) -> Target:
    """The repository of `folder`, which is bare or (the folder of) a work tree.

    Raises UserError `BLU650` where there is none, `BLU651` where its hooks are those of other repositories too,
    `BLU654` for one that this gate is not for; Unavailable `BLU901` without Git.
    """
    asked = _git(folder, "rev-parse", "--is-bare-repository", "--absolute-git-dir")
    if asked.code:
        hint = "name a bare repository of a forge, or a clone"
        raise UserError("BLU650", printable(str(folder)), "is no Git repository", hint)
    bare, git = asked.stdout.decode(errors="surrogateescape").rstrip("\n").split("\n", 1)
    path = Path(git)
    if (path / "blumeops.config").is_file():
        raise UserError("BLU654", printable(git), "is the forge of a site, which has its gate already")
    if _git(folder, "config", "--get", "extensions.objectFormat").stdout.strip() == b"sha256":
        raise UserError("BLU654", printable(git), "names its revisions by SHA-256, which BlumeOps does not read yet")
    return Target(path, _hooks(folder, path, bare == "true"), bare == "true", _branch(folder, bare == "true"))


def form(target: Target) -> Form | None:
    """In which form our hook stands there; None where there is none of ours."""
    if is_ours(target.main):
        return "whole"
    if is_ours(target.part):
        return "dispatched" if is_dispatcher(target.main) else "part"
    return None


def form_to_write(target: Target) -> Form:
    """In which form it can be written beside what is there. Raises UserError `BLU652` where it cannot."""
    main, folder = target.main, target.part.parent
    for path in (folder, target.part):
        if path.is_symlink() or (path == target.part and path.exists() and not is_ours(path)):
            raise UserError("BLU652", printable(str(path)), "is not ours to change", "move it away, or remove it")
    if is_ours(main):
        return "whole"
    if is_dispatcher(main):
        return "dispatched"
    if os.path.lexists(main):
        if folder.is_dir() and _CALLS_FOLDER.search(_text(main)):
            return "part"
        hint = f"move it to {folder.name}/, which this command then calls file by file"
        raise UserError("BLU652", printable(str(main)), "is a hook of your own, and stays as it is", hint)
    return "dispatched" if folder.is_dir() and any(folder.iterdir()) else "whole"


def is_ours(path: Path) -> bool:
    """Whether the file is a gate that we wrote. What is behind a link is somebody else's."""
    return not path.is_symlink() and any(
        line.startswith((OURS, _OF_INIT)) for line in _text(path).splitlines()[1:2]
    )  # fmt: skip


def is_dispatcher(path: Path) -> bool:
    """Whether the file calls the hooks of a folder, and we wrote it."""
    return not path.is_symlink() and any(line.startswith(DISPATCHER) for line in _text(path).splitlines()[1:2])


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ).decode(errors="replace")
    except OSError:
        return ""


def _hooks(folder: Path, git: Path, bare: bool) -> Path:
    set_ = _git(folder, "config", "--show-scope", "--type=path", "--get", "core.hooksPath")
    scope, _, configured = set_.stdout.decode(errors="surrogateescape").rstrip("\n").partition("\t")
    if not configured:
        common = _git(folder, "rev-parse", "--git-common-dir").stdout.decode(errors="surrogateescape").rstrip("\n")
        return (folder.absolute() / common / "hooks").resolve()
    if scope not in {"local", "worktree"}:
        hint = "give this one a folder of its own: git config core.hooksPath .git/hooks"
        raise UserError(
            "BLU651", printable(configured), f"has the hooks of every repository (core.hooksPath, {scope})", hint
        )
    if bare:
        return git / configured
    top = _git(folder, "rev-parse", "--show-toplevel").stdout.decode(errors="surrogateescape").rstrip("\n")
    return Path(top) / configured


def _branch(folder: Path, bare: bool) -> str:
    """The branch that a forge shows first; in a clone the one that the remote does, as far as that is known."""
    for name in ("HEAD",) if bare else ("refs/remotes/origin/HEAD",):
        ref = _git(folder, "symbolic-ref", "--quiet", name).stdout.decode(errors="surrogateescape").rstrip("\n")
        if ref:
            return ref.replace("refs/remotes/origin/", "refs/heads/", 1)
    return "refs/heads/main"


def _git(folder: Path, *arguments: str) -> Completed:
    """Git as the person's own settings have it, not the one of a hook or an alias that called us; a repository of
    another user, named by this one, may be looked at."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or "CONFIG" in name}
    return run(["git", "-C", str(folder), "-c", "safe.directory=*", *arguments], env=env)
