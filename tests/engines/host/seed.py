"""What makes one host different from another: its keys, its name, its resolver.

In: an empty folder, the image. Out: a tree of files to be copied over the image's, and the SSH client's side of
the keys. Promised: every host has keys of its own, which never leave the folder and the host.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from .network import GATEWAY, RESOLVER
from .rootfs import SETTINGS_FILE, USER
from .sources import seen_from_host


@dataclass(frozen=True, slots=True)
class Keys:
    """The files of an SSH client: its private key, and the host's public key as a known_hosts file."""

    private: Path
    known_hosts: Path


def make_keys(folder: Path) -> Keys:
    """Key pairs for the client and for the host, in `folder`."""
    for name in ("client", "host"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"test-{name}", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return Keys(folder / "client", folder / "known_hosts")


def know(keys: Keys, address: str, port: int) -> None:
    """Write down the host's key under the address by which it is reached."""
    public = keys.private.with_name("host.pub").read_text()
    keys.known_hosts.write_text(f"[{address}]:{port} {public}")


def plant(root: Path, image: Path, hostname: str, keys: Keys) -> None:
    """Write this host's own files below `root`, with the modes and owners that they have on the host."""
    client = keys.private.with_suffix(".pub").read_text()
    files = {
        "etc/hostname": f"{hostname}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n::1 localhost ip6-localhost\n",
        "etc/resolv.conf": f"nameserver {RESOLVER}\n",
        # Without one systemd takes this for the first boot and enables every unit by preset.
        "etc/machine-id": f"{uuid.uuid4().hex}\n",
        "etc/ssh/ssh_host_ed25519_key": keys.private.with_name("host").read_text(),
        "etc/ssh/ssh_host_ed25519_key.pub": keys.private.with_name("host.pub").read_text(),
        "root/.ssh/authorized_keys": client,
        f"home/{USER}/.ssh/authorized_keys": client,
        SETTINGS_FILE: seen_from_host((image / SETTINGS_FILE).read_text(), GATEWAY),
    }
    private = ("etc/ssh/ssh_host_ed25519_key", "root", "root/.ssh", f"home/{USER}/.ssh")
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    owner = (image / "home" / USER).stat()
    for path in (root, *root.rglob("*")):
        name = str(path.relative_to(root))
        # Copying the tree sets the modes of folders that the image already has, so they must be right.
        mode = 0o755 if path.is_dir() else 0o644
        path.chmod(mode & 0o700 if name in private else mode)
        if name.startswith(f"home/{USER}"):
            os.chown(path, owner.st_uid, owner.st_gid)
