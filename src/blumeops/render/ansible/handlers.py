"""The handlers of a role: `Restart <service>` and, where the program can, `Reload <service>`.

A program that was just restarted has read its files: it is not told to reload them, and could not be yet.
"""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.render.ansible.backups import KEY
from blumeops.render.ansible.role import Role
from blumeops.render.ansible.tasks import LINUX, MACOS, Task, as_itself, forgiving
from blumeops.render.ansible.words import in_variable


def handlers(role: Role) -> Iterator[Task]:
    """handlers/main.yml."""
    topic, load = f"Restart {role.name}", role.name_of("load")
    yield {
        "name": f"Restart {role.unit}",
        "listen": topic,
        "ansible.builtin.systemd_service": {"name": role.unit, "state": "restarted", "daemon_reload": True},
        **forgiving(role, "restart"),
        "when": LINUX,
    }
    if role.contained:
        return
    # launchd reads a changed plist when it is loaded, and takes a moment to let go of the old one.
    yield {
        "name": f"Unload {role.name} from launchd",
        "listen": topic,
        "ansible.builtin.command": {"argv": ["launchctl", "bootout", f"{role.var('domain')}/{role.var('label')}"]},
        "changed_when": True,
        "failed_when": False,
        "when": MACOS,
    }
    yield {
        "name": f"Load {role.name} into launchd",
        "listen": topic,
        "ansible.builtin.command": {"argv": ["launchctl", "bootstrap", role.var("domain"), role.var("plist")]},
        "register": load,
        "until": f"{load} is not failed",
        "retries": max(10, round(role.app.stop.within)),
        "delay": 1,
        "changed_when": True,
        "when": MACOS,
    }
    if role.reload:
        yield from _reload(role)
    if role.backups.by_ssh:
        yield from _say_key(role)


def _reload(role: Role) -> Iterator[Task]:
    topic, restart, load = f"Reload {role.name}", role.name_of("restart"), role.name_of("load")
    yield {
        "name": f"Reload {role.name}.service",
        "listen": topic,
        "ansible.builtin.systemd_service": {"name": f"{role.name}.service", "state": "reloaded"},
        **forgiving(role, "reload"),
        "when": [LINUX, f"{restart} is not defined or {restart} is not changed"],
    }
    yield {
        "name": f"Have {role.name} reload",
        "listen": topic,
        "ansible.builtin.command": role.argv(role.reload),
        **as_itself(role),
        "changed_when": True,
        "when": [MACOS, f"{load} is not defined or {load} is not changed"],
    }


def _say_key(role: Role) -> Iterator[Task]:
    """The line of authorized_keys(5), once the key is new."""
    topic, key = f"Say who must let {role.name} in", role.name_of("public_key")
    path = f"{in_variable((role.say.own('state', 'data'),))}/{KEY}.pub"
    yield {
        "name": "Read the public key",
        "listen": topic,
        "ansible.builtin.slurp": {"src": path},
        "become": role.var("become"),
        "register": key,
    }
    told = in_variable((f"The account that keeps backups on {role.backups.device} needs in ~/.ssh/authorized_keys:",))
    yield {
        "name": "Tell the line that lets it in",
        "listen": topic,
        "ansible.builtin.debug": {
            "msg": [told, f"{in_variable((role.backups.restricted,))} {{{{ {key}.content | b64decode | trim }}}}"],
        },
    }
