"""The tasks that build a Caddy with the plugins that the lab's proxy has to have, where it runs.

No package brings them: for certificates by DNS, Caddy's documentation has it built by xcaddy. Go holds every module
against its checksum database, so the versions named here say which program comes out. The folder's name has a digest
of them: another version is built anew, and the same one never again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blumeops.render.ansible.role import Role

XCADDY = "github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5"
"""https://github.com/caddyserver/xcaddy"""


def tasks(role: Role, system: str) -> Iterator[dict[str, Any]]:
    """For one system, whose packages bring Go."""
    prefix, home, version = role.var("prefix"), role.var("build"), role.service.version
    if system == "linux":
        yield {
            "name": "Have Go, which builds it",
            "ansible.builtin.apt": {
                "name": ["golang-go", "ca-certificates"], "state": "present", "update_cache": True,
                "cache_valid_time": 3600,
            },
        }  # fmt: skip
    else:
        yield {
            "name": "Have Go, which builds it",
            "ansible.builtin.command": {"argv": [f"{prefix}/bin/brew", "install", "go"], "creates": f"{prefix}/opt/go"},
        }
    yield {
        "name": "Make the folder of the program",
        "ansible.builtin.file": {"path": home, "state": "directory", "mode": "0755"},
    }
    given = [word for plugin in role.plugins for word in ("--with", plugin)]
    yield {
        "name": f"Build {role.app.app} with its plugins, which takes minutes",
        "ansible.builtin.command": {
            "argv": ["go", "run", XCADDY, "build", f"v{version}", *given, "--output", f"{home}/caddy"],
            "creates": f"{home}/caddy",
        },
        # Debian's Go takes no newer one than itself unless it is told to.
        "environment": {"PATH": role.var("path"), "GOTOOLCHAIN": "auto", "CGO_ENABLED": "0"},
        "notify": f"Restart {role.name}",
    }  # fmt: skip
