"""Limits of memory, where the platform has them: a control group of its own for each program.

In: a state folder. Out: `Limits` that say in which group of Linux a program gets its limit, or why there are none here.
Groups are made below where we are ourselves, so that whatever limits us limits our services too. Version 1 of control
groups: below our own group. Version 2, where a group has either processes or parts: in the nearest group above ours
that gives memory out and lets us make groups (root's slices, or what systemd delegates to a user). `launch.py` makes
and enters the group before it becomes the program; where that fails it says so and goes on: no limit is worth an
outage.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/self")
NONE = "this system has no control groups for memory"
DENIED = "we may not make control groups here: that needs root, or a group that is delegated to us"


@dataclass(frozen=True, slots=True)
class Limits:
    """`base`: the folder of this site's groups; None: no limits can be had, and `why` says why."""

    base: Path | None
    file: str = ""
    """In a group, the file with the limit in bytes."""
    why: str = ""

    def group(self, program: str) -> Path | None:
        """The folder of a program's own group."""
        return self.base / program if self.base else None


def limits_for(state: Path, proc: Path = PROC) -> Limits:
    """What can be had for the site in `state`. Nothing is made or changed."""
    name = f"blumeops-{hashlib.sha256(os.fsencode(state)).hexdigest()[:10]}"
    places = list(_places(proc))
    for folder, file in places:
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) and os.access(folder / "cgroup.procs", os.W_OK):
            return Limits(folder / name, file)
    return Limits(None, why=DENIED if places else NONE)


def remove(group: Path) -> None:
    """Take the group away, and the site's when it was the last; one in which something still runs stays."""
    for folder in (group, group.parent):
        with suppress(OSError):
            folder.rmdir()


def _places(proc: Path) -> Iterator[tuple[Path, str]]:
    """Folders below which groups with a limit of memory may be made, the best first, and the limit's file."""
    try:
        own = dict(_own(proc / "cgroup"))
        mounts = list(_mounts(proc / "mountinfo"))
    except OSError:  # macOS
        return
    for folder, kind, root, options in mounts:
        if kind == "cgroup" and "memory" in options and "memory" in own:
            yield _within(folder, root, own["memory"]), "memory.limit_in_bytes"
        elif kind == "cgroup2" and "" in own:
            group = _within(folder, root, own[""])
            for above in [each for each in group.parents if each.is_relative_to(folder)]:
                with suppress(OSError):
                    if "memory" in (above / "cgroup.subtree_control").read_text().split():
                        yield above, "memory.max"


def _own(file: Path) -> Iterable[tuple[str, str]]:
    """Our own group by controller ("" for version 2), see cgroups(7)."""
    for line in file.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounts(file: Path) -> Iterable[tuple[Path, str, str, set[str]]]:
    """Where control groups are mounted: folder, kind, which group is its root, options; see proc_pid_mountinfo(5)."""
    for line in file.read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            fields = before.split(" ")
            yield Path(fields[4]), kind, fields[3], set(options.split(","))


def _within(folder: Path, root: str, path: str) -> Path:
    """The folder of group `path` where the group `root` is mounted at `folder`."""
    inside = path.removeprefix(root.rstrip("/")) if root != "/" else path
    found = folder / inside.lstrip("/")
    return found if found.is_dir() else folder
