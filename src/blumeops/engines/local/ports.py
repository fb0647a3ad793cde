"""Port numbers: free ones that stay the same over restarts, and who holds one that is taken."""

from __future__ import annotations

import os
import random
import re
import socket
from collections.abc import Collection
from pathlib import Path

import psutil

from blumeops.base.errors import EngineError
from blumeops.render.local_unit import Port

RANGE = (20000, 32000)
"""Below what the kernels give to outgoing connections (Linux from 32768, macOS from 49152), so that a
stopped service's number is not taken by chance."""


def offered() -> range:
    """The numbers that services get: of `BLUMEOPS_PORTS`, else of `RANGE`. Raises EngineError `BLU704`."""
    said = os.environ.get("BLUMEOPS_PORTS", "")
    if not said:
        return range(*RANGE)
    words = re.fullmatch(r"(\d{4,5})-(\d{4,5})", said)
    numbers = range(int(words[1]), int(words[2]) + 1) if words else range(0)
    if not numbers or numbers[0] < 1024 or numbers[-1] > 65535:
        raise EngineError("BLU704", "BLUMEOPS_PORTS", f"{said!r} is no range of ports", "for example 20000-31999")
    return numbers


def is_free(number: int, protocol: str = "tcp") -> bool:
    """Whether a service could listen there now. Raises EngineError `BLU704` where we may not at all."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except PermissionError as error:
            raise EngineError("BLU704", f"port {number}", "needs root", "choose one above 1023") from error
        except OSError:
            return False
    return True


def holder(number: int) -> psutil.Process | None:
    """The process that listens there, where this machine lets us see it."""
    try:
        for each in psutil.net_connections("inet"):
            if each.laddr and each.laddr.port == number and each.pid and each.status in ("LISTEN", "NONE"):
                return psutil.Process(each.pid)
    except (psutil.Error, OSError):
        return None
    return None


def first_open() -> int:
    """The lowest port on which a user without root's rights may listen."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def require_free(subject: str, name: str, port: Port, ours: Collection[int], runs_as: str = "") -> None:
    """Raise EngineError `BLU704` with the holder's name when a fixed port is taken by anybody but `ours` (pids).

    `runs_as`: the user whose rights the service has, where they are not ours.
    """
    number = port.fixed
    if number is not None and runs_as and number < first_open():
        why = f"port {number} ({name}) needs root, and services run as {runs_as}"
        raise EngineError("BLU704", subject, f"{why}; choose one from {first_open()} on{_where(port)}")
    if number is None or is_free(number, port.protocol):
        return
    process = holder(number)
    if process and process.pid in ours:
        return
    who = f"{process.name()} (pid {process.pid})" if process else "another program"
    why = f"port {number} ({name}) is taken by {who}; stop that, or choose another number{_where(port)}"
    raise EngineError("BLU704", subject, why)  # what to do is in the message: status shows no hint


def _where(port: Port) -> str:
    return f": `here: {{{port.setting}: …}}` in lab.yaml" if port.setting else ""


def choose(known: Collection[int], avoid: Collection[int], ours: Collection[int], protocol: str = "tcp") -> int:
    """A port that can be had: one of `known` first (`ours` are held by what is stopped before), never of `avoid`."""
    for number in known:
        if number not in avoid and (number in ours or is_free(number, protocol)):
            return number
    numbers = offered()
    for _ in range(1000):
        number = random.choice(numbers)  # noqa: S311 - not a secret
        if number not in avoid and number not in known and is_free(number, protocol):
            return number
    raise EngineError("BLU704", "ports", f"none is free from {numbers[0]} to {numbers[-1]}")


def family(pid: int) -> set[int]:
    """A process and its descendants."""
    try:
        process = psutil.Process(pid)
        return {pid, *(child.pid for child in process.children(recursive=True))}
    except psutil.NoSuchProcess:
        return set()
