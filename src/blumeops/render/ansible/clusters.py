"""A minikube as a role of its host: installed, started with what the lab says, and started again with the machine.

The role is called `cluster_NAME`, which no service can be. What is there already is left: minikube takes its size and
its network when a cluster is made, and a person deletes one to have it made anew. On Linux the program itself is a
person's to install: no Debian package brings it. https://minikube.sigs.k8s.io/docs/commands/start/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from blumeops.lab.settings import Cluster
from blumeops.render import yaml
from blumeops.render.ansible.role import PATH, PREFIX
from blumeops.render.ansible.speak import USER_FOLDER, comment
from blumeops.render.ansible.tasks import LINUX, MACOS, REALLY

_UNIT = """\
[Unit]
Description=The cluster {name}
Wants=network-online.target docker.service
After=network-online.target docker.service

[Service]
Type=oneshot
RemainAfterExit=true
Environment=HOME=/root
ExecStart={command}
ExecStop=minikube stop --profile {name}
TimeoutStartSec=15min

[Install]
WantedBy=multi-user.target
"""
_AGENT = """\
<dict>
  <key>Label</key>
  <string>{{{{ {role}_label | escape }}}}</string>
  <key>ProgramArguments</key>
  <array>
    <string>/bin/sh</string>
    <string>-c</string>
    <string>exec {command}</string>
  </array>
  <key>EnvironmentVariables</key>
  <dict><key>PATH</key><string>{{{{ {role}_path | escape }}}}</string></dict>
  <key>RunAtLoad</key>
  <true/>
  <key>StandardOutPath</key>
  <string>{{{{ {role}_log | escape }}}}</string>
  <key>StandardErrorPath</key>
  <string>{{{{ {role}_log | escape }}}}</string>
</dict>
"""


def role_name(cluster: str) -> str:
    """Of the role and, with one more `_`, of its variables."""
    return f"cluster_{cluster.replace('-', '_')}"


def role_files(lab: str, name: str, cluster: Cluster, plist: str) -> dict[str, str]:
    """Every file of the role, by its path below the role's folder. `plist`: what stands around a launchd agent."""
    role, origin = role_name(name), comment("lab.yaml", f"cluster {name}")
    home, prefix = f"{{{{ {USER_FOLDER} }}}}", f"{{{{ {role}_prefix }}}}"
    documents = {
        "defaults/main.yml": yaml.text({
            f"{role}_driver": "docker",
            f"{role}_start": [*_start(name, cluster), "--driver", f"{{{{ {role}_driver }}}}"],
        }),
        # Docker's driver wants to be told that root is meant.
        "vars/linux.yml": yaml.text({f"{role}_path": PATH, f"{role}_more": ["--force"]}),
        "vars/darwin.yml": yaml.text({
            f"{role}_prefix": PREFIX,
            f"{role}_path": f"{prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            f"{role}_more": [],
            f"{role}_label": f"{lab}.{role}",
            f"{role}_log": f"{home}/Library/Logs/{role}.log",
        }),
        "tasks/main.yml": yaml.listing(_main(role, name, cluster)),
        "tasks/linux.yml": yaml.listing(_linux(role)),
        "tasks/macos.yml": yaml.listing(_macos(role, f"{home}/Library/LaunchAgents/{lab}.{role}.plist")),
        "meta/main.yml": yaml.text({
            "galaxy_info": {
                "author": "blumeops", "description": f"The cluster {name}", "license": "MIT",
                "min_ansible_version": "2.19",
            },
            "dependencies": [],
        }),
    }  # fmt: skip
    made = {path: f"# {origin}\n---\n{text}" for path, text in documents.items()}
    again = f"{{{{ {role}_start | join(' ') }}}} {{{{ {role}_more | join(' ') }}}}"
    made["templates/systemd.service.j2"] = f"# {origin}\n{_UNIT.format(name=name, command=again)}"
    agent = _AGENT.format(role=role, command=again)
    made["templates/launchd.plist.j2"] = plist.format(origin=origin, content=agent)
    return made


def _start(name: str, cluster: Cluster) -> list[str]:
    """The command that makes the cluster, or starts it where it is there; the driver and `more` come behind it."""
    words = ["minikube", "start", "--profile", name]
    words += ["--cpus", str(cluster.cpus)] if cluster.cpus else []
    words += ["--memory", f"{cluster.memory // 2**20}mb"] if cluster.memory else []
    return [*words, "--cni", "calico"] if cluster.network_policies else words


def _main(role: str, name: str, cluster: Cluster) -> Iterator[Mapping[str, Any]]:
    there, works = f"{role}_there", f"{role}_works"
    path = {"PATH": f"{{{{ {role}_path }}}}"}
    asks = {"argv": ["minikube", "status", "--profile", name]}
    yield {
        "name": "Take the paths of this system",
        "ansible.builtin.include_vars": "{{ ansible_facts['system'] | lower }}.yml",
    }
    yield {"name": "Set up on Linux", "ansible.builtin.import_tasks": "linux.yml", "when": LINUX}
    yield {"name": "Set up on macOS", "ansible.builtin.import_tasks": "macos.yml", "when": MACOS}
    yield {
        "name": "Ask whether it runs",
        "ansible.builtin.command": asks,
        "environment": path,
        "register": there,
        "changed_when": False,
        "failed_when": False,
        "check_mode": False,
    }
    yield {
        "name": "Start it, which takes minutes the first time",
        "ansible.builtin.command": {
            "argv": f"{{{{ {role}_start + {role}_more }}}}",
        },
        "environment": path,
        "changed_when": True,
        "when": f"{there}.rc != 0",
    }
    yield {
        "name": "See that it works",
        "ansible.builtin.command": asks,
        "environment": path,
        "register": works,
        "until": f"{works}.rc == 0",
        "retries": 30,
        "delay": 5,
        "changed_when": False,
        "when": REALLY,
    }


def _linux(role: str) -> Iterator[Mapping[str, Any]]:
    yield {
        "name": "Have Docker, in which it runs",
        "ansible.builtin.apt": {
            "name": ["docker.io"], "state": "present", "update_cache": True, "cache_valid_time": 3600,
        },
        "when": f"{role}_driver == 'docker'",
    }  # fmt: skip
    yield {
        "name": "Look for the program, since no Debian package brings it",
        "ansible.builtin.command": {"argv": ["sh", "-c", "command -v minikube"], "expand_argument_vars": False},
        "environment": {"PATH": f"{{{{ {role}_path }}}}"},
        "changed_when": False,
        "check_mode": False,
    }
    yield {
        "name": "Write the unit that starts it with the machine",
        "ansible.builtin.template": {
            "src": "systemd.service.j2", "dest": f"/etc/systemd/system/{role}.service", "mode": "0644",
        },
    }  # fmt: skip
    yield {
        "name": "Have it started with the machine",
        "ansible.builtin.systemd_service": {"name": f"{role}.service", "enabled": True, "daemon_reload": True},
        "when": REALLY,
    }


def _macos(role: str, plist: str) -> Iterator[Mapping[str, Any]]:
    prefix = f"{{{{ {role}_prefix }}}}"
    for formula in ("minikube", "kubernetes-cli"):
        yield {
            "name": f"Install {formula}",
            "ansible.builtin.command": {
                "argv": [f"{prefix}/bin/brew", "install", formula], "creates": f"{prefix}/opt/{formula}",
            },
        }  # fmt: skip
    yield {
        "name": "Write the agent that starts it at login",
        "ansible.builtin.template": {"src": "launchd.plist.j2", "dest": plist, "mode": "0644"},
    }
