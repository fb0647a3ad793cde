"""Images: from a source and a tag to one that is here, pulled where it is not.

In: a source `container`. Out: an `Image`, named by its id, so that what runs is what was looked at; or why it cannot
be had. Promised: an image counts with the very tag (or digest) that is wanted; a registry that does not answer
costs half a minute once, not once a service; a container is never started from an image that is still to be pulled.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from blumeops.base.errors import BlumeError, EngineError
from blumeops.engines.local.programs import runtime
from blumeops.engines.local.programs.found import Missing, Program
from blumeops.engines.local.programs.image import Image
from blumeops.engines.local.programs.runtime import Runtime
from blumeops.render.local_unit import Source

FIRST_ANSWER = 30.0
"""Seconds in which a registry has answered, or is away."""
WHOLE_PULL = 1800.0
FORGET = 60.0
"""Seconds for which a registry that did not answer is not asked again."""
_away: dict[str, float] = {}


def reference(source: Source, version: str) -> str:
    """The image with its tag; a digest stands instead of the tag. (`name:tag@sha256` and the digest's digits are how
    an image that is pinned where it is named is kept as name and version.)"""
    if source.digest:
        return f"{source.name}@{source.digest}"
    name, _, algorithm = source.name.partition("@")
    if algorithm:
        head, _, tag = name.rpartition(":")
        return f"{head if head and '/' not in tag else name}@{algorithm}:{version}"
    return f"{name}:{version}"


def obtained(source: Source, version: str, say: Callable[[str], None]) -> Program | Missing:
    """The image as a program, pulled if it is not here."""
    found = runtime.find()
    if isinstance(found, Missing):
        return found
    name = reference(source, version)
    try:
        image = here(found, source, name)
        if image is None:
            why = _pull(found, name, say)
            if why:
                return Missing(why, f"{found.dialect} pull {name}")
            image = here(found, source, name)
    except BlumeError as error:
        return Missing(error.message)
    if image is None:
        return Missing("was pulled, and is not there", f"{found.dialect} pull {name}")
    return Program(Path(found.words[0]).parent, version, source, image=image)


def here(tool: Runtime, source: Source, name: str) -> Image | None:
    """The image if the runtime has it. Raises EngineError where the runtime does not answer."""
    done = tool.ask("image", "inspect", "--format", "{{.Id}} {{.Config.User}}", name)
    if done.code:
        return None
    digest, _, user = done.stdout.decode().strip().partition(" ")
    number, group = (source.uid, source.uid) if source.uid is not None else _numbers(tool, digest, user.strip())
    return Image(
        dialect=tool.dialect, tool=tool.words, id=digest, user=number, group=group, folder=source.bin or "",
    )  # fmt: skip


def _numbers(tool: Runtime, digest: str, user: str) -> tuple[int, int]:
    """User and group of an image as numbers: names are looked up in its own files."""
    name, _, group = user.partition(":")
    if name in ("", "0", "root"):
        return 0, int(group) if group.isdigit() else 0
    accounts = [] if name.isdigit() and group.isdigit() else _lines(tool, digest, "/etc/passwd")
    entry = next((line for line in accounts if name in (line[0], line[2])), ["", "", "", "0"])
    number = int(name) if name.isdigit() else int(entry[2] or -1)
    if not group:
        return _valid(number, user), int(entry[3])
    if not group.isdigit():
        groups = _lines(tool, digest, "/etc/group")
        group = next((line[2] for line in groups if line[0] == group), "0")
    return _valid(number, user), int(group)


def _valid(number: int, user: str) -> int:
    if number < 0:
        raise EngineError("BLU730", user, "is the user of an image, which does not say its number", "name its `uid:`")
    return number


def _lines(tool: Runtime, digest: str, path: str) -> list[list[str]]:
    """A file of accounts in the image, by lines and fields; nothing is started to read it."""
    name = f"blumeops-look-{uuid.uuid4().hex[:12]}"
    try:
        if tool.ask("create", "--name", name, "--network", "none", digest, "none").code:
            return []
        done = tool.ask("cp", f"{name}:{path}", "-")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            member = next((each for each in archive if each.isfile()), None)
            content = archive.extractfile(member) if member else None
            text = content.read().decode(errors="replace") if content else ""
    except tarfile.TarError:
        return []
    finally:
        tool.ask("rm", "--force", name)
    return [fields for line in text.splitlines() if len(fields := line.split(":")) >= 4]


def _pull(tool: Runtime, name: str, say: Callable[[str], None]) -> str:
    """Pull it, telling what the runtime tells; empty, or why not."""
    registry = name.partition("/")[0]
    if time.monotonic() < _away.get(registry, 0.0):
        return f"is not here, and {registry} did not answer a moment ago"
    say(f"pulling {name}")
    why = _watched((*tool.words, "pull", name), name, say)
    if why and "manifest unknown" not in why:
        _away[registry] = time.monotonic() + FORGET
    return why


def _watched(argv: Sequence[str], name: str, say: Callable[[str], None]) -> str:
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=runtime.environment(),
    )  # fmt: skip
    answered, done = threading.Event(), threading.Event()
    last = late = ""

    def watch() -> None:
        nonlocal late
        if not answered.wait(FIRST_ANSWER):
            late = f"is not here, and its registry does not answer within {FIRST_ANSWER:g} s"
        elif not done.wait(WHOLE_PULL):
            late = f"is not here, and was not pulled within {WHOLE_PULL / 60:g} minutes"
        if late:
            process.kill()

    guard = threading.Thread(target=watch, daemon=True)
    guard.start()
    with process, process.stdout or io.StringIO() as lines:
        for line in lines:
            last = line.strip() or last
            if not last.startswith("Trying to pull"):
                answered.set()
                if not last.startswith("Error"):
                    say(f"{name}: {last[:120]}")
    answered.set()
    done.set()
    guard.join()
    if process.returncode == 0:
        return ""
    return late or f"is not here, and cannot be pulled: {_reason(last, name)}"


def _reason(line: str, name: str) -> str:
    """What a runtime says of a pull that failed, without what we said to it."""
    words = line.removeprefix("Error: ").removeprefix("Error response from daemon: ")
    return words.removeprefix(f"initializing source docker://{name}: ")[-300:]
