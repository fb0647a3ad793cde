"""What stands around the roles: ansible.cfg, the inventory, and one playbook a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from blumeops.lab.settings import Host
from blumeops.render import yaml
from blumeops.render.ansible.speak import SECRETS, comment
from blumeops.render.ansible.words import in_variable

CONFIG = """\
[defaults]
inventory = inventory.yml
roles_path = roles

[ssh_connection]
# Also lets a task become an unprivileged user without files that others can read.
pipelining = True
"""


_RESULTS = "op_read.results | map(attribute='{}')"
_BY_REFERENCE = f"{{{{ dict({_RESULTS.format('item')} | zip({_RESULTS.format('stdout')})) }}}}"


def inventory(hosts: Mapping[str, Host]) -> str:
    """Every host by name, in a group of its system."""
    groups: dict[str, Any] = {}
    for name, host in hosts.items():
        reached = {"ansible_host": host.address} if host.address else None
        groups.setdefault(host.os, {"hosts": {}})["hosts"][name] = reached
    return f"# {comment('lab.yaml', 'its hosts')}\n---\n" + yaml.text({"all": {"children": groups}})


def playbook(
    host: str, system: str, roles: Sequence[str], secrets: Iterable[str], left: Mapping[str, str],
    variables: Mapping[str, Mapping[str, Any]],
) -> str:  # fmt: skip
    """The playbook of a host: its services in the order in which they start, each by its tag too.

    `left`: services that are not rendered, and why. `variables`: what roles of the lab's own are given, by role.
    """
    header = f"# {comment('lab.yaml', f'host {host}')}\n"
    header += "".join(f"# Not rendered yet: {name} ({why}).\n" for name, why in left.items())
    references = sorted(secrets)
    play: dict[str, Any] = {
        "name": f"Set up {host}", "hosts": host, "become": system != "macos", "gather_facts": True,
        "gather_subset": ["min"],
    }  # fmt: skip
    if references:
        play["vars"] = {SECRETS: _BY_REFERENCE}
        play["pre_tasks"] = [
            {
                "name": "Read the secrets, once, where ansible-playbook runs",
                "ansible.builtin.command": {
                    "argv": ["op", "read", "--no-newline", "{{ item }}"], "expand_argument_vars": False,
                    "strip_empty_ends": False,
                },
                "loop": [in_variable((reference,)) for reference in references],
                "delegate_to": "localhost",
                "become": False,
                "register": "op_read",
                "changed_when": False,
                "check_mode": False,
                "no_log": True,
                "tags": ["always"],
            }
        ]  # fmt: skip
    play["roles"] = [
        {"role": role, "tags": [role], **({"vars": dict(variables[role])} if role in variables else {})}
        for role in roles
    ]
    return header + "---\n" + yaml.listing([play])
