"""A role becomes its files. Each begins with where it comes from, as a comment that its reader passes over."""

from __future__ import annotations

from blumeops.render import yaml
from blumeops.render.ansible import install, podman, tasks, units
from blumeops.render.ansible.handlers import handlers
from blumeops.render.ansible.role import Role
from blumeops.render.ansible.speak import comment, config_name
from blumeops.render.ansible.words import in_file

PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- {origin} -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
{content}</plist>
"""


def role_files(role: Role) -> dict[str, str]:
    """Every file of the role, by its path below the role's folder."""
    origin = comment(role.lab.service_files[role.name], f"service {role.name}")
    more, own = podman.Container(role).variables() if role.contained else ({}, {})
    documents = {
        "defaults/main.yml": yaml.text(more | role.defaults()),
        "vars/linux.yml": yaml.text(role.on_linux() | own),
        **({} if role.contained else {"vars/darwin.yml": yaml.text(role.on_macos())}),
        "tasks/main.yml": yaml.listing(tasks.main(role)),
        "tasks/linux.yml": yaml.listing(install.linux(role)),
        **({} if role.contained else {"tasks/macos.yml": yaml.listing(install.macos(role))}),
        "handlers/main.yml": yaml.listing(handlers(role)),
        "meta/main.yml": yaml.text(_meta(role)),
    }
    made = {path: f"# {origin}\n---\n{text}" for path, text in documents.items()}
    templates = {
        "env": units.env_template(role),
        "systemd.service": units.systemd_unit(role),
        **({"systemd.timer": units.systemd_timer(role)} if role.job else {}),
        **({podman.CLIENTS_FILE: podman.clients_file(role)} if role.contained else {}),
    }
    made |= {f"templates/{name}.j2": f"# {origin}\n{text}" for name, text in templates.items()}
    if not role.contained:
        made["templates/launchd.plist.j2"] = PLIST.format(origin=origin, content=units.launchd_plist(role))
    # Only Jinja's comments are comments in every file; they do not reach the host.
    whole = {f"{config_name(name)}.j2": role.say(text) for name, text in role.config.items()}
    whole |= {tasks.stdin_template(role, text): (text,) for text in role.stdins}
    made |= {f"templates/{name}": f"{{# {origin} #}}\n{in_file(said)}" for name, said in whole.items()}
    return made


def _meta(role: Role) -> dict[str, object]:
    about = {
        "author": "blumeops",
        "description": role.app.about or role.name,
        "license": "MIT",
        "min_ansible_version": "2.19",
    }
    return {"galaxy_info": about, "dependencies": []}
