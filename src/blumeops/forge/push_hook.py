"""The push gate on a workstation: a pre-push hook, for forges that cannot refuse a push themselves.

What enters: a clone's folder, and how `blumeops` is called. What leaves: its `.git/hooks/pre-push`, a shell script
that checks the very tree that is pushed to main, not the one in the folder. It can be gone past (`git push
--no-verify`): only a forge's own gate cannot.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from blumeops.base.files import cannot_write, write_whole
from blumeops.forge.repository import BRANCH

SCRIPT = """\
#!/bin/sh
# Refuses a push to main of a lab that does not pass `blumeops check`. Written by `blumeops init --hook`.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
refused=0
while read -r _ revision target _; do
    [ "$target" = {branch} ] || continue
    case $revision in *[!0]*) ;; *) continue ;; esac # the branch is deleted: there is no tree
    rm -rf "$scratch/lab"
    GIT_INDEX_FILE="$scratch/index" git read-tree "$revision"
    GIT_INDEX_FILE="$scratch/index" git checkout-index --all --prefix="$scratch/lab/"
    {check} check --lab "$scratch/lab" >&2 </dev/null || refused=1
done
[ "$refused" = 0 ] || echo 'refused: see above; nothing was pushed' >&2
exit "$refused"
"""


def write(folder: Path, blumeops: Sequence[str]) -> Path:
    """Write the hook of the repository in `folder`; returns its path. Raises EngineError `BLU903`."""
    path = folder / ".git" / "hooks" / "pre-push"
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_whole(path, SCRIPT.format(branch=BRANCH, check=shlex.join(blumeops)), 0o755)
    return path
