"""The push gate as a hook of somebody's own repository: written, taken away, and asked how it is.

What enters: a `Target`, and the program that judges (argv). What leaves: a shell script where Git looks for it. The
script refuses whatever was not judged: when BlumeOps is gone, may not be run by whoever pushes, or is killed. A hook of
somebody else is neither changed nor replaced.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import BlumeError, EngineError
from blumeops.base.files import cannot_write, write_whole
from blumeops.base.processes import run
from blumeops.forge.hook_place import DISPATCHER, OURS, Form, Target, form, form_to_write

REFUSED = 10
"""The exit code of a program that judged and said why not: no accident has it."""

_SCRIPT = """\
#!/bin/sh
{mark}{hook} {branch}
# Written by `blumeops hook install`; `blumeops hook remove` takes it away.
PATH=${{PATH:+$PATH:}}/usr/local/bin:/usr/bin:/bin
export PATH
no() {{
    echo "refused: $1: nobody checked this push" >&2
    echo "  mend it, or do without: blumeops hook install, blumeops hook remove; the hook is $0" >&2
    exit 1
}}
program={program}
package={package}
[ -x "$program" ] && [ -r "$package/__main__.py" ] ||
    no "BlumeOps is not at $program any more, or $(id -un) may not run it"
scratch=$(mktemp -d) || no "no folder for temporary files"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
TMPDIR=$scratch "$program" {arguments}
status=$?
case $status in
    0) exit 0 ;;
    {refused}) exit 1 ;;
esac
no "the gate ended with status $status"
"""

_DISPATCH = """\
#!/bin/sh
{mark}: every program in {hook}.d/ is asked, and one no is enough. Written by `blumeops hook install`.
updates=$(cat)
answer=0
for hook in "${{0%/*}}"/{hook}.d/*; do
    [ -f "$hook" ] && [ -x "$hook" ] || continue
    if [ -n "$updates" ]; then
        printf '%s\\n' "$updates" | "$hook" "$@" || answer=1
    else
        "$hook" "$@" </dev/null || answer=1
    fi
done
exit "$answer"
"""


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook of ours. `problem`: why it does not judge now, empty when it does."""

    target: Target
    path: Path
    form: Form
    branch: str
    exposure: bool
    problem: str


def install(target: Target, branch: str, program: Sequence[str], package: Path, *, exposure: bool = False) -> Hook:
    """Write the hook, or write it anew. `program`: what judges, an absolute path and its arguments; `package`: the
    folder that must be there for it; `exposure`: it also refuses what changes who reaches what.

    Raises UserError `BLU652`, EngineError `BLU903`, and `BLU653` where the repository's owner cannot run the program.
    """
    chosen = form_to_write(target)
    if problem := _trial(target, program[0]):
        hint = "install BlumeOps where that user may read it, such as below /opt"
        raise EngineError("BLU653", program[0], problem, hint)
    path = target.main if chosen == "whole" else target.part
    owner = _owner(target)
    arguments = [*program[1:], target.name, branch, *(["--fail-on-exposure"] if exposure else [])]
    script = _SCRIPT.format(
        mark=OURS, hook=target.name, branch=branch, program=shlex.quote(program[0]), package=shlex.quote(str(package)),
        arguments=shlex.join(arguments), refused=REFUSED,
    )  # fmt: skip
    try:
        for folder in (target.hooks, path.parent):
            if not folder.is_dir():
                folder.mkdir()
                if owner:
                    os.chown(folder, *owner)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_whole(path, script, 0o755, owner)
    if chosen == "dispatched":
        write_whole(target.main, _DISPATCH.format(mark=DISPATCHER, hook=target.name), 0o755, owner)
    return Hook(target, path, chosen, branch, exposure, "")


def remove(target: Target) -> Path | None:
    """Take our hook away, and what calls it if nothing else is called; the file that it was, None where there was none.
    Raises EngineError `BLU903`."""
    found = form(target)
    if found is None:
        return None
    path = target.main if found == "whole" else target.part
    try:
        path.unlink()
        if found == "dispatched" and not any(target.part.parent.iterdir()):
            target.main.unlink()
    except OSError as error:
        raise cannot_write(path, error) from error
    with suppress(OSError):  # there is none, or others are in it
        target.part.parent.rmdir()
    return path


def look(target: Target) -> Hook | None:
    """Our hook as it stands there; None where there is none."""
    found = form(target)
    if found is None:
        return None
    path = target.main if found == "whole" else target.part
    text = path.read_text(errors="replace")
    words = next((line.removeprefix(OURS) for line in text.splitlines() if line.startswith(OURS)), "").split()
    program = next((line for line in text.splitlines() if line.startswith("program=")), "")
    try:
        named = (shlex.split(program.partition("=")[2]) or [""])[0]
    except ValueError:  # a quote that does not end
        named = ""
    problem = _mode_problem(path) or _mode_problem(target.main) or _trial(target, named)
    return Hook(target, path, found, words[1] if len(words) > 1 else "", "--fail-on-exposure" in text, problem)


def _mode_problem(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError:
        return f"{path} is not there, so Git does not ask"
    return "" if mode & stat.S_IXUSR else f"{path} may not be executed, so Git does not ask"


def _owner(target: Target) -> tuple[int, int] | None:
    """Whose the hook becomes: root writes for whoever owns the repository."""
    about = target.git.stat()
    return (about.st_uid, about.st_gid) if os.geteuid() == 0 and about.st_uid != 0 else None


def _trial(target: Target, program: str) -> str:
    """Why the repository's owner cannot run the program; empty when that was tried, and works. Only root can try it as
    another user."""
    owner = _owner(target)
    if not program:
        return "it is of an older BlumeOps, or damaged: install it again"
    user, group = owner or (None, None)
    try:
        argv = [program, "-I", "-c", "import blumeops.app.push_gate"]
        done = run(argv, env={"PATH": os.defpath}, cwd=Path("/"), user=user, group=group)
    except BlumeError as error:
        return error.message
    except OSError as error:
        return f"cannot be run by user {user if owner else os.geteuid()}: {error.strerror}"
    return f"does not work for user {user if owner else os.geteuid()}: {done.words}" if done.code else ""
