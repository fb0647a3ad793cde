"""How a program is: what supervisor tells of it, and what `launch` noted of its ends, as one.

supervisor does not know that what it started may still wait to become the program.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from blumeops.engines.local import launch
from blumeops.engines.local.manager import BackOff, Ends, Process, RunState

STATES: dict[str, RunState] = {
    "STARTING": "starting", "RUNNING": "running", "BACKOFF": "crashed", "EXITED": "crashed", "FATAL": "crashed",
}  # fmt: skip


def process(info: Mapping[str, Any], told: Mapping[str, Any], back_off: BackOff) -> Process:
    """`info`: of supervisor's `getAllProcessInfo`; `told`: see `launch.ends_of`, empty where nothing was noted."""
    state, pid, since, now = STATES.get(info["statename"], "stopped"), info["pid"], float(info["start"]), time.time()
    mine = bool(pid) and told.get("pid") == pid
    waits = told["waits"] if mine else 0.0
    if waits or (pid and told and not mine):  # it waits, or `launch` has not come to know yet whether it must
        state, pid = "crashed", 0
    elif mine and told["since"]:
        since = told["since"]
        state = "starting" if now - since < back_off.young else "running"
    # An end that it was not started after yet is not among those that were noted.
    before = launch.lately(told.get("ends", []), now, back_off.window)
    count = len(before) + (state == "crashed" and not waits)
    code = info["exitstatus"] if info["statename"] == "EXITED" else None
    ends = Ends(count, back_off.window, told.get("log", 0), waits) if count else Ends()
    return Process(state, pid, since, code, float(info["stop"]), ends)
