"""`op read`: the only command that shows a value."""

from __future__ import annotations

import argparse
import sys

from blumeops.cli import output
from blumeops.cli.place import place


def op(arguments: argparse.Namespace) -> int:
    """Print the value of one reference, from the newest revision on the forge."""
    from blumeops.app import site as app

    where = place(arguments)
    value = app.read_secret(where.site, where.lab, arguments.age_key, arguments.reference)
    if arguments.json:
        output.say_json({"version": 1, "reference": arguments.reference, "value": value})
    elif arguments.no_newline:
        sys.stdout.write(value)
    else:
        output.say(value)
    return 0
