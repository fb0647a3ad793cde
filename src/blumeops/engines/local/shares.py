"""A folder of this machine's that was named for a share: it is somebody else's, so it is looked at and never changed.

In: a share, and whose rights the service has. Out: nothing, or why the service could not use it, before it is started.
Of what lies in the folder nothing is looked at: there may be much of it.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from blumeops.base.errors import Unavailable
from blumeops.engines.local.folders import Account, Folders


def require(folders: Folders, unit: str, share: str, account: Account, *, contained: bool) -> None:
    """Raise Unavailable `BLU719` for a named folder that is not there, or that the service cannot read. `contained`: it
    is mounted into a container, which need not get to what is above it."""
    path = folders.named(share)
    if path is None:
        return
    told = f"its share {share} is {path}"
    if not path.is_dir():
        raise Unavailable("BLU719", unit, f"{told}, which is not there", "bring it back, or `up --share` names another")
    above = [] if contained else [*reversed(path.resolve().parents)]
    for folder, wanted in [*((each, os.X_OK) for each in above), (path, os.R_OK | os.X_OK)]:
        if not _may(folder, wanted, account):
            which = "which" if folder == path else f"and {folder}"
            closed = f"{which} cannot be read by {_who(account, contained)}"
            raise Unavailable("BLU719", unit, f"{told}, {closed}", f"let others read it: chmod o+rx {folder}")


def _may(folder: Path, wanted: int, account: Account) -> bool:
    if account.user is None:
        return os.access(folder, wanted)
    found = folder.stat()
    bits = stat.S_IMODE(found.st_mode)
    bits = bits >> 6 if found.st_uid == account.user else bits >> 3 if found.st_gid == account.group else bits
    return bits & wanted == wanted


def _who(account: Account, contained: bool) -> str:
    if account.user is None:
        return "us"
    if contained:
        return f"its container, which is user {account.user} of this machine"
    return f"{pwd.getpwuid(account.user).pw_name}, who services run as"
