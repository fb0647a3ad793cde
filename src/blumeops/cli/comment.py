"""comment: a text as our one comment on a pull request."""

from __future__ import annotations

import argparse
import os
import sys

from blumeops.base.errors import UserError
from blumeops.cli import output
from blumeops.forge.comments import MOST, PullRequest, put

TOKEN = "BLUMEOPS_FORGE_TOKEN"  # noqa: S105  # the name of the variable, not the token


def comment(arguments: argparse.Namespace) -> int:
    """`blumeops comment`: the comment is made, or changed. Nothing of a lab is read, so that the token and what
    somebody proposes never meet in one process."""
    pull, token = PullRequest.at(arguments.url), os.environ.get(TOKEN, "").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise UserError(
            "BLU660", TOKEN, "holds no token", "set it in the environment; an argument is seen by everybody"
        )
    if arguments.file:
        with arguments.file.open("rb") as file:
            data = file.read(MOST * 4 + 1)
    else:
        data = sys.stdin.buffer.read(MOST * 4 + 1)
    done = put(pull, token, data.decode(errors="replace"))
    if arguments.json:
        output.say_json({"version": 1, "url": arguments.url, "done": done})
    else:
        output.progress(f"{done}: {arguments.url}")
    return 0
