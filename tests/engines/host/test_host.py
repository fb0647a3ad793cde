"""The test hosts themselves: that they are real, disposable, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from . import machine
from .fixtures import MARKS, skip_without_means
from .machine import CommandFailed, TestHost
from .playbook import PlaybookFailed
from .programs import cgroup_mount

pytestmark = MARKS

PLAYBOOK = """
- hosts: all
  gather_facts: true
  tasks:
    - name: Install the web server
      ansible.builtin.apt: {name: caddy, update_cache: true, cache_valid_time: 3600}
    - name: Stop the unit that came with it
      ansible.builtin.systemd_service: {name: caddy.service, state: stopped, enabled: false}
    - name: Write a unit
      ansible.builtin.copy:
        dest: /etc/systemd/system/hello.service
        mode: "0644"
        content: |
          [Service]
          DynamicUser=yes
          StateDirectory=hello
          Environment=HOME=/var/lib/hello
          ExecStart=/usr/bin/caddy respond --listen :8080 --body "{{ greeting }}"
          [Install]
          WantedBy=multi-user.target
      notify: Restart hello
    - name: Enable and start it
      ansible.builtin.systemd_service: {name: hello.service, state: started, enabled: true, daemon_reload: true}
    - name: Have the handlers run
      ansible.builtin.meta: flush_handlers
    - name: Wait until it serves
      ansible.builtin.wait_for: {port: 8080, timeout: 20}
  handlers:
    - name: Restart hello
      ansible.builtin.systemd_service: {name: hello.service, state: restarted, daemon_reload: true}
"""

AS_ROOT = """
- hosts: web
  become: true
  tasks:
    - {ansible.builtin.command: id -un, register: who}
    - {ansible.builtin.assert: {that: who.stdout == "root"}}
"""

HOLD_A_HOST = """
import sys
from {package}.machine import TestHost
with TestHost() as host:
    print(host.pid, flush=True)
    sys.stdin.read()
"""


def test_a_host_boots_with_systemd_as_its_first_process(linux_host: TestHost) -> None:
    """PID 1 is systemd, nothing failed, and the name is the host's own."""
    assert linux_host.run(["cat", "/proc/1/comm"]).stdout == "systemd\n"
    assert linux_host.run(["systemctl", "is-system-running"], check=False).stdout.strip() in {"running", "degraded"}
    assert linux_host.run(["systemctl", "--failed", "--no-legend"]).stdout == ""
    assert linux_host.run(["hostname"]).stdout == "testhost\n"


def test_commands_keep_their_words_input_and_exit_code(linux_host: TestHost) -> None:
    """What goes over SSH is neither split nor expanded; a failure has the output in its message."""
    assert linux_host.run(["printf", "%s|", "a b", "$HOME", "*"]).stdout == "a b|$HOME|*|"
    assert linux_host.run(["cat"], input="line\n").stdout == "line\n"
    assert linux_host.run(["sh", "-c", "exit 7"], check=False).returncode == 7
    with pytest.raises(CommandFailed, match="ended with 2 on testhost:\nls: cannot access '/absent'"):
        linux_host.run(["ls", "/absent"])


def test_the_unprivileged_user_becomes_root_by_sudo(linux_host: TestHost) -> None:
    """`ops` logs in by the same key, and needs no password for sudo."""
    assert linux_host.run(["id", "-un"], user="ops").stdout == "ops\n"
    assert linux_host.run(["sudo", "-n", "id", "-un"], user="ops").stdout == "root\n"


def test_a_host_cannot_change_the_machine(linux_host: TestHost) -> None:
    """Root on the host may not set the machine's kernel parameters, clock or modules, nor open its disks."""
    for command in (
        ["sysctl", "-q", "-w", "kernel.panic=60"],
        ["date", "-s", "@0"],
        ["mknod", "/root/disk", "b", "254", "0"],
    ):
        assert linux_host.run(command, check=False).returncode != 0, command
    theirs = linux_host.run(["readlink", "/proc/self/ns/net"]).stdout.strip()
    assert theirs != str(Path("/proc/self/ns/net").readlink())


def test_a_playbook_installs_and_serves_and_then_changes_nothing(fresh_host: TestHost, tmp_path: Path) -> None:
    """A package from the mirror, a unit and a handler; the unit answers; a second run finds nothing to do."""
    playbook = tmp_path / "site.yaml"
    playbook.write_text(PLAYBOOK)
    variables = {"greeting": "hello from the host"}

    first = fresh_host.ansible_playbook(playbook, extra_vars=variables)
    assert "Install the web server" in first.changed_tasks
    assert first.changed_tasks[-1] == "Restart hello"
    assert first.failed == 0
    address = f"http://{fresh_host.address}:{fresh_host.forward(8080)}/"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.read() == b"hello from the host"

    second = fresh_host.ansible_playbook(playbook, extra_vars=variables)
    assert (second.changed, second.changed_tasks, list(second.hosts)) == (0, (), ["fresh"])


def test_a_play_as_the_unprivileged_user_becomes_root(linux_host: TestHost, tmp_path: Path) -> None:
    """The variables for `ops`, given to a run with an inventory of its own, let a play become root."""
    (tmp_path / "hosts").write_text("web\n")
    (tmp_path / "site.yaml").write_text(AS_ROOT)
    result = linux_host.ansible_playbook(
        tmp_path / "site.yaml", tmp_path / "hosts", extra_vars=linux_host.inventory_vars(user="ops")
    )
    assert result.hosts["web"].ok == 3


def test_a_failing_playbook_fails_with_its_output(linux_host: TestHost, tmp_path: Path) -> None:
    """A failing task raises with Ansible's own words, or is counted when failures are expected."""
    playbook = tmp_path / "site.yaml"
    playbook.write_text("[{hosts: all, gather_facts: false, tasks: [{fail: {msg: no such luck}}]}]")
    with pytest.raises(PlaybookFailed, match="no such luck"):
        linux_host.ansible_playbook(playbook)
    assert linux_host.ansible_playbook(playbook, check=False).failed == 1


def test_hosts_are_disposable_and_apart() -> None:
    """Two hosts at once share neither files nor ports, and what is written is gone with the host."""
    skip_without_means()
    with TestHost("one") as one, TestHost("two") as two:
        one.run(["touch", "/etc/mark"])
        assert two.run(["test", "-e", "/etc/mark"], check=False).returncode == 1
        assert one.port != two.port
        assert one.run(["cat", "/etc/machine-id"]).stdout != two.run(["cat", "/etc/machine-id"]).stdout
    with TestHost("one") as one:
        assert one.run(["test", "-e", "/etc/mark"], check=False).returncode == 1


def test_nothing_is_left_of_a_host() -> None:
    """After the block no process, mount, network namespace, cgroup or file of the host remains."""
    skip_without_means()
    with TestHost() as host:
        traces = Traces.of(host)
        assert traces.left()
    assert traces.left() == []


def test_nothing_is_left_of_a_host_after_an_error() -> None:
    """An error in the block, a failing test for one, changes nothing about that."""
    skip_without_means()
    host = TestHost()
    found = []

    def fail() -> None:
        with host:
            found.append(Traces.of(host))
            host.run(["false"])

    with pytest.raises(CommandFailed):
        fail()
    assert [traces.left() for traces in found] == [[]]


def test_a_host_that_does_not_boot_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the boot printed is in the error, be it over before or after the namespaces are there."""
    skip_without_means()
    script = tmp_path / "boot.sh"
    monkeypatch.setattr(machine, "BOOT", script)
    for text in ("echo no luck >&2", "echo entered; echo no luck >&2"):
        script.write_text(text)
        with pytest.raises(machine.NotBooted, match="no luck"):
            TestHost().__enter__()


def test_a_killed_test_run_takes_its_hosts_along() -> None:
    """SIGKILL to the process that holds a host ends the host; its cgroup goes when the next one starts."""
    skip_without_means()
    package = __package__ or ""
    above = Path(__file__).parents[package.count(".") + 1]
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(
        [sys.executable, "-c", HOLD_A_HOST.format(package=package)], cwd=above, text=True,
        env={**os.environ, "TMPDIR": folder}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        host = psutil.Process(int(run.stdout.readline()))
        children = psutil.Process(run.pid).children(recursive=True)
        assert host in children
        run.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []
    with TestHost():
        assert list(_cgroups(f"{run.pid}-*")) == []


@dataclass(frozen=True)
class Traces:
    """All that a running host has on this machine."""

    processes: list[psutil.Process]
    network: str
    cgroup: Path
    folder: Path

    @classmethod
    def of(cls, host: TestHost) -> Traces:
        """Look at a host while it runs."""
        # Other hosts may run besides: what is this one's is told by its cgroup and its folder.
        (cgroup,) = [
            group for group in _cgroups("*") if str(host.pid) in (group / "init.scope/cgroup.procs").read_text().split()
        ]
        # Those on the host, and those that serve it: unshare, slirp4netns, ssh's shared connections.
        inside = [int(pid) for file in cgroup.rglob("cgroup.procs") for pid in file.read_text().split()]
        serving = [process for process in psutil.process_iter() if str(host.folder) in " ".join(_cmdline(process))]
        assert len(inside) >= 3
        assert len(serving) >= 3
        network = str(Path(f"/proc/{host.pid}/ns/net").readlink())
        return cls([*map(psutil.Process, inside), *serving], network, cgroup, host.folder)

    def left(self) -> list[object]:
        """What of it is still there."""
        left: list[object] = [process for process in self.processes if _runs(process)]
        for process in Path("/proc").glob("[0-9]*/ns/net"):
            with suppress(OSError):  # ended meanwhile
                left += [process] if str(process.readlink()) == self.network else []
        left += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.folder) in line]
        return left + [path for path in (self.cgroup, self.folder) if path.exists()]


def _cgroups(which: str) -> list[Path]:
    mount = cgroup_mount()
    assert mount is not None
    return list(mount.glob(f"blumeops-test-{which}"))


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended; one that has, but that the machine's PID 1 has not looked at yet, does not run."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
