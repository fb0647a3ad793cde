"""What making and running a test host needs, and what to say when it is not there.

Promised: nothing is installed on the machine. debootstrap and slirp4netns, when they are missing, are
downloaded as deb packages and unpacked into the cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from .sources import MIRROR_VARIABLE, mirrors, sources

NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--cgroup", "--pid")
PACKAGES = ("debootstrap", "debian-archive-keyring", "slirp4netns", "libslirp0")
_COMMANDS = ("unshare", "setpriv", "mount", "pivot_root", "apt-get", "apt-config", "dpkg-deb", "ssh", "ssh-keygen")


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs outside the base system, with the environment that they need."""

    slirp4netns: Path
    debootstrap: Path
    keyring: Path
    environment: Mapping[str, str]


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where images and unpacked programs live: outside the repository, shared by all checkouts."""
    if named := environment.get("BLUMEOPS_TEST_CACHE"):
        return Path(named) / "host"
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "blumeops-tests" / "host"


@once
def obstacle() -> str | None:
    """Why this machine cannot make a host of its own, in words for a person; None when it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "needs root on Linux to make a host of its own"
    if missing := [name for name in _COMMANDS if shutil.which(name) is None]:
        return f"needs {', '.join(missing)} to make a host of its own"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun (modprobe tun) to give a host its network"
    if cgroup_mount() is None:
        return "needs a cgroup2 file system, mounted anywhere, for a host's systemd"
    if mirrors(sources(), os.environ) is None:
        return f"needs a Debian mirror: none in the apt sources, and {MIRROR_VARIABLE} is not set"
    probe = subprocess.run(["unshare", *NAMESPACES, "--fork", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        return f"may not make namespaces here: {probe.stderr.strip()}"
    return None


def cgroup_mount() -> Path | None:
    """Where cgroup2 is mounted: /sys/fs/cgroup itself, or beside version 1 on a hybrid machine."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return None


def bound(argv: Sequence[str | Path]) -> list[str]:
    """The command, made to be killed when the thread that starts it ends, even by SIGKILL.

    Without it an interrupted test run would leave hosts behind.
    """
    return ["setpriv", "--pdeathsig", "KILL", *map(str, argv)]


def find_programs(cache: Path) -> Programs:
    """Take the machine's programs, or else those unpacked in `cache`; download them the first time.

    The caller holds the cache's lock. Raises CalledProcessError when apt cannot download.
    """
    names = ("debootstrap", "slirp4netns")
    installed = [Path(path) for name in names if (path := shutil.which(name))]
    keyring = Path("usr/share/keyrings/debian-archive-keyring.gpg")
    if len(installed) == len(names) and (Path("/") / keyring).exists():
        return Programs(
            debootstrap=installed[0], slirp4netns=installed[1], keyring="/" / keyring, environment=os.environ
        )
    root = cache / "programs"
    if not root.exists():
        _unpack(root)
    libraries = ":".join(str(folder) for folder in sorted((root / "usr/lib").glob("*-linux-gnu*")))
    return Programs(
        debootstrap=root / "usr/sbin/debootstrap",
        slirp4netns=root / "usr/bin/slirp4netns",
        keyring=root / keyring,
        environment={
            **os.environ,
            "LD_LIBRARY_PATH": libraries,
            "DEBOOTSTRAP_DIR": str(root / "usr/share/debootstrap"),
        },
    )


def _unpack(root: Path) -> None:
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    # As root apt downloads under a user of its own, who may not write here.
    download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
    if subprocess.run(download, cwd=part, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "-q", "update"], capture_output=True, check=True)
        subprocess.run(download, cwd=part, capture_output=True, check=True)
    for package in sorted(part.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, part], check=True)
        package.unlink()
    part.rename(root)
