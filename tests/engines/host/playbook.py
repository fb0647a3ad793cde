"""The real ansible-playbook, run as a person would, and what its recap says.

In: a playbook and an inventory. Out: counts by host, and the tasks that changed something. Promised: neither the
configuration of whoever runs the tests nor their ~/.ansible has a part in it; an ansible.cfg beside the
playbook does.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \*+$")
_CHANGED = re.compile(r"^changed: \[([^]]*)\]")
_RECAP = re.compile(r"^(\S+)\s+:((?:\s+\w+=\d+)+)\s*$")


class PlaybookFailed(AssertionError):
    """ansible-playbook ended with an error. The text has all its output."""


@dataclass(frozen=True, slots=True)
class Recap:
    """One line of PLAY RECAP: how many tasks came out how on one host."""

    ok: int
    changed: int
    unreachable: int
    failed: int
    skipped: int
    rescued: int
    ignored: int


@dataclass(frozen=True, slots=True)
class Result:
    """How a run of ansible-playbook went. `changed_tasks` are names, handlers included, in order."""

    code: int
    stdout: str
    stderr: str
    hosts: Mapping[str, Recap]
    changed_tasks: tuple[str, ...]

    @property
    def changed(self) -> int:
        """Tasks that changed something, over all hosts."""
        return sum(recap.changed for recap in self.hosts.values())

    @property
    def failed(self) -> int:
        """Tasks that failed and hosts that were not reached, over all hosts."""
        return sum(recap.failed + recap.unreachable for recap in self.hosts.values())


def run(
    playbook: Path,
    inventory: Path,
    *args: str,
    home: Path,
    extra_vars: Mapping[str, object] | None = None,
    check: bool = True,
    seconds: float = 600,
) -> Result:
    """Run this environment's ansible-playbook, with `home` for its temporary files.

    Raises PlaybookFailed when it ends with an error, unless told not to `check`; subprocess.TimeoutExpired.
    """
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "--inventory", str(inventory)]
    if extra_vars:
        variables = home / "extra-vars.json"
        variables.write_text(json.dumps(extra_vars))  # in a file: arguments are seen by every user
        command += ["--extra-vars", f"@{variables}"]
    done = subprocess.run(
        [*command, *args, str(playbook)], env=_environment(playbook, home), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    if check and done.returncode:
        raise PlaybookFailed(f"{playbook.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    hosts, changed = parse(done.stdout)
    return Result(done.returncode, done.stdout, done.stderr, hosts, changed)


def write_inventory(path: Path, hosts: Mapping[str, Mapping[str, object]]) -> None:
    """Write an inventory of these hosts with their variables. JSON is YAML too."""
    path.write_text(json.dumps({"all": {"hosts": hosts}}))


def parse(output: str) -> tuple[dict[str, Recap], tuple[str, ...]]:
    """Read the default callback's output: the recap by host, and the names of tasks that changed something.

    The JSON callback is no longer part of ansible-core, hence the text for people.
    """
    body, _, recap = output.rpartition("\nPLAY RECAP ")
    hosts = {}
    for line in recap.splitlines():
        if match := _RECAP.match(line):
            counts = dict(pair.split("=") for pair in match[2].split())
            hosts[match[1]] = Recap(**{name: int(count) for name, count in counts.items()})
    task = ""
    changed: list[str] = []
    for line in body.splitlines():
        if match := _TASK.match(line):
            task = match[1]
        elif _CHANGED.match(line) and changed[-1:] != [task]:  # once, though it loops or has several hosts
            changed.append(task)
    return hosts, tuple(changed)


def _environment(playbook: Path, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    settings = playbook.parent / "ansible.cfg"
    if not settings.exists():
        settings = home / "ansible.cfg"  # an empty one, or Ansible would look for the person's
        settings.touch()
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(settings),
        "ANSIBLE_HOME": str(home / "ansible"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_LOCAL_TEMP": str(home / "ansible" / "tmp"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        # The connection's options come with the inventory; Ansible's own would overrule their sharing.
        "ANSIBLE_SSH_ARGS": "",
    }
