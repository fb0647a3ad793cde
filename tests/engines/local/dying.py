"""A controller that is killed (SIGKILL) at its n-th act: `python dying.py STATE N`, the unit's JSON on stdin.

Acts are all that it does to the world: records, files, calls of the process manager, the helper commands.
Exit code 0: it came to the end before the n-th act.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blumeops.engines.local import addresses, helpers, instance, snapshots
from blumeops.engines.local.record import Records
from blumeops.engines.local.supervisor import Supervisor
from blumeops.render.local_unit import LocalUnit
from tests.engines.local.conftest import engine_for


def main(state: Path, deadly: int) -> None:
    """Apply the unit, and die before the n-th act."""
    acts = 0

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def act(*words: Any, **named: Any) -> Any:
            nonlocal acts
            acts += 1
            if acts == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*words, **named)

        return act

    for owner, names in (
        (Records, ("write",)),
        (Supervisor, ("define", "start", "stop", "remove")),
        (instance, ("write", "write_files", "remove")),
        (helpers, ("initialise", "grant", "reload", "run_marked")),
        (snapshots, ("take", "bring_back", "discard", "_copy", "_dump", "_restore", "_rename")),
        (addresses, ("write_whole",)),
    ):
        for name in names:
            setattr(owner, name, mortal(getattr(owner, name)))
    unit = LocalUnit.model_validate_json(sys.stdin.buffer.read())
    outcome = engine_for(state, drain=0).apply(unit, lambda line: None)
    if not outcome.ok:
        sys.exit(f"{outcome.action}: {outcome.reason}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
