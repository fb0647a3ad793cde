"""The image: a Debian root file system with systemd and sshd, which test hosts lay their changes over.

In: this machine's mirror, apt settings and certificates. Out: a folder that nobody writes to. Promised: it is
complete or absent (made under another name, then renamed), one process makes it while others wait, and one
that is in use is not pruned. Remade each month, so that its package lists do not grow stale.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TextIO

from .programs import Programs, bound, cache_folder, find_programs
from .sources import Mirrors, apt_settings, local_certificates, mirrors, sources

SUITE = "trixie"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "python3", "python3-apt", "ca-certificates",
    "iproute2", "iputils-ping", "procps", "netbase",
)  # fmt: skip
USER = "ops"
SETTINGS_FILE = "etc/apt/apt.conf.d/90machine"
MASKED = (
    # These take apt's lock behind a role's back.
    "apt-daily.timer", "apt-daily-upgrade.timer",
    # These do nothing for a host that lives for a minute, or want the kernel to themselves.
    "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "console-getty.service",
    "getty.target", "dev-hugepages.mount", "sys-fs-fuse-connections.mount", "systemd-timesyncd.service",
    "ldconfig.service", "systemd-journal-catalog-update.service", "systemd-firstboot.service",
)  # fmt: skip


class NotMade(Exception):
    """The image could not be made. The text is the end of what the tool at fault printed."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what an image holds."""

    mirrors: Mirrors
    settings: str
    certificates: Mapping[str, bytes]

    def key(self, today: date) -> str:
        """The image's folder name: the suite, the month, a digest of what it is made from."""
        # This file is part of the recipe: an image made by an older one has another name.
        parts = [repr(self.mirrors), self.settings, repr(sorted(self.certificates.items())), Path(__file__).read_text()]
        return f"{SUITE}-{today:%Y-%m}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Image:
    """A root file system, and the programs of the cache that it lies in."""

    root: Path
    programs: Programs


@contextmanager
def image(today: date, cache: Path | None = None) -> Iterator[Image]:
    """An image for as long as the block lasts; making it takes a minute or two when there is none yet.

    Raises NotMade; `programs.obstacle()` tells beforehand what would be in the way.
    """
    where = cache or cache_folder()
    where.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = mirrors(sources(), os.environ)
    if found is None:
        raise NotMade("no Debian mirror is known")
    recipe = Recipe(found, apt_settings(), local_certificates())
    key = recipe.key(today)
    with ExitStack() as stack:
        with _locked(where / "programs.lock", fcntl.LOCK_EX):
            programs = find_programs(where)
        while True:
            # Shared by those who use the image, exclusive for who makes or prunes it. Going from one to the
            # other lets others in between, so look again.
            using = stack.enter_context(_locked(where / f"{key}.lock", fcntl.LOCK_SH))
            if (where / key).is_dir():
                break
            fcntl.flock(using, fcntl.LOCK_EX)
            if not (where / key).is_dir():
                _make(where, key, recipe, programs)
            fcntl.flock(using, fcntl.LOCK_UN)
        yield Image(where / key, programs)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[TextIO]:
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield file


def _make(where: Path, key: str, recipe: Recipe, programs: Programs) -> None:
    _prune(where, keep=key)
    part = where / f"{key}.part"
    shutil.rmtree(part, ignore_errors=True)
    _run(
        [programs.debootstrap, "--variant=minbase", f"--include={','.join(PACKAGES)}", f"--keyring={programs.keyring}",
         SUITE, part, recipe.mirrors.main],
        programs.environment,
    )  # fmt: skip
    _configure(part, recipe)
    for command in (
        "update-ca-certificates",
        f"useradd --create-home --shell /bin/bash {USER}",
        "apt-get -q update",
        "apt-get clean",
    ):
        inside: list[str | Path] = [
            "chroot",
            part,
            "/usr/bin/env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
        ]
        _run([*inside, *command.split()], os.environ)
    # Each host brings its own keys, names and resolver.
    for left in (*part.glob("etc/ssh/ssh_host_*"), part / "etc/hostname", part / "etc/resolv.conf"):
        left.unlink(missing_ok=True)
    part.rename(where / key)


def _configure(root: Path, recipe: Recipe) -> None:
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(recipe.mirrors.sources_list(SUITE))
    (root / SETTINGS_FILE).write_text(recipe.settings)
    for name, content in recipe.certificates.items():
        (root / "usr/local/share/ca-certificates" / name).write_bytes(content)
    for unit in MASKED:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    sudoers = root / "etc/sudoers.d" / USER
    sudoers.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)


def _run(argv: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    # In namespaces of its own: what it mounts inside the image ends with it, even when it is killed, and
    # nothing is mounted there by the time that an unfinished image is removed.
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
    done = subprocess.run(
        bound([*alone, *argv]), env=dict(environment), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise NotMade(f"{Path(argv[0]).name} ended with {done.returncode}:\n{tail}")


def _prune(where: Path, keep: str) -> None:
    """Remove the images of other months and recipes, and unfinished ones, unless somebody uses them."""
    for lock in where.glob(f"{SUITE}-*.lock"):
        if lock.stem == keep:
            continue
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            for folder in (lock.with_suffix(""), lock.with_suffix(".part")):
                shutil.rmtree(folder, ignore_errors=True)
