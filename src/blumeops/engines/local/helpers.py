"""Commands that run to their end beside a unit's program: its initialisation, its providers' grants, its reload.

They run as the services' user, in the unit's home, marked, so that one whose controller was killed is found.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from blumeops.base.errors import EngineError, Unavailable
from blumeops.base.processes import Completed, run
from blumeops.engines.local import leftovers
from blumeops.engines.local.folders import Account, Folders
from blumeops.engines.local.manager import ProcessSpec
from blumeops.engines.local.record import Record, Records
from blumeops.engines.local.resolve import Resolver
from blumeops.render.local_unit import Grant, LocalUnit

INIT_SECONDS = 120
SECONDS = 60
TELLING = re.compile(r"error|fatal|no space", re.IGNORECASE)


class Granted(BaseModel):
    """A grant with all that it says: what is run, and run again when its unit's new form is taken back."""

    model_config = ConfigDict(frozen=True)

    provider: str
    words: tuple[str, ...]
    stdin: str
    env: dict[str, str]


def initialise(unit: LocalUnit, resolver: Resolver, env: Mapping[str, str], records: Records, record: Record) -> Record:
    """Run `init` when what it creates is not there. One that was cut short is undone first: the folders that
    were empty before it are emptied. Raises EngineError `BLU710`."""
    folders = resolver.folders
    if record.init is not None:
        leftovers.end_marked(mark(folders, unit.unit))
        for name in record.init:
            _empty(folders.data(unit.unit, name))
        record = records.write(record.with_(init=None))
    if unit.init is None or Path(replace(resolver, image=None).text(unit.init.creates)).exists():
        return record
    fresh = tuple(name for name in unit.state if not any(folders.data(unit.unit, name).iterdir()))
    record = records.write(record.with_(init=fresh))
    words, inside = resolver.words(unit.init.command), resolver.contained
    if inside:
        run(inside.end_once(), env=env, seconds=SECONDS)  # one whose client was killed
        words = inside.once(words, {name: resolver.text(text) for name, text in unit.env.items()})
    account = Account() if inside else folders.account
    run_marked(folders, unit.unit, account, words, env, INIT_SECONDS, "BLU710", "initialisation")
    return records.write(record.with_(init=None))


def resolved(wish: Grant, resolver: Resolver) -> Granted:
    """The grant with its secrets and addresses. `resolver` is the provider's."""
    env = {name: resolver.text(text) for name, text in wish.env.items()}
    return Granted(provider=wish.provider, words=resolver.words(wish.command), stdin=wish.stdin, env=env)


def grant(unit: str, wish: Granted, provider: ProcessSpec, resolver: Resolver) -> None:
    """Let the provider make what this unit needs. `resolver` is the provider's. Raises EngineError `BLU711`."""
    what = f"{wish.provider}'s grant"
    of_provider(unit, wish.words, wish.env, provider, resolver, SECONDS, "BLU711", what, wish.stdin.encode())


def of_provider(
    unit: str, words: tuple[str, ...], env: Mapping[str, str], provider: ProcessSpec, resolver: Resolver,
    seconds: float, code: str, what: str, stdin: bytes | BinaryIO = b"", stdout: BinaryIO | None = None,
) -> None:  # fmt: skip
    """Run a provider's own program for a unit. Raises EngineError `code`."""
    folders, inside = resolver.folders, resolver.contained
    words = inside.inside(words, env) if inside else words
    account = Account() if inside else folders.account
    run_marked(folders, unit, account, words, provider.env | dict(env), seconds, code, what, stdin, stdout)


def reload(unit: LocalUnit, resolver: Resolver, env: Mapping[str, str]) -> None:
    """Make the running program read its files. Raises EngineError `BLU712` with its words."""
    folders = resolver.folders
    run_marked(folders, unit.unit, folders.account, resolver.words(unit.reload), env, SECONDS, "BLU712", "reload")


def mark(folders: Folders, unit: str) -> Path:
    """How this unit's helpers are marked."""
    return folders.unit(unit) / "helper"


def run_marked(
    folders: Folders, unit: str, account: Account, words: tuple[str, ...], env: Mapping[str, str], seconds: float,
    code: str, what: str, stdin: bytes | BinaryIO = b"", stdout: BinaryIO | None = None,
) -> None:  # fmt: skip
    """Run one command as a helper of the unit. `account`: its rights; the client of a container runtime has ours.
    Raises EngineError `code` that says `what` failed, and why."""
    program = shutil.which(words[0], path=env["PATH"])
    if not program:
        raise Unavailable(code, unit, f"{what}: there is no program {words[0]}")
    done = run(
        (program, *words[1:]), stdin=stdin, stdout=stdout, env={**env, leftovers.MARK: str(mark(folders, unit))},
        cwd=folders.home(unit) if account == folders.account else folders.state, seconds=seconds,
        user=account.user, group=account.group,
    )  # fmt: skip
    if done.code:
        raise EngineError(code, unit, f"{what} failed: {telling(done)}")


def telling(done: Completed) -> str:
    """The line that says why: the first that speaks of an error, else the last. After it, tools tidy up."""
    lines = (done.stderr + b"\n" + done.stdout).decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if TELLING.search(line)), done.words)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
