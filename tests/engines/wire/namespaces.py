"""Network namespaces without names: each lives as long as this process holds it, and nothing is left when that ends.

Sockets belong to the namespace in which they are made, whoever uses them afterwards; so one thread can listen and
call in all of them. `nsenter` runs programs inside by the path of the descriptor. Needs root.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CLONE_NEWNET = 0x40000000
PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux", "unshare": "util-linux"}
"""What is needed, by the Debian package that has it."""

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The kernel, or a program that was run inside, said no."""


def missing() -> str:
    """Why there can be no namespaces here; empty where there can."""
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    if absent := sorted({package for name, package in PROGRAMS.items() if not shutil.which(name)}):
        return f"not here: apt-get install {' '.join(absent)}"
    try:
        with namespaces() as found:
            found.add("one")
            found.run(
                "one", "nft", "-f", "-", stdin="table inet t {\nchain c { type filter hook input priority 0; }\n}\n"
            )
    except (OSError, Refused) as error:
        return f"network namespaces or packet filters are not permitted: {error}"
    return ""


class Namespaces:
    """All namespaces of one test, by name."""

    def __init__(self) -> None:
        self._own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._held: dict[str, int] = {}

    def add(self, name: str) -> None:
        """Make an empty one, with its loopback up."""
        found: list[int | OSError] = []

        def make() -> None:
            if _libc.unshare(CLONE_NEWNET) != 0:
                found.append(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno())))
            else:
                found.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))

        thread = threading.Thread(target=make)  # it ends with its namespace; the descriptor keeps that alive
        thread.start()
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        self._held[name] = found[0]
        self.ip(name, "link set lo up")

    def path(self, name: str) -> str:
        """Where other programs find it."""
        return f"/proc/{os.getpid()}/fd/{self._held[name]}"

    def enter(self, name: str) -> list[str]:
        """The words before a command that runs it inside."""
        return ["nsenter", f"--net={self.path(name)}", "--"]

    def run(self, name: str, *argv: str, stdin: str = "") -> str:
        """Run a program inside; what it printed. Raises Refused."""
        done = subprocess.run([*self.enter(name), *argv], input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(f"{name}: {' '.join(argv)}: {done.stderr.strip()[:600]}")
        return done.stdout

    def ip(self, name: str, *commands: str) -> None:
        """Several commands of ip(8), without its name."""
        self.run(name, "ip", "-batch", "-", stdin="\n".join(commands) + "\n")

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """This thread is in the namespace while the block lasts: make sockets there, and do not wait."""
        if _libc.setns(self._held[name], CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            yield
        finally:
            if _libc.setns(self._own, CLONE_NEWNET) != 0:
                os.abort()  # nothing that this process does would be where it is thought to be

    def socket(self, name: str, family: int) -> socket.socket:
        """A TCP socket there, which waits for nobody."""
        with self.inside(name):
            made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return made

    def forwards(self, name: str) -> None:
        """Packets may pass through it."""
        with self.inside(name):
            for family in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path("/proc/sys/net", family).write_text("1")

    def close(self) -> None:
        """Let go of all: the kernel takes them down once the last socket is closed."""
        for held in self._held.values():
            with suppress(OSError):
                os.close(held)
        self._held.clear()
        os.close(self._own)


@contextmanager
def namespaces() -> Iterator[Namespaces]:
    """Namespaces while the block lasts."""
    made = Namespaces()
    try:
        yield made
    finally:
        made.close()
