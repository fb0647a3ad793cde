"""Hosts, for Ansible: a checked lab becomes `ansible/`, which anybody runs with `ansible-playbook` alone.

ansible.cfg, inventory.yml, a playbook a host, a role a service and a minikube: what an operator would have written.
Nothing in it needs BlumeOps, nothing in it is secret: the playbook reads secrets with `op` when it runs. A change of a
service changes files of its own role only (and the playbook, when what is read or in which order changes).
"""

from __future__ import annotations

import re

from blumeops.base.errors import Bug
from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab
from blumeops.lab.model import WHAT_RUNS, Lab
from blumeops.render.ansible import clusters
from blumeops.render.ansible.contained import hindered, may_be
from blumeops.render.ansible.files import PLIST, role_files
from blumeops.render.ansible.own import own_role, rendered
from blumeops.render.ansible.playbook import CONFIG, inventory, playbook
from blumeops.render.ansible.role import Role
from blumeops.render.ansible.speak import comment

BECOMES = {
    "app": "nothing: the role has the service's name",
    "about": "the unit's description",
    "version": "the version of the Debian package, unless the source has its own; Homebrew's is what Homebrew has",
    "kind": "a unit that is kept up (`service`), or a timer of systemd, a calendar interval of launchd (`job`)",
    "sources": "`deb` by apt, `masks` masked, `bin` first on PATH; `brew` by Homebrew; or a `release`; "
    "a `wheel` into a virtual environment of Linux; there an image by Podman, where nothing else is; or it is there",
    "tools": "installed before: `deb` by apt, `brew` by Homebrew",
    "options": "the text where they are looked up",
    "ports": "the very number, on 127.0.0.1; on all addresses for an `entry` and for callers on other machines",
    "needs": "the order of the roles, and After= of the unit",
    "provides": "a task of the user's role, before its first start; `dump` and `restore` become nothing",
    "command": "ExecStart= of the systemd unit, the program of the launchd agent",
    "arguments": "what follows the image in ExecStart=",
    "init": "a task with `creates`; of an image ExecStartPre=",
    "reload": "ExecReload=, and a handler that runs when only files changed; a container is restarted",
    "loaded": "nothing: what was changed by hand stays until the playbook has the program reload, or restarts it",
    "env": "the file `env` (0600) beside the configuration, for systemd and sh alike",
    "files": "templates, in /etc/<service> or Homebrew's etc",
    "secrets": "read with `op read` by the playbook, into the environment or files of mode 0600",
    "health": "the last task of the role, tried until it works",
    "metrics": "a target of the Prometheus or the collector on the same host; a `folder` that this collector reads",
    "logs": "nothing: the journal, or a file in ~/Library/Logs; a collector there takes levels out by the format",
    "state": "folders in /var/lib/<service> or Homebrew's var; never removed",
    "samples": "nothing: a person puts real ones there",
    "update": "nothing: always a restart, the old one stops before the new one starts",
    "stop": "KillSignal= and TimeoutStopSec=; the agent's shell passes the signal on",
    "resources": "MemoryMax=; macOS has no such limit",
    "devices": "given to a container; a unit sees the devices that its user may use",
    "internet": "nothing: what runs on a host calls whom it likes",
}

_AT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def render(checked: CheckedLab) -> FileTree:
    """The folder `ansible/` of a lab."""
    lab, facts = checked.lab, checked.facts
    files = {
        "ansible.cfg": f"# {comment('lab.yaml', 'all hosts')}\n{CONFIG}",
        "inventory.yml": inventory(lab.settings.hosts),
    }
    copied: dict[str, bytes] = {}
    missing = left_out(checked)
    for host, entry in lab.settings.hosts.items():
        roles = [
            Role(checked, service, _time(lab))
            for service in facts.services.values()
            if service.service.host == host and rendered(checked, service)
        ]
        own = {
            service.name: own_role(checked, service)
            for service in facts.services.values()
            if service.service.host == host and service.name in lab.brought
        }
        names = own.keys() | {role.name for role in roles}
        made = [name for name in facts.services if name in names]
        left = {name: reason for name, reason in missing.items() if lab.services[name].host == host}
        for role in roles:
            files |= {f"roles/{role.name}/{path}": text for path, text in role_files(role).items()}
        for name, brought in own.items():
            copied |= {f"roles/{name}/{path}": text for path, text in brought.files.items()}
        for name, cluster in lab.settings.clusters.items():
            if cluster.host == host and cluster.kind == "minikube":
                called = clusters.role_name(name)
                made.append(called)  # last: what it pulls from is on its host
                own_files = clusters.role_files(lab.settings.lab, name, cluster, PLIST)
                files |= {f"roles/{called}/{path}": text for path, text in own_files.items()}
        if made or left:
            secrets = {reference for role in roles for reference in role.secrets}
            secrets |= {reference for role in own.values() for reference in role.secrets}
            variables = {name: role.variables for name, role in own.items() if role.variables}
            files[f"{host}.yml"] = playbook(host, entry.os, made, secrets, left, variables)
    whole = {path: text.encode() for path, text in files.items()} | copied
    return FileTree({f"ansible/{path}": text for path, text in whole.items()})


def left_out(checked: CheckedLab) -> dict[str, str]:
    """The services of hosts that have no role, and why."""
    lab, services = checked.lab, checked.facts.services
    return {
        name: _reason(checked, name)
        for name, service in lab.services.items()
        if service.host and name not in lab.brought and not (name in services and rendered(checked, services[name]))
    }


def _reason(checked: CheckedLab, name: str) -> str:
    service, facts = checked.lab.services[name], checked.facts.services
    if name in facts and may_be(facts[name]) and (reason := hindered(checked, facts[name])):
        return reason
    way = next((way for way in WHAT_RUNS if getattr(service, way) is not None), "app")
    return "its app has no command" if way == "app" else f"a service with `{way}:`"


def _time(lab: Lab) -> tuple[int, int]:
    """When jobs run: with the backups."""
    at = lab.settings.backup.at if lab.settings.backup else "02:00"
    if not (match := _AT.fullmatch(at)):
        raise Bug("BLU992", "backup.at", f"is no time of day: {at!r}", "write it as 02:00")
    return int(match[1]), int(match[2])
