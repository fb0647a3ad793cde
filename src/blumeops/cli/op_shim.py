"""`op shim`: the program `op`, for playbooks and scripts, with the lab built in.

What enters: a folder. What leaves: an executable `op` in it, a few lines of shell that hold paths and no secret.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.files import write_whole
from blumeops.cli import output
from blumeops.cli.place import place

MARK = "# Answers as 1Password's op from a store of BlumeOps; written by `blumeops op shim`."


def shim(arguments: argparse.Namespace) -> int:
    """Write it, and say how it is found. Never over a program of somebody else's. Raises UserError `BLU530`."""
    path: Path = arguments.folder.absolute() / "op"
    if path.exists() and MARK not in path.read_bytes()[:4096].decode(errors="replace"):
        raise UserError("BLU530", str(path), "is another program", "name another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-I", "-m", "blumeops.cli.op_program", *_built_in(arguments), "--"]
    write_whole(path, f'#!/bin/sh\n{MARK}\nexec {shlex.join(words)} "$@"\n', 0o755)
    output.say(str(path))
    output.progress(f'put it first: PATH="{path.parent}:$PATH"')
    return 0


def _built_in(arguments: argparse.Namespace) -> list[str]:
    """Which store: absolute paths, since it is called from anywhere."""
    words = []
    if arguments.file:
        words += ["--file", str(arguments.file.absolute())]
        if arguments.state:
            words += ["--state", str(arguments.state.absolute())]
    else:
        where = place(arguments)
        words += ["--state", str(where.site.path)]
        if where.folder:
            words += ["--lab", str(where.folder.absolute())]
    return words + (["--age-key", str(arguments.age_key.absolute())] if arguments.age_key else [])
