"""`--prune-data` of `up` and `down`: what services that are gone have left is shown, and deleted when one says so."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from blumeops.app.kept import kept
from blumeops.base.errors import BlumeError, UserError
from blumeops.base.site import SiteFolder
from blumeops.cli import output
from blumeops.cli.place import Place

if TYPE_CHECKING:
    from blumeops.engines.local.kept import Kept


def must_be_able_to_ask(arguments: argparse.Namespace) -> None:
    """Before anything is done. Raises UserError `BLU797` where nobody could answer, and nobody answered beforehand."""
    if arguments.prune_data and not arguments.yes and not (sys.stdin and sys.stdin.isatty() and not arguments.json):
        hint = "look at what is kept with `blumeops status`, then add --yes"
        raise UserError("BLU797", "--prune-data", "deletes for good, and nobody can be asked here", hint)


def prune(where: Place, arguments: argparse.Namespace) -> bool:
    """Show, ask and delete; whether all went as it was wanted. Without --prune-data nothing is done."""
    if not arguments.prune_data:
        return True
    from blumeops.app.pruning import Pruner  # it reads the description, which `status` does not

    pruner = Pruner(where.site, where.lab, arguments.age_key)
    if not pruner.kept:
        output.progress("nothing is kept of services that are gone")
        return True
    for name, each in pruner.kept.items():
        output.progress(f"{name} is gone; kept: {each.in_words}")
    if not arguments.yes and not _agreed():
        output.progress("nothing was deleted")
        return True
    done = True
    for name in pruner.kept:
        try:
            pruner.prune(name)
            output.progress(f"{name}: deleted")
        except BlumeError as error:
            output.progress(str(error))
            done = False
    return done


def say_kept(site: SiteFolder) -> None:
    """One line about what is kept, where something is, with the command to be rid of it."""
    found = kept(site)
    if found:
        output.progress(f"kept of services that are gone: {_listed(found)}; `blumeops up --prune-data` deletes it")


def kept_as_json(site: SiteFolder) -> dict[str, object]:
    """What `status --json` has of it: nothing where nothing is kept."""
    found = [
        {"id": name, "bytes": each.size, "databases": [grant.provider for grant in each.grants]}
        for name, each in kept(site).items()
    ]
    return {"kept": found} if found else {}


def _listed(found: Mapping[str, Kept]) -> str:
    def said(each: Kept) -> str:
        size = [each.in_bytes] if each.size or not each.grants else []
        return " and ".join([*size, *(["a database"] if each.grants else [])])

    return ", ".join(f"{name} ({said(each)})" for name, each in found.items())


def _agreed() -> bool:
    print("delete it for good? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
