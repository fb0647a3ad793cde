"""Since when each secret has its value: from the versions of the SOPS file, without a key.

A value that stays keeps its ciphertext when another one changes; all get a new one when the recipients change, and
count as new from then on.
"""

from __future__ import annotations

from collections.abc import Iterable

from blumeops.base.errors import UserError
from blumeops.secrets import sops
from blumeops.secrets.references import Reference


def changed_at(versions: Iterable[tuple[int, bytes]]) -> dict[Reference, int]:
    """By reference of the newest version: when it got its value, in seconds since 1970. `versions`: newest first.

    Raises UserError `BLU504` when the newest is no SOPS file; an older one that is none ends the search.
    """
    now: dict[Reference, str] = {}
    since: dict[Reference, int] = {}
    unsure: set[Reference] = set()
    for when, data in versions:
        try:
            found = sops.stored(data)
        except UserError:
            if not since:
                raise
            break
        if not since:
            now, unsure = dict(found), set(found)
        unsure = {each for each in unsure if found.get(each) == now[each]}
        since |= dict.fromkeys(unsure, when)
        if not unsure:
            break
    return since
