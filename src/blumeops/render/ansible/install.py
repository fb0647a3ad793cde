"""How the program comes to the host, with its account on Linux and the files by which the host keeps it running.

A proxy with plugins is built. Else, Linux: a Debian package, a release, a package of PyPI in a virtual environment, or
an image; macOS: Homebrew, or a release. Beside it come its tools, and for a maker of backups the clients of the
databases that it dumps.
"""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.render.ansible import build, download, images
from blumeops.render.ansible.role import ENVIRONMENTS, Role
from blumeops.render.ansible.speak import account
from blumeops.render.ansible.tasks import Task, unit
from blumeops.render.ansible.words import in_variable


def linux(role: Role) -> Iterator[Task]:
    """tasks/linux.yml."""
    if role.contained:
        yield from images.tasks(role)
        yield from _units(role)
        return
    own, deb = account(role.name), role.source("deb")
    yield {"name": "Make its group", "ansible.builtin.group": {"name": own, "system": True}}
    yield {
        "name": "Make its account",
        "ansible.builtin.user": {
            "name": own, "group": own, "system": True, "create_home": False, "home": f"/var/lib/{role.name}",
            "shell": "/usr/sbin/nologin",
        },
    }  # fmt: skip
    yield from _clients_on_linux(role)
    # The service's own unit takes the place of one that the package brings by the same name.
    if deb and (masks := [unit for unit in deb.masks if unit != f"{role.name}.service"]):
        yield {
            "name": "Keep the package's own units from starting",
            "ansible.builtin.systemd_service": {"name": "{{ item }}", "masked": True},
            "loop": masks,
        }
    if deb:
        yield {
            "name": f"Install {deb.name}",
            "ansible.builtin.apt": {
                "name": role.var("package"), "state": "present", "update_cache": True, "cache_valid_time": 3600,
                "allow_downgrade": True, "policy_rc_d": 101,  # nothing starts before its configuration is written
            },
            "notify": f"Restart {role.name}",
        }  # fmt: skip
    elif role.plugins:
        yield from build.tasks(role, "linux")
    elif "linux" in role.releases:
        yield from download.tasks(role, "linux")
    elif role.wheel:
        yield from _environment(role)
    else:
        yield _look_for(role, "Debian package")
    yield from _units(role)


def _units(role: Role) -> Iterator[Task]:
    yield unit(role, "the unit", "systemd.service.j2", f"/etc/systemd/system/{role.name}.service")
    if role.job:
        yield unit(role, "the timer", "systemd.timer.j2", f"/etc/systemd/system/{role.name}.timer")


def macos(role: Role) -> Iterator[Task]:
    """tasks/macos.yml."""
    yield from _others_on_macos(role)
    if brew := role.source("brew"):
        prefix, formula = role.var("prefix"), role.var("formula")
        installed = in_variable((brew.bin,)) if brew.bin else f"{prefix}/opt/{formula}"
        yield {
            "name": f"Install {brew.name}",
            "ansible.builtin.command": {"argv": [f"{prefix}/bin/brew", "install", formula], "creates": installed},
            "notify": f"Restart {role.name}",
        }
    elif role.plugins:
        yield from build.tasks(role, "darwin")
    elif "darwin" in role.releases:
        yield from download.tasks(role, "darwin")
    else:
        yield _look_for(role, "Homebrew formula")
    yield {
        "name": "Make the folder of its sockets",
        "ansible.builtin.file": {"path": role.var("run"), "state": "directory", "mode": "0700"},
    }
    yield unit(role, "the agent", "launchd.plist.j2", role.var("plist"))


def _apt(names: list[str]) -> Task:
    return {
        "ansible.builtin.apt": {
            "name": names, "state": "present", "update_cache": True, "cache_valid_time": 3600, "policy_rc_d": 101,
        },
    }  # fmt: skip


def _environment(role: Role) -> Iterator[Task]:
    """A virtual environment: Debian's own Python takes no packages beside its own."""
    yield {"name": "Have what makes virtual environments", **_apt(["python3-venv"])}
    yield {
        "name": f"Install {role.app.app} from PyPI",
        "ansible.builtin.pip": {
            "name": role.var("package"), "virtualenv": f"{ENVIRONMENTS}/{role.name}",
            "virtualenv_command": "/usr/bin/python3 -m venv",
        },
        "notify": f"Restart {role.name}",
    }  # fmt: skip


def _clients_on_linux(role: Role) -> Iterator[Task]:
    """Its tools; and the clients of databases, whose package brings a server too where none is on this host."""
    tools = [source.name for tool in role.app.tools.values() for source in tool.sources if source.deb]
    if role.backups.by_ssh:
        tools.append("openssh-client")
    if tools:
        yield {"name": "Install what it calls", **_apt(tools)}
    for provider, source in role.backups.clients:
        if source.deb is None or provider.service.host == role.service.service.host:
            continue
        if source.masks:
            yield {
                "name": f"Keep the units of {source.deb} from starting",
                "ansible.builtin.systemd_service": {"name": "{{ item }}", "masked": True},
                "loop": list(source.masks),
            }
        yield {"name": f"Install the clients of {provider.name}", **_apt([source.deb])}


def _others_on_macos(role: Role) -> Iterator[Task]:
    """Its tools and the clients of databases. Homebrew starts nothing by itself."""
    tools = [source.name for tool in role.app.tools.values() for source in tool.sources if source.brew]
    clients = [source.name for _, source in role.backups.clients if source.brew]
    for formula in dict.fromkeys((*tools, *clients)):
        prefix, name = role.var("prefix"), in_variable((formula,))
        yield {
            "name": f"Install {formula}, which it calls",
            "ansible.builtin.command": {
                "argv": [f"{prefix}/bin/brew", "install", name], "creates": f"{prefix}/opt/{name}",
            },
        }  # fmt: skip


def _look_for(role: Role, what: str) -> Task:
    program = in_variable(role.say(role.wiring.command[0]))
    return {
        "name": f"Look for the program, since no {what} brings it",
        "ansible.builtin.command": {"argv": ["sh", "-c", 'command -v "$0"', program], "expand_argument_vars": False},
        "environment": {"PATH": role.var("path")},
        "changed_when": False,
        "check_mode": False,
    }
