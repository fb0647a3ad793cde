"""`up --share HOST/SHARE=PATH`: which folder of this machine stands in for which share of the lab.

In: the words of the command, and what was named before. Out: what is named from now on, each by a whole path. What is
not said again stays; an empty path takes a folder back, and the share is a folder of the state again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from blumeops.base.errors import UserError
from blumeops.cli import output

if TYPE_CHECKING:
    from blumeops.lab.settings import Settings


def named(given: Iterable[tuple[str, str]], before: Mapping[str, Path], settings: Settings) -> dict[str, Path]:
    """What is named from now on. A share of which no other host has the like may be said without its host; a relative
    path is one of the folder that we are in. Raises UserError `BLU798`."""
    known = [f"{host}/{share}" for host, entry in settings.hosts.items() for share in entry.shares]
    found = dict(before)
    for word, text in given:
        share = _meant(word, known)
        if not text:
            found.pop(share, None)
            continue
        path = Path(text).expanduser().absolute()
        if not path.is_dir():
            why = "is not a folder" if path.exists() else "is not there"
            raise UserError("BLU798", str(path), f"{why}, and should stand in for the share {share}", "name a folder")
        found[share] = path
    return found


def say(shares: Mapping[str, Path]) -> None:
    """A line for each."""
    for share, path in shares.items():
        output.say(f"share {share} is {path}")


def _meant(word: str, known: list[str]) -> str:
    fitting = [share for share in known if word in (share, share.partition("/")[2])]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UserError("BLU798", word, "is a share of several hosts", f"write {' or '.join(fitting)}")
    near = get_close_matches(word, known, n=1) or get_close_matches(
        word, [each.partition("/")[2] for each in known], n=1
    )
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}" if known else "hosts have `shares:`"
    raise UserError("BLU798", word, "is no share of the lab", hint)
