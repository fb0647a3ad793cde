"""The program `op` that `blumeops op shim` writes: 1Password's arguments enter, its answers and errors leave.

Before `--` stands which store it is, after it what the caller wrote. Errors are one line `[ERROR] date text` on
standard error and exit code 1, as op's are.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from blumeops.base.errors import BlumeError
from blumeops.base.site import SiteFolder
from blumeops.cli import op_arguments
from blumeops.secrets.cabinet import Contents

_IN_ITS_WORDS = ("BLU501", "BLU510")
"""Errors whose message is op's own sentence."""


class _Parser(argparse.ArgumentParser):
    """Whose usage errors are op's."""

    def error(self, message: str) -> NoReturn:
        _fail(message)


def main(argv: list[str] | None = None) -> NoReturn:
    """Answer one command and exit: 0, or 1 for every error."""
    words = sys.argv[1:] if argv is None else argv
    end = words.index("--")
    store = _store(words[:end])
    try:
        given = ["--cache" if word.startswith("--cache=") else word for word in words[end + 1 :]]  # a flag, in Go's way
        arguments = _parser().parse_args(given)
        from blumeops.cli.op import answer

        code = answer(arguments, _lab(store), lambda: _contents(store))
        sys.stdout.flush()
    except BlumeError as error:
        _fail(error.message if error.code in _IN_ITS_WORDS else str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except OSError as error:
        _fail(f"{error.filename or 'op'}: {error.strerror or error}")
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="op", description="1Password's command, answered by BlumeOps.", parents=[op_arguments.everywhere()]
    )
    top.add_argument("-v", "--version", action="version", version=op_arguments.VERSION)
    op_arguments.add(top)
    return top


def _store(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for option in ("--file", "--state", "--lab", "--age-key"):
        parser.add_argument(option, type=Path)
    return parser.parse_args(words)


def _lab(store: argparse.Namespace) -> str:
    """The lab's name, as far as it is known."""
    site = SiteFolder(store.state) if store.state else None
    return site.lab_name.read_text().strip() if site and site.lab_name.is_file() else "lab"


def _contents(store: argparse.Namespace) -> Contents:
    from blumeops.app.cabinets import Where, reading

    site = SiteFolder(store.state) if store.state else None
    where = Where(site, _lab(store), store.lab, inside_op=True)
    return reading(where, store.file, store.age_key, os.environ).read()


def _fail(text: str) -> NoReturn:
    now = datetime.now().strftime("%Y/%m/%d %H:%M:%S")  # noqa: DTZ005  # op writes the clock of where it runs
    shown = "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
    print(f"[ERROR] {now} {shown}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
