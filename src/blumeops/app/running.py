"""A site that somebody looks at: whether there is one, and whether its controller answers.

No description is read, and next to nothing imported: who only looks, looks often.
"""

from __future__ import annotations

import socket
from difflib import get_close_matches
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.site import SiteFolder
from blumeops.engines.local import remains
from blumeops.engines.local.folders import SLOTS, Folders, service_account

CONTROLLER = "controller"
SOCKET = "controller.sock"


def must_exist(folder: SiteFolder) -> None:
    """Raise UserError `BLU790` where no site was ever up; nothing is made."""
    if not folder.lab_name.is_file():
        raise UserError("BLU790", str(folder.path), "holds no site", "start it with `blumeops up`")


def socket_of(folder: SiteFolder) -> Path:
    """The controller's unix socket, for whoever connects to it now. Raises EngineError `BLU705`."""
    return folders_of(folder).door() / SOCKET


def controller_answers(folder: SiteFolder) -> bool:
    """Whether the controller serves its socket."""
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(2)
            door.connect(str(socket_of(folder)))
    except OSError:
        return False
    return True


def controller_is_kept(folder: SiteFolder) -> bool:
    """Whether the process manager runs it, or is about to: it was not stopped."""
    from blumeops.engines.local.supervisor import Supervisor  # only who has to wait asks

    folders = folders_of(folder)
    process = Supervisor(folders.state / "manager", folders).states().get(CONTROLLER)
    return process is not None and process.state != "stopped"


def logs_of(folder: SiteFolder, service: str) -> list[Path]:
    """The files that a service, or the `controller`, writes to, one a slot; those of a deleted service are kept.

    Raises UserError `BLU708` when there is no such service at this site.
    """
    must_exist(folder)
    if service == CONTROLLER:
        return [folder.controller_log]
    folders = folders_of(folder)
    files = [folders.log(service, slot) for slot in SLOTS]
    known = remains.known(folders.state / "units") | {
        path.name.rpartition(f".{slot}.log")[0] for slot in SLOTS for path in files[0].parent.glob(f"*.{slot}.log")
    }
    if service not in known:
        near = get_close_matches(service, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`blumeops status` lists them; there is `controller` too"
        raise UserError("BLU708", service, "is not a service of this site", hint)
    return files


def folders_of(folder: SiteFolder) -> Folders:
    """The layout of its state. None of it is made."""
    return Folders(folder.path.absolute(), service_account())
