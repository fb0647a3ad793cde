"""The workflow that comments the plan on each pull request: Forgejo's and Gitea's Actions, and GitHub's.

What enters: which forge, and the branch that the lab is made from. What leaves: the file's path in the repository and
its text. A file of somebody else is never written over.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import blumeops
from blumeops.base.errors import UserError
from blumeops.base.files import cannot_write, write_whole

Forge = Literal["forgejo", "gitea", "github"]
_OURS = b"# Written by `blumeops hook workflow`"
_TEMPLATE = Path(blumeops.__file__).parent / "workflows" / "plan.yaml"
_RUNNERS = {"forgejo": "docker", "gitea": "ubuntu-latest", "github": "ubuntu-latest"}
"""The labels that runners have unless somebody says otherwise."""
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
"""In the filter of a workflow other characters may have a meaning."""


def path_of(forge: Forge) -> str:
    """Where the forge looks for it."""
    return f".{forge}/workflows/plan.yaml"


def text_of(forge: Forge, branch: str) -> bytes:
    """The file. `branch`: short. Raises UserError `BLU655`."""
    if not _BRANCH.fullmatch(branch):
        raise UserError("BLU655", repr(branch), "cannot stand in a workflow", "name the lab's branch with --branch")
    text = _TEMPLATE.read_text()
    words = {
        '["BRANCH"]': f'["{branch}"]', "runs-on: RUNNER": f"runs-on: {_RUNNERS[forge]}",
        "==VERSION'": f"=={version('blumeops')}'", "/PULLS/": "/pull/" if forge == "github" else "/pulls/",
    }  # fmt: skip
    for old, new in words.items():
        text = text.replace(old, new)
    return text.encode()


def write(root: Path, forge: Forge, branch: str) -> Path:
    """Write it into the work tree `root`, or write ours anew; where it lies. Raises UserError `BLU655`, `BLU656`,
    EngineError `BLU903`."""
    path, text = root / path_of(forge), text_of(forge, branch)
    try:
        if path.is_symlink() or (path.exists() and not path.read_bytes().startswith(_OURS)):
            raise UserError("BLU656", str(path), "is a workflow of your own, and stays as it is", "move it away")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_whole(path, text)
    return path
