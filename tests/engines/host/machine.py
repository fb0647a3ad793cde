"""TestHost: a Debian host with systemd as PID 1 and sshd, for as long as a `with` block lasts.

In: an image (rootfs.py). Out: a host that is up and lets root and `ops` in by key. Promised: it is in namespaces
of its own and cannot change this machine's settings, clock, modules, disks or network; and when the block
ends, by an error too, no process, mount, network namespace, cgroup or file of it is left. When this process
is killed outright, its hosts are killed with it; an empty cgroup stays until the next host is started.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from . import playbook
from .network import LOOPBACK, Network, NoNetwork, network
from .programs import NAMESPACES, bound, cgroup_mount
from .rootfs import USER, Image, image
from .seed import know, make_keys, plant

BOOT = Path(__file__).with_name("boot.sh")
SSH_PORT = 22


class NotBooted(Exception):
    """The host did not come up. The text is what it said."""


class CommandFailed(AssertionError):
    """A command on the host failed that was not meant to. The text has all its output."""


class TestHost:
    """One disposable host: `with TestHost() as host: host.run(["systemctl", "status"])`."""

    __test__ = False  # the name is not that of a test class

    address = LOOPBACK
    """Where sshd is reached, with `port`. Other ports: `forward()`."""

    def __init__(self, hostname: str = "testhost", cache: Path | None = None) -> None:
        """Nothing is done before the block is entered. `cache` is for tests of the image itself."""
        self.hostname = hostname
        self.port = 0
        self.pid = 0  # of the host's systemd, as this machine counts
        self._cache = cache
        self._stack = ExitStack()

    def __enter__(self) -> TestHost:
        """Boot. Raises NotMade, NotBooted or NoNetwork; `programs.obstacle()` tells beforehand."""
        with ExitStack() as stack:
            base = stack.enter_context(image(datetime.now(UTC).date(), self._cache))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blumeops-host-")))
            self.folder = folder
            self._keys = make_keys(folder)
            plant(folder / "seed/root", base.root, self.hostname, self._keys)
            cgroup = stack.enter_context(_cgroup())
            self._network = stack.enter_context(self._booted(base, folder, cgroup))
            self.port = self._network.forward(SSH_PORT)
            know(self._keys, self.address, self.port)
            stack.callback(self._hang_up)
            # From here on each user's connection is shared, so that no test starts a process that outlives it.
            for user in ("root", USER):
                self.run(["true"], user=user)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once, as if the power were cut: nobody will look at its disk again."""
        self._stack.close()

    @property
    def ssh_args(self) -> list[str]:
        """Options for ssh and scp, without address and port; connections are shared and kept."""
        options = {
            "IdentityFile": self._keys.private,
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "UserKnownHostsFile": self._keys.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "ControlMaster": "auto",
            "ControlPersist": "yes",
            "ControlPath": self.folder / "ssh-%r",
        }
        return ["-F", "/dev/null", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,  # noqa: A002 - subprocess's word
        user: str = "root",
        seconds: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host over SSH. Raises CommandFailed when it fails, unless told not to `check`."""
        command = ["ssh", *self.ssh_args, "-p", str(self.port), f"{user}@{self.address}", "--", shlex.join(argv)]
        done = subprocess.run(command, input=input or "", capture_output=True, text=True, timeout=seconds, check=False)
        if check and done.returncode:
            said = f"{done.stdout}{done.stderr}".strip()
            raise CommandFailed(f"{shlex.join(argv)} ended with {done.returncode} on {self.hostname}:\n{said}")
        return done

    def forward(self, port: int) -> int:
        """The port of this machine's loopback that now leads to TCP `port` of the host; see Network.forward."""
        return self._network.forward(port)

    def inventory_vars(self, user: str = "root") -> dict[str, object]:
        """Ansible's variables for reaching the host; as `ops` a play has to `become`."""
        return {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self._keys.private),
            "ansible_ssh_common_args": shlex.join(self.ssh_args),
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def ansible_playbook(
        self,
        playbook_path: Path,
        inventory_path: Path | None = None,
        *args: str,
        extra_vars: Mapping[str, object] | None = None,
        check: bool = True,
        seconds: float = 600,
    ) -> playbook.Result:
        """Run the real ansible-playbook; see playbook.run.

        Without an inventory the host is all there is, under its host name. With one, the inventory or
        `extra_vars` must bring what `inventory_vars()` says.
        """
        if inventory_path is None:
            inventory_path = self.folder / "inventory.yaml"
            playbook.write_inventory(inventory_path, {self.hostname: self.inventory_vars()})
        return playbook.run(
            playbook_path, inventory_path, *args, home=self.folder, extra_vars=extra_vars, check=check, seconds=seconds
        )

    @contextmanager
    def _booted(self, base: Image, folder: Path, cgroup: Path) -> Iterator[Network]:
        scratch = folder / "root"
        scratch.mkdir()
        enter: list[str | Path] = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', cgroup]
        argv: list[str | Path] = [
            *enter,
            "unshare",
            *NAMESPACES,
            "--fork",
            "--kill-child",
            "sh",
            BOOT,
            base.root,
            scratch,
            folder / "seed",
        ]
        with ExitStack() as stack:
            listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            listening.bind(str(folder / "seed/notify"))
            log = stack.enter_context((folder / "boot.log").open("w+"))
            process = stack.enter_context(
                subprocess.Popen(bound(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
            )
            stack.callback(self._end, process)
            assert process.stdout is not None
            # Not before it is in its namespaces, or the network would be set up in this machine's.
            if process.stdout.readline() != b"entered\n":
                process.wait()
                raise NotBooted((folder / "boot.log").read_text())
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            self.pid = int(children or 0)  # none when it has ended already
            try:
                running = stack.enter_context(network(process.pid, folder, base.programs))
            except NoNetwork as error:  # as like as not because there is no host any more
                raise NotBooted(f"{(folder / 'boot.log').read_text()}{error}") from error
            if not _said_ready(listening, process):
                raise NotBooted((folder / "boot.log").read_text() + self._journal())
            # systemd goes on telling of every reload, and once nobody reads would wait for ever to be heard.
            listening.close()
            yield running

    def _journal(self) -> str:
        command = ["nsenter", "--target", str(self.pid), "--all", "journalctl", "--no-pager", "--lines=40"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        # The kernel ends all processes of a PID namespace with its PID 1. unshare waits for that and then ends
        # at once: while it runs, the number is still that of the host's systemd.
        if self.pid and process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        self.pid = 0

    def _hang_up(self) -> None:
        for shared in self.folder.glob("ssh-*"):
            command = ["ssh", "-F", "/dev/null", "-o", f"ControlPath={shared}", "-O", "exit", self.address]
            subprocess.run(command, capture_output=True, check=False, timeout=10)


def _said_ready(listening: socket.socket, process: subprocess.Popen[bytes], seconds: float = 60) -> bool:
    """Whether systemd says that it is up (sd_notify's READY=1) before it ends or the time is over."""
    listening.settimeout(0.5)  # between looks at whether it still runs
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with suppress(TimeoutError):
            if b"READY=1" in listening.recv(4096).split(b"\n"):
                return True
    return False


@contextmanager
def _cgroup() -> Iterator[Path]:
    """A cgroup for one host: its systemd takes it for the root of all."""
    mount = cgroup_mount()
    if mount is None:
        raise NotBooted("no cgroup2 file system is mounted")
    for old in mount.glob("blumeops-test-*"):
        if not Path("/proc", old.name.split("-")[2]).exists():  # of a run that was killed
            _remove(old)
    group = mount / f"blumeops-test-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """Remove a cgroup whose processes have ended, with those that systemd made in it."""
    for folder, _, _ in os.walk(group, topdown=False):
        Path(folder).rmdir()
