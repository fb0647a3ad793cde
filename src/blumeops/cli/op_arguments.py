"""The words of the `op` command: what 1Password's own takes, as far as a store of plain values can answer it.

The same for `blumeops op …`, where options that say which lab stand beside op's own, and for the program `op` that
`blumeops op shim` writes, which has the lab built in.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

VERSION = "2.30.0"
"""The op whose answers these are: what clients ask for first."""
IGNORED = ("--account", "--config", "--encoding", "--session")
"""What op takes with a value and a store that needs no session has no use for."""
_Commands = argparse._SubParsersAction


def everywhere() -> argparse.ArgumentParser:
    """What op takes with every command."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group("as 1Password's op")
    group.add_argument(
        "--format",
        choices=["json", "human-readable"],
        default=argparse.SUPPRESS,
        help="default: $OP_FORMAT, else for people",
    )
    for option in IGNORED:
        group.add_argument(option, default=argparse.SUPPRESS, metavar="TEXT", help=argparse.SUPPRESS)
    for flag in ("--cache", "--debug", "--iso-timestamps", "--no-color"):
        group.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parent


def add(op: argparse.ArgumentParser, *parents: argparse.ArgumentParser) -> _Commands[argparse.ArgumentParser]:
    """Every command below `op`; those that hold others come with the ones inside. Returned, to add more to them."""
    commands = op.add_subparsers(dest="op_command", metavar="COMMAND", required=True)
    shared = [everywhere(), *parents]

    def command(inside: _Commands[argparse.ArgumentParser], name: str, about: str) -> argparse.ArgumentParser:
        return inside.add_parser(name, help=about, description=about, parents=shared)

    def group(name: str, about: str) -> _Commands[argparse.ArgumentParser]:
        holder = commands.add_parser(name, help=about, description=about)
        return holder.add_subparsers(dest="op_subcommand", metavar="COMMAND", required=True)

    read = command(commands, "read", "print one value")
    read.add_argument("reference", metavar="op://VAULT/ITEM/FIELD")
    read.add_argument("-n", "--no-newline", action="store_true", help="the value alone, without an end of line")
    _written(read)
    inject = command(commands, "inject", "a template with its references replaced by their values")
    inject.add_argument("-i", "--in-file", type=Path, metavar="FILE", help="the template (default: standard input)")
    _written(inject)
    _items(group("item", "items of a vault"), command)
    vaults = group("vault", "vaults")
    command(vaults, "list", "every vault")
    command(vaults, "get", "one vault").add_argument("vault", metavar="VAULT")
    document = command(group("document", "documents: items whose only field is `document`"), "get", "print a document")
    document.add_argument("item", metavar="ITEM", help="its title or identifier")
    document.add_argument("--vault", metavar="VAULT", help="default: all")
    _written(document)
    accounts = group("account", "the account that clients ask for: the lab")
    command(accounts, "list", "the one account")
    command(accounts, "get", "about it")
    command(commands, "whoami", "about the account that is signed in")
    command(commands, "signin", "does nothing: the age key opens the store").add_argument("--raw", action="store_true")
    return commands


def _items(items: _Commands[argparse.ArgumentParser], command) -> None:  # type: ignore[no-untyped-def]  # the local function above
    get = command(items, "get", "one item, with its fields")
    get.add_argument("item", metavar="ITEM", help="its title or identifier")
    get.add_argument("--vault", metavar="VAULT", help="default: all")
    get.add_argument("--fields", metavar="FIELDS", help="only these: label=a,label=b, or type=concealed")
    get.add_argument("--reveal", action="store_true", help="show secrets without --format json, too")
    get.add_argument("--otp", action="store_true", help=argparse.SUPPRESS)
    listing = command(items, "list", "items, without their values")
    listing.add_argument("--vault", metavar="VAULT", help="default: all")
    listing.add_argument("--categories", metavar="KINDS", help="only of these, like Login,Password")
    listing.add_argument("--tags", metavar="TAGS", help="nothing has a tag")
    listing.add_argument("--favorite", action="store_true", help="nothing is a favorite")
    listing.add_argument("--long", action="store_true", help="with more columns")


def _written(command: argparse.ArgumentParser) -> None:
    """Where a value may go instead of standard output."""
    command.add_argument("-o", "--out-file", type=Path, metavar="FILE", help="write it there instead of printing it")
    command.add_argument("--file-mode", type=_mode, metavar="MODE", default=0o600, help="of that file (default: 0600)")
    command.add_argument("-f", "--force", action="store_true", help="replace a file that is there")


def _mode(text: str) -> int:
    if not re.fullmatch("0?[0-7]{3}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no mode, like 0600")
    return int(text, 8)
