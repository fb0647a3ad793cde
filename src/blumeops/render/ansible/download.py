"""The tasks that download a release: verified by its SHA-256, unpacked once, first on the program's PATH.

They belong to `tasks/linux.yml` and `tasks/macos.yml`. In check mode what is not downloaded is not unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blumeops.render.ansible.role import Role

Task = dict[str, Any]

REALLY = "not ansible_check_mode"
FILE = ".download"
"""The archive, kept beside what came out of it: so it is downloaded once."""


def tasks(role: Role, system: str) -> Iterator[Task]:
    """For one system, whose release the role has."""
    release, name = role.releases[system], role.name_of("download")
    home, folder, program = (f"{{{{ {name}.{field} }}}}" for field in ("home", "folder", "program"))
    bare = release.archive == "none"
    yield {
        "name": "See that there is a download for this machine",
        "ansible.builtin.assert": {
            "that": [f"('{system}-' ~ {role.name_of('architecture')}) in {role.name_of('downloads')}"],
            "fail_msg": f"{role.app.app} names no SHA-256 of a download for this processor",
        },
    }
    yield {
        "name": "Make the folder of the program",
        "ansible.builtin.file": {"path": home, "state": "directory", "mode": "0755"},
    }
    yield {
        "name": f"Download {role.app.app}",
        "ansible.builtin.get_url": {
            "url": f"{{{{ {name}.url }}}}", "checksum": f"sha256:{{{{ {name}.sha256 }}}}",
            "dest": f"{home}/{release.program if bare else FILE}", "mode": "0755" if bare else "0644",
        },
        "when": REALLY,
        "notify": f"Restart {role.name}",
    }  # fmt: skip
    if bare:
        return
    if system == "linux":
        if release.archive == "zip":
            yield {
                "name": "Have what unpacks it",
                "ansible.builtin.package": {"name": "unzip", "state": "present"},
            }
        yield {
            "name": "Unpack it",
            "ansible.builtin.unarchive": {
                "src": f"{home}/{FILE}", "dest": home, "remote_src": True, "owner": "root", "group": "root",
                "creates": f"{folder}/{program}",
            },
            "when": REALLY,
            "notify": f"Restart {role.name}",
        }  # fmt: skip
    else:  # the module wants GNU's tar
        yield {
            "name": "Unpack it",
            "ansible.builtin.command": {
                "argv": ["bsdtar", "-xf", f"{home}/{FILE}", "-C", home], "creates": f"{folder}/{program}",
            },
            "notify": f"Restart {role.name}",
        }  # fmt: skip
    yield {
        "name": "Let it be run",
        "ansible.builtin.file": {"path": f"{folder}/{program}", "mode": "0755"},
        "when": REALLY,
    }
    if release.linked:
        yield {
            "name": f"Call it {release.program}",
            "ansible.builtin.file": {"src": program, "dest": f"{folder}/{release.program}", "state": "link"},
            "when": REALLY,
        }
