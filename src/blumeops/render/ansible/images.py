"""The tasks by which an image comes to its host: Podman, the image in its pinned form, its network, its folders' owner.

An image that is there is not pulled. In check mode nothing is pulled or handed over, and where the host does not know
yet as whom the image begins, that is taken to be root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from blumeops.facts.derive import ServiceFacts
from blumeops.lab.model import Lab
from blumeops.render.ansible.podman import Container, container_name, mapped, program
from blumeops.render.ansible.role import Role
from blumeops.render.ansible.speak import account
from blumeops.render.ansible.words import in_variable

Task = dict[str, Any]

REALLY = "not ansible_check_mode"
_HAND_OVER = 'podman create --replace "$@" && podman init "$0"; code=$?; podman rm --force --ignore "$0"; exit "$code"'
"""Podman itself looks up an image's user, by name or number, and gives it the folder: no program is started."""


def tasks(role: Role) -> Iterator[Task]:
    """What tasks/linux.yml has instead of an installation."""
    box, image = Container(role), role.var("image")
    there, asked = role.name_of("image_there"), {"changed_when": False, "check_mode": False}
    if box.devices:
        yield from _account(role, box)
    yield {
        "name": "Install what runs images",
        "ansible.builtin.apt": {
            "name": role.var("packages"), "state": "present", "update_cache": True, "cache_valid_time": 3600,
            "policy_rc_d": 101,
        },
    }  # fmt: skip
    yield {
        "name": "Look for the image",
        "ansible.builtin.command": {"argv": ["podman", "image", "exists", image]},
        "register": there,
        "failed_when": False,
        **asked,
    }
    yield {
        "name": "Pull the image",
        "ansible.builtin.command": {"argv": ["podman", "pull", "--quiet", image]},
        "changed_when": True,
        "when": f"{there}.rc != 0",
    }
    if role.uid is None and not box.devices:
        user = role.name_of("image_user")
        yield {
            "name": "Ask as whom it begins",
            "ansible.builtin.command": {
                "argv": ["podman", "image", "inspect", "--format", "{{ '{{.Config.User}}' }}", image],
            },
            "register": user,
            "failed_when": f"{user} is failed and {REALLY}",
            **asked,
        }  # fmt: skip
    if box.network:
        found = role.name_of("network_there")
        yield {
            "name": "Look for the network of its Compose file",
            "ansible.builtin.command": {"argv": ["podman", "network", "exists", box.network]},
            "register": found,
            "failed_when": False,
            **asked,
        }
        yield {
            "name": "Make the network",
            "ansible.builtin.command": {"argv": ["podman", "network", "create", box.network]},
            "changed_when": True,
            "when": f"{found}.rc != 0",
        }


def folders(role: Role) -> Iterator[Task]:
    """The folders that it keeps, and the one of its secrets. A folder is root's until it was handed over, once: what
    an image that begins as root makes of it stays as it is."""
    box = Container(role)
    if role.secret_files:
        yield _folder("Make the folder of its secrets", f"{role.var('etc')}/secrets", "0711")
    if not role.folders:
        return
    paths = [in_variable((role.say.own("state", folder),)) for folder in role.folders]
    yield _folder("Make the folder above its state", f"/var/lib/{role.name}", "0711")
    if box.devices:
        own = {"owner": role.var("user"), "group": role.var("group")}
        yield {**_folder("Make the folders that are its own", "{{ item }}", "0700", own), "loop": paths}
        return
    found, again = role.name_of("folders"), f"{box.name}-owner"
    yield {**_folder("Make the folders that it keeps", "{{ item }}", "0700"), "loop": paths}
    yield {
        "name": "See whose they are",
        "ansible.builtin.stat": {"path": "{{ item }}"},
        "loop": paths,
        "register": found,
    }
    uid = [] if role.uid is None else [f"--user={role.uid}:{role.uid}"]
    words = [in_variable(said) for said in (*mapped(), *program(role, role.wiring.command))]
    first, rest = words[:2], words[2:]
    entry = [f"--entrypoint={rest[0]}"] if rest else []
    yield {
        "name": "Give them to the user of the image",
        "ansible.builtin.command": {
            "argv": [
                "sh", "-c", _HAND_OVER, again, f"--name={again}", "--pull=never", "--network=none",
                "--cgroups=disabled", *first, *uid, "--mount=type=bind,src={{ item }},dst=/mnt,U=true", *entry,
                role.var("image"),
            ],
            "expand_argument_vars": False,
        },
        "loop": f"{{{{ {found}.results | selectattr('stat.exists') | selectattr('stat.uid', 'equalto', 0) "
        "| map(attribute='item') | list }}",
        "changed_when": True,
        "when": REALLY,
    }  # fmt: skip


def exec_words(lab: Lab, service: ServiceFacts, variables: Iterable[str] = ()) -> list[str]:
    """What begins a command in a service's container. `variables`: what it gets of the environment."""
    given = [f"--env={name}" for name in variables]
    return ["podman", "exec", "--interactive", *given, container_name(lab, service.name)]


def _folder(name: str, path: str, mode: str, owner: dict[str, str] | None = None) -> Task:
    return {"name": name, "ansible.builtin.file": {"path": path, "state": "directory", **(owner or {}), "mode": mode}}


def _account(role: Role, box: Container) -> Iterator[Task]:
    """With a device it runs as an account of its own, in the groups of the device."""
    own = account(role.name)
    yield {"name": "Make its group", "ansible.builtin.group": {"name": own, "system": True}}
    yield {
        "name": "Make its account",
        "ansible.builtin.user": {
            "name": own, "group": own, "system": True, "create_home": False, "home": f"/var/lib/{role.name}",
            "shell": "/usr/sbin/nologin",
        },
        "register": role.name_of("account"),
    }  # fmt: skip
    yield {
        "name": "Ask for the groups of its devices",
        "ansible.builtin.command": {
            "argv": ["find", *box.devices, "(", "-type", "c", "-o", "-type", "b", ")", "-printf", "%G "],
        },
        "register": role.name_of("devices"),
        "changed_when": False,
        "failed_when": False,
        "check_mode": False,
    }  # fmt: skip
