"""What every command's arguments are made of: a parser whose help has examples, shared options, and values read."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Parser(argparse.ArgumentParser):
    """`examples`: lines for the end of a command's help, by its name; "" is the whole program's."""

    examples: Mapping[str, Sequence[str]] = {}

    def format_help(self) -> str:
        """The help with its examples."""
        return super().format_help() + self.said_examples()

    def said_examples(self) -> str:
        """They as lines of the help, for what holds other commands some of theirs; nothing where there are none."""
        name = self.prog.partition(" ")[2]
        inside = [lines[0] for each, lines in self.examples.items() if name and each.startswith(f"{name} ")]
        found = self.examples.get(name, inside[:3])
        heading = "example" if len(found) == 1 else "examples"
        return f"\n{heading}:\n" + "".join(f"  {line}\n" for line in found) if found else ""


class Version(argparse.Action):
    """Looks the version up when it is asked for: that costs more than the whole parser."""

    def __call__(self, *_: object) -> None:
        from importlib.metadata import version

        print(f"blumeops {version('blumeops')}")
        sys.exit(0)


def everywhere(*, lab: bool) -> argparse.ArgumentParser:
    """What commands share; `lab`: those that are about one."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group("everywhere")
    if lab:
        group.add_argument("--lab", type=Path, metavar="DIR", help="the lab's folder (default: here and upwards)")
        group.add_argument(
            "--state", type=Path, metavar="DIR", help="the site's state (default: the platform's folder)"
        )
    group.add_argument("--json", action="store_true", help="print the result as JSON")
    group.add_argument("--traceback", action="store_true", help=argparse.SUPPRESS)
    return parent


def previewed(text: str) -> tuple[str, str]:
    """SERVICE=BRANCH, the branch as `gitops: {branch: …}` may name one."""
    from pydantic import TypeAdapter, ValidationError

    from blumeops.lab.fields import Branch

    name, _, branch = text.partition("=")
    try:
        return name, TypeAdapter(Branch).validate_python(branch)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is not SERVICE=BRANCH") from None


def shared(text: str) -> tuple[str, str]:
    """A share and a path, of HOST/SHARE=PATH; the path may be empty."""
    share, equals, path = text.partition("=")
    if not share or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST/SHARE=PATH")
    return share, path


def count(text: str) -> int:
    """A number that is not negative."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)


def duration(text: str) -> float:
    """Seconds of a duration, or of a number of them."""
    from blumeops.lab.quantities import seconds

    try:
        return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else seconds(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s or 5m") from None


def moment(text: str) -> float:
    """Seconds since 1970: of a duration before now, or of a time of day and date, without a zone that of here."""
    from datetime import datetime

    from blumeops.lab.quantities import seconds

    try:
        return (
            time.time() - seconds(text) if re.fullmatch("[0-9a-z]+", text) else datetime.fromisoformat(text).timestamp()
        )
    except (ValueError, OverflowError):
        said = f"{text!r} is no time: write 10m, 2h or 2026-11-25T10:00:00Z"
        raise argparse.ArgumentTypeError(said) from None
