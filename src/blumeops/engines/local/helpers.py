"""Commands that run to their end beside a unit's program: its initialisation, its providers' grants, its reload.

They run as the services' user, in the unit's home, marked, so that one whose controller was killed is found.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from blumeops.base.errors import EngineError, Unavailable
from blumeops.base.processes import run
from blumeops.engines.local import leftovers
from blumeops.engines.local.folders import Folders
from blumeops.engines.local.manager import ProcessSpec
from blumeops.engines.local.record import Record, Records
from blumeops.engines.local.resolve import Resolver
from blumeops.render.local_unit import Grant, LocalUnit

INIT_SECONDS = 120
SECONDS = 60


def initialise(unit: LocalUnit, resolver: Resolver, env: Mapping[str, str], records: Records, record: Record) -> Record:
    """Run `init` when what it creates is not there. One that was cut short is undone first: the folders that
    were empty before it are emptied. Raises EngineError `BLU710`."""
    folders = resolver.folders
    if record.init is not None:
        leftovers.end_marked(mark(folders, unit.unit))
        for name in record.init:
            _empty(folders.data(unit.unit, name))
        record = records.write(record.with_(init=None))
    if unit.init is None or Path(resolver.text(unit.init.creates)).exists():
        return record
    fresh = tuple(name for name in unit.state if not any(folders.data(unit.unit, name).iterdir()))
    record = records.write(record.with_(init=fresh))
    _run(folders, unit.unit, resolver.words(unit.init.command), env, "", INIT_SECONDS, "BLU710", "initialisation")
    return records.write(record.with_(init=None))


def grant(unit: LocalUnit, wish: Grant, resolver: Resolver, provider: ProcessSpec) -> None:
    """Let the provider make what this unit needs. `resolver` is the provider's. Raises EngineError `BLU711`."""
    env = provider.env | {name: resolver.text(text) for name, text in wish.env.items()}
    words = resolver.words(wish.command)
    _run(resolver.folders, unit.unit, words, env, wish.stdin, SECONDS, "BLU711", f"{wish.provider}'s grant")


def reload(unit: LocalUnit, resolver: Resolver, env: Mapping[str, str]) -> None:
    """Make the running program read its files. Raises EngineError `BLU712` with its words."""
    _run(resolver.folders, unit.unit, resolver.words(unit.reload), env, "", SECONDS, "BLU712", "reload")


def mark(folders: Folders, unit: str) -> Path:
    """How this unit's helpers are marked."""
    return folders.unit(unit) / "helper"


def _run(
    folders: Folders, unit: str, words: tuple[str, ...], env: Mapping[str, str], stdin: str, seconds: float,
    code: str, what: str,
) -> None:  # fmt: skip
    program = shutil.which(words[0], path=env["PATH"])
    if not program:
        raise Unavailable(code, unit, f"{what}: there is no program {words[0]}")
    account = folders.account
    done = run(
        (program, *words[1:]), stdin=stdin.encode(), env={**env, leftovers.MARK: str(mark(folders, unit))},
        cwd=folders.home(unit), seconds=seconds, user=account.user, group=account.group,
    )  # fmt: skip
    if done.code:
        raise EngineError(code, unit, f"{what} failed: {done.words}")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
