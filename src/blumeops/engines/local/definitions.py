"""What is written of one program: for supervisor, which keeps it running, and for `launch`, which becomes it.

In: a `ProcessSpec`. Out: supervisor's section without any secret, and the private form that `launch` reads; the same
spec again from that form.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blumeops.engines.local import launch, leftovers
from blumeops.engines.local.daemon import plain
from blumeops.engines.local.limits import Limits
from blumeops.engines.local.manager import BackOff, ProcessSpec

PROGRAM = """\
[program:{name}]
command={command}
autostart={autostart}
autorestart={restart}
startsecs={young}
startretries={retries}
stopsignal={signal}
stopwaitsecs={seconds}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes={bytes}
stdout_logfile_backups=3
"""


def section(spec: ProcessSpec, form: Path, young: int, log_bytes: int, started: bool) -> str:
    """Supervisor's section. `form`: where the private form lies; `young`: seconds, see `BackOff`."""
    words = (sys.executable, "-I", "-S", launch.__file__, str(form))
    return PROGRAM.format(
        name=spec.name, command=plain(" ".join(map(shlex.quote, words))), autostart=str(started).lower(),
        restart=str(spec.restart).lower(), young=young if spec.restart else 0,
        retries=1000000 if spec.restart else 0, signal=spec.stop_signal,
        seconds=math.ceil(spec.stop_seconds), log=plain(spec.log), bytes=log_bytes,
    )  # fmt: skip


def launch_form(spec: ProcessSpec, mark: Path, record: Path, limits: Limits, back_off: BackOff) -> dict[str, Any]:
    """What `launch` reads. `mark`: by which its processes are found; `record`: where it says who it became."""
    group = limits.group(spec.name)
    return {
        "name": spec.name, "argv": list(spec.argv), "env": spec.env | {leftovers.MARK: str(mark)},
        "cwd": str(spec.cwd), "log": str(spec.log), "stop_signal": spec.stop_signal,
        "stop_seconds": spec.stop_seconds, "user": spec.user, "group": spec.group, "restart": spec.restart,
        "clear": list(spec.clear), "record": str(record), "reads_all": spec.reads_all, "memory": spec.memory,
        "limit": {"group": str(group), "file": limits.file} if group and spec.memory else None,
        "back_off": asdict(back_off) if spec.restart and spec.backs_off else None,
    }  # fmt: skip


def spec_in(form: bytes) -> ProcessSpec:
    """The spec of such a form. Raises ValueError, LookupError, TypeError, AttributeError for what is none."""
    found = json.loads(form)
    found["env"].pop(leftovers.MARK)
    found.pop("record")
    found.pop("limit", None)
    restart = found.get("restart", True)
    slowed = found.pop("back_off", True) is not None  # forms of earlier versions say nothing of it
    paths = {"cwd": Path(found["cwd"]), "log": Path(found["log"])}
    words = {"argv": tuple(found["argv"]), "clear": tuple(found.get("clear", ()))}
    return ProcessSpec(**found | paths | words, backs_off=slowed or not restart)
