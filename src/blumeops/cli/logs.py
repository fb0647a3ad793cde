"""logs: what services printed, the last of it or since a time, and what comes; without the lab's secrets."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from blumeops.app import running
from blumeops.base.errors import UserError
from blumeops.cli import output
from blumeops.cli.place import Place, place
from blumeops.telemetry.logs import Line, Log, Wish, follow, last_lines

_POLL = 0.2
_LAST = 50
_COMMANDS = re.compile(r"(\x1b\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""What a terminal would obey; colours may."""


def logs(arguments: argparse.Namespace) -> int:
    """`blumeops logs`: 0 whatever the lines are."""
    where = place(arguments)
    site, names = where.site, list(dict.fromkeys(arguments.services))
    files = {name: running.logs_of(site, name) for name in names}
    silent = [name for name, paths in files.items() if not any(path.exists() for path in paths)]
    if silent and not arguments.follow:
        raise UserError("BLU708", silent[0], "has printed nothing yet", "wait for it with --follow")
    count = arguments.lines if arguments.lines is not None or arguments.since is not None else _LAST
    wish = Wish(count, arguments.since, arguments.grep)
    # The controller's own lines were masked before they were written, and it is read when the store is damaged.
    open_as_it_is = arguments.raw or names == [running.CONTROLLER]
    mask = str if open_as_it_is else _mask(where, arguments.age_key)
    with ExitStack() as opened:
        every = [Log(name, path) for name, paths in files.items() for path in paths]
        for log in every:
            opened.callback(log.close)
        for line in last_lines(every, wish, following=arguments.follow):
            _say(replace(line, text=mask(line.text)), names, arguments.json)
        if arguments.follow:
            for line in follow(every, arguments.grep, lambda: time.sleep(_POLL)):
                _say(replace(line, text=mask(line.text)), names, arguments.json)
    return 0


def _mask(where: Place, age_key: Path | None) -> Callable[[str], str]:
    from blumeops.app.masking import SiteMasks  # it reads the description

    return SiteMasks(where.site, where.lab, age_key).mask


def _say(line: Line, names: Sequence[str], as_json: bool) -> None:
    if as_json:
        when = datetime.fromtimestamp(line.time, UTC).isoformat(timespec="milliseconds") if line.own else None
        told = {"line": line.text, "service": line.service, "time": when and when.replace("+00:00", "Z")}
        output.say(json.dumps(told, ensure_ascii=False))
        return
    text = (
        _COMMANDS.sub(lambda found: found[1] or repr(found[0])[1:-1], line.text) if sys.stdout.isatty() else line.text
    )
    prefix = f"{line.service:{max(map(len, names))}}  " if len(names) > 1 else ""
    output.say(f"{output.paint(prefix, 'dim') if prefix else ''}{text}")
