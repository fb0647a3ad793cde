"""The words of the `connect` command."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from blumeops.cli.arguments import Subcommands


def add(commands: Subcommands, everywhere: argparse.ArgumentParser, key: argparse.ArgumentParser) -> None:
    """The commands below `connect`."""
    about = "answer as a 1Password Connect server, until it is stopped"
    serve = commands.add_parser("serve", help=about, description=about, parents=[everywhere, key])
    serve.add_argument("--port", type=_port, default=8080, metavar="PORT", help="default: 8080; 0: any that is free")
    serve.add_argument(
        "--listen", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1, this machine alone"
    )
    serve.add_argument("--file", type=Path, metavar="FILE", help="this SOPS file, instead of the lab's store")
    about = "who may ask it for what"
    tokens = commands.add_parser("token", help=about, description=about)
    inner = tokens.add_subparsers(dest="token_command", metavar="COMMAND", required=True)

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return inner.add_parser(name, help=about, description=about, parents=[everywhere])

    create = command("create", "a new token, which is printed this once")
    create.add_argument("--name", metavar="NAME", help="what lists and the log call it (default: when it was made)")
    create.add_argument(
        "--vault", action="append", required=True, metavar="VAULT", help="for this one; may be repeated"
    )
    create.add_argument("--write", action="store_true", help="also to change items (default: to read)")
    create.add_argument("--expires", type=_duration, metavar="TIME", help="when it ends, like 30d (default: never)")
    command("list", "every token, without its secret")
    command("revoke", "refuse a token from now on").add_argument(
        "token", metavar="TOKEN", help="its name or identifier"
    )


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _duration(text: str) -> float:
    """Seconds, more than none."""
    from blumeops.lab.quantities import seconds

    try:
        found = seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if found <= 0:
        raise argparse.ArgumentTypeError("must be longer than 0s")
    return found
