"""hook: the push gate in a Git repository of one's own, put there, taken away, and asked how it is."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import blumeops
from blumeops.base.errors import UserError
from blumeops.cli import output
from blumeops.forge import own_hook
from blumeops.forge.hook_place import Target, locate


def hook(arguments: argparse.Namespace) -> int:
    """`blumeops hook install|remove|status|workflow`; status: 0 when it is there and works."""
    target = locate(arguments.folder)
    if arguments.hook_command == "workflow":
        return _workflow(arguments, target)
    if arguments.hook_command == "install":
        found: own_hook.Hook | None = install_in(
            arguments.folder, arguments.branch, exposure=arguments.fail_on_exposure
        )
    elif arguments.hook_command == "remove":
        gone = own_hook.remove(target)
        if not arguments.json:
            output.say(f"removed {gone}" if gone else f"nothing to remove: no hook of ours is in {target.hooks}")
            return 0
        found = None
    else:
        found = own_hook.look(target)
    if arguments.json:
        output.say_json(_as_json(target, found))
    elif found is None:
        output.say(f"no hook of ours is in {target.hooks}")
    else:
        _say(found)
    return 1 if arguments.hook_command == "status" and (found is None or found.problem) else 0


def _workflow(arguments: argparse.Namespace, target: Target) -> int:
    from blumeops.forge.clone import clone_at
    from blumeops.forge.workflow import write

    if target.bare:
        raise UserError("BLU656", str(target.git), "is bare: a workflow is a file of the lab", "name a clone")
    clone_at(arguments.folder)  # its root: forges look for workflows nowhere else
    branch = arguments.branch or target.branch.removeprefix("refs/heads/")
    path = write(arguments.folder.absolute(), arguments.forge, branch)
    if arguments.json:
        output.say_json({"version": 1, "workflow": str(path), "branch": branch})
    else:
        output.say(str(path))
        output.progress(f"once that is on {branch}, each pull request to it is planned in a comment")
        output.progress("the runner has to get BlumeOps: the file says how")
    return 0


def install_in(folder: Path, branch: str | None = None, *, exposure: bool = False) -> own_hook.Hook:
    """Write the hook that runs this very BlumeOps. Raises UserError `BLU650` to `BLU655`, EngineError
    `BLU653`, `BLU903`."""
    target = locate(folder)
    wanted = f"refs/heads/{branch}" if branch and not branch.startswith("refs/") else branch or target.branch
    if not re.fullmatch(r"refs/heads/[\w./+@-]{1,200}", wanted, re.ASCII):
        raise UserError("BLU655", repr(branch or wanted), "cannot be the lab's branch", "name it with --branch")
    program = [sys.executable, "-I", "-m", "blumeops.app.push_gate"]
    return own_hook.install(target, wanted, program, Path(blumeops.__file__).parent, exposure=exposure)


def _say(found: own_hook.Hook) -> None:
    output.say(str(found.path))
    what = "a push" if found.target.bare else "a push from here"
    output.progress(f"{what} to {found.branch.removeprefix('refs/heads/')} is judged first")
    if found.exposure:
        output.progress("what changes who reaches what is refused")
    if not found.target.bare:
        output.progress("it can be gone past: git push --no-verify")
    if found.problem:
        output.progress(f"it does not judge: {found.problem}")


def _as_json(target: Target, found: own_hook.Hook | None) -> dict[str, object]:
    return {
        "version": 1, "repository": str(target.git), "bare": target.bare, "hook": str(found.path) if found else None,
        "branch": found.branch if found else None, "fail_on_exposure": bool(found and found.exposure),
        "problem": found.problem if found else "",
    }  # fmt: skip
