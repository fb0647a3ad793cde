"""Git's credential helper for the forge. Git calls it twice in each push, so it imports next to nothing."""

from __future__ import annotations

import argparse
import sys

from blumeops.forge.credential import answer
from blumeops.forge.tokens import token_file


def credential(arguments: argparse.Namespace) -> int:
    """Answers `get` on standard input, from the token of the site with that state; keeps and forgets nothing."""
    if arguments.operation == "get":
        sys.stdout.write(answer(sys.stdin.read(), token_file(arguments.state.absolute())))
    return 0
