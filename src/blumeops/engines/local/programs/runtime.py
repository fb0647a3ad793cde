"""The container runtime of this machine: Podman first, then Docker; which is there, and how it is called.

Podman is preferred where both are: it gives a container a way to this machine's loopback, and no root.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.base.processes import Completed, run
from blumeops.engines.local.programs.found import Missing
from blumeops.engines.local.programs.image import Dialect

VARIABLES = (
    "PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS",
    "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF", "CONTAINER_HOST", "REGISTRY_AUTH_FILE",
    "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip
"""What the runtimes' clients read of the environment: where images are kept, and how a registry is reached."""
ANSWER = 10.0
"""Seconds in which a runtime that works has answered."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime that answers. `words`: how it is called."""

    dialect: Dialect
    words: tuple[str, ...]

    def ask(self, *words: str, seconds: float = ANSWER) -> Completed:
        """Run one of its commands to its end."""
        return run((*self.words, *words), env=environment(), seconds=seconds)


def environment() -> dict[str, str]:
    """What a client gets of our environment."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def find() -> Runtime | Missing:
    """The runtime that containers of this machine run by, or why there is none and the command that gets one."""
    reasons = []
    dialects: tuple[Dialect, ...] = ("podman", "docker")
    for dialect in dialects:
        program = shutil.which(dialect)
        if not program:
            continue
        found = _answering(dialect, program)
        if isinstance(found, Runtime):
            return found
        reasons.append(found)
    if reasons:
        return reasons[0]
    command = "brew install podman && podman machine init --now" if macos() else "sudo apt-get install podman"
    return Missing("neither Podman nor Docker is here", command)


def macos() -> bool:
    """Whether containers run in a virtual machine, behind the client."""
    return sys.platform == "darwin"


def limits() -> Mapping[str, int]:
    """The limits that a process of ours may have, by their names in `--ulimit`: Podman would ask for more, and where
    we may not raise our own, no container would start. Podman has lowered the second one for itself."""
    processes = _hard(resource.RLIMIT_NPROC, 4194304)
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
        processes = min(processes, int(file.read()))
    return {"nofile": _hard(resource.RLIMIT_NOFILE, 1048576), "nproc": processes}


def _hard(which: int, most: int) -> int:
    hard = resource.getrlimit(which)[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def _answering(dialect: Dialect, program: str) -> Runtime | Missing:
    name = dialect.title()
    words = (program, *(_runc() if dialect == "podman" else ()))
    runtime = Runtime(dialect, words)
    question = ("info", "--format", "{{.Host.OCIRuntime.Name}}" if dialect == "podman" else "{{.ServerVersion}}")
    try:
        done = runtime.ask(*question)
    except BlumeError as error:
        return Missing(f"{name} does not answer: {error.message}")
    if done.code == 0 and done.stdout.strip():
        if dialect == "podman" and not macos() and not network():
            return Missing("Podman lacks slirp4netns, by which its containers reach this machine", INSTALL_NETWORK)
        return runtime
    start = {"podman": "podman machine start", "docker": "open -a Docker"} if macos() else {
        "podman": "podman info", "docker": "sudo systemctl start docker"}  # fmt: skip
    return Missing(f"{name} is here but does not run: {done.words[:200]}", start[dialect])


def _runc() -> tuple[str, ...]:
    """crun needs control groups that are wholly of version 2; where they are not, runc is taken if it is there."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return () if macos() or unified or not shutil.which("runc") else ("--runtime", "runc")


INSTALL_NETWORK = "sudo apt-get install slirp4netns"


def network() -> str:
    """Podman's network of one container, from within which this machine's loopback is GATEWAY; empty: there is none.

    https://docs.podman.io/en/stable/markdown/podman-run.1.html: the words for pasta are those that make it like
    slirp4netns. It serves containers without root only.
    """
    if shutil.which("slirp4netns"):
        return "slirp4netns:allow_host_loopback=true"
    if shutil.which("pasta") and os.geteuid() != 0:
        return f"pasta:-a,10.0.2.0,-n,24,-g,{GATEWAY},--dns-forward,10.0.2.3,--map-gw"
    return ""


GATEWAY = "10.0.2.2"
"""This machine's loopback, from within a container of Podman on Linux."""
