"""The tasks of a role, in their order: what `install` says; folders and files; what must be there before the first
start; then restart or reload what has changed, start what is stopped, and see that it works.

Each task can be run again and again. In check mode none needs what an earlier one would have made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from blumeops.facts import parts
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import Text
from blumeops.render.ansible import images
from blumeops.render.ansible.backups import KEY
from blumeops.render.ansible.contained import contained, speaker
from blumeops.render.ansible.podman import CLIENTS_FILE
from blumeops.render.ansible.role import Role, arguments
from blumeops.render.ansible.speak import LOOPBACK, config_name, has_secret, variable
from blumeops.render.ansible.words import in_variable, quoted

Task = dict[str, Any]

LINUX = "ansible_facts['system'] == 'Linux'"
MACOS = "ansible_facts['system'] == 'Darwin'"
REALLY = "not ansible_check_mode"
"""For what runs as an account, or asks a service, that is not there yet in check mode."""


def main(role: Role) -> Iterator[Task]:
    """tasks/main.yml."""
    yield {
        "name": "Take the paths of this system",
        "ansible.builtin.include_vars": "{{ ansible_facts['system'] | lower }}.yml",
    }
    yield {"name": "Set up on Linux", "ansible.builtin.import_tasks": "linux.yml", "when": LINUX}
    if not role.contained:
        yield {"name": "Set up on macOS", "ansible.builtin.import_tasks": "macos.yml", "when": MACOS}
    yield from _folders(role)
    yield from _secret_files(role)
    yield from _key(role)
    for file, text in role.config.items():
        name, then = config_name(file), "Reload" if role.reload else "Restart"
        readers = {} if role.contained else {"owner": role.var("owner"), "group": role.var("group")}
        mode = "0600" if role.contained and has_secret([text]) else role.var("mode")
        yield _template(role, name, f"{name}.j2", f"{role.var('etc')}/{name}", mode, [text], readers, then)
    owner, env = {"owner": role.var("owner")}, role.env.values()
    yield _template(role, "the environment", "env.j2", f"{role.var('etc')}/env", "0600", env, owner)
    if role.contained:
        path = f"{role.var('etc')}/{CLIENTS_FILE}"
        yield _template(role, "what is not for Podman itself", f"{CLIENTS_FILE}.j2", path, "0600", env, owner)
    yield from _init(role)
    for user in role.grants:
        if user is role.service:
            yield from _grant(role, user)
    yield {"name": "Restart or reload now what has changed", "ansible.builtin.meta": "flush_handlers"}
    yield from _start(role)
    yield from _health(role)
    for user in role.grants:
        if user is not role.service:
            yield from _grant(role, user)


def as_itself(role: Role) -> dict[str, Any]:
    """Keywords by which a task runs one of the program's own commands as its user, in its environment."""
    path = {"PATH": role.var("path")}
    both = f"{{{{ {role.name_of('env')} | combine({{'PATH': {role.name_of('path')}}}) }}}}"
    hidden = {"no_log": True} if has_secret(role.env.values()) else {}
    user = {"become": role.var("become"), "become_user": role.var("user")}
    if role.contained:  # Podman is asked, and the container has its environment
        return {"become": role.var("become"), "environment": path}
    return {**user, "environment": both if role.env else path, **hidden}


def forgiving(role: Role, what: str) -> Mapping[str, str]:
    """Keywords for a task about a unit: in check mode one that would have been written is not there."""
    result = role.name_of(what)
    return {"register": result, "failed_when": f"{result} is failed and {REALLY}"}


def unit(role: Role, what: str, source: str, path: str) -> Task:
    """Writes a file by which the host keeps it running."""
    words = [*role.wiring.command, *role.wiring.arguments, *role.reload]
    return _template(role, what, source, path, "0600" if has_secret(words) else "0644", words, {})


def _template(
    role: Role, what: str, source: str, path: str, mode: str, texts: Iterable[Text], owner: Mapping[str, str],
    then: str = "Restart",
) -> Task:  # fmt: skip
    return {
        "name": f"Write {what}",
        "ansible.builtin.template": {"src": source, "dest": path, **owner, "mode": mode},
        **({"no_log": True} if has_secret(texts) else {}),
        "notify": f"{then} {role.name}",
    }


def _folders(role: Role) -> Iterator[Task]:
    yield {
        "name": "Make the folder of its configuration",
        "ansible.builtin.file": {
            "path": role.var("etc"),
            "state": "directory",
            "owner": role.var("owner"),
            "mode": "0755",
        },
    }
    owner = {} if role.contained else {"owner": role.var("owner")}  # each start makes it the image's user's
    for folder in sorted({name.rpartition("/")[0] for name in role.config if "/" in name}):
        yield {
            "name": f"Make the folder {folder}",
            "ansible.builtin.file": {
                "path": f"{role.var('etc')}/{folder}", "state": "directory", **owner, "mode": "0755",
            },
        }  # fmt: skip
    told = role.app.metrics.folder if role.app.metrics else None
    if told:  # its parent is made with it, and must let the collector through
        path = in_variable((role.say.own("state", told),))
        yield {
            "name": "Make the folder of its files of metrics, which a collector reads",
            "ansible.builtin.file": {"path": "{{ item }}", "state": "directory", **_own(role, "0755")},
            "loop": [f"{{{{ {role.name_of('state')}[{quoted(told)}] | dirname }}}}", path],
        }
    if role.contained:
        yield from images.folders(role)
        return
    folders = [in_variable((role.say.own("state", folder),)) for folder in role.folders if folder != told]
    if role.secret_files:
        folders.append(role.var("etc") + "/secrets")
    if folders:
        yield {
            "name": "Make the folders that are its own",
            "ansible.builtin.file": {"path": "{{ item }}", "state": "directory", **_own(role, "0700")},
            "loop": folders,
        }


def _own(role: Role, mode: str) -> dict[str, str]:
    return {"owner": role.var("user"), "group": role.var("group"), "mode": mode}


def _secret_files(role: Role) -> Iterator[Task]:
    whose = {"mode": "0600"} if role.contained else _own(role, "0600")  # each start makes them the image's user's
    for name, reference in role.secret_files.items():
        content = in_variable(role.say((parts.SecretValue(reference),)))
        path = f"{role.var('etc')}/secrets/{name}"
        yield {
            "name": f"Write the secret {name}",
            "ansible.builtin.copy": {"content": content, "dest": path, **whose},
            "no_log": True,
            "notify": f"Restart {role.name}",
        }


def _key(role: Role) -> Iterator[Task]:
    """The key by which backups reach their share: made where it is used, and told once to whoever runs the play."""
    if not role.backups.by_ssh:
        return
    path = f"{in_variable((role.say.own('state', 'data'),))}/{KEY}"
    comment = f"{role.name}@{role.service.service.host}"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
    yield {
        "name": "Make the key by which it reaches the share",
        "ansible.builtin.command": {"argv": argv, "creates": path},
        "become": role.var("become"),
        "become_user": role.var("user"),
        "when": REALLY,
        "notify": f"Say who must let {role.name} in",
    }


def _init(role: Role) -> Iterator[Task]:
    if role.wiring.init_command and not role.contained:  # its unit does that
        creates = in_variable(role.say(role.wiring.init_creates))
        yield {
            "name": "Prepare its state",
            "ansible.builtin.command": {**role.argv(role.wiring.init_command), "creates": creates},
            **as_itself(role),
            "when": REALLY,
        }


def _grant(role: Role, user: ServiceFacts) -> Iterator[Task]:
    """Make the database of `user` with the provider's own programs, as the provider's account, where it runs."""
    assert user.database
    provider = role.checked.facts.services[user.database.provider]
    host, wiring, result = provider.service.host or "", user.wiring, role.name_of("grant")
    say, inside = speaker(role.checked, provider, role.secrets), contained(role.checked, provider)
    stdin: Task = {}
    if wiring.grant_stdin:
        template = quoted(stdin_template(role, wiring.grant_stdin))
        stdin = {"stdin": f"{{{{ lookup('ansible.builtin.template', {template}) }}}}", "stdin_add_newline": False}
    if provider is not role.service:
        system = "darwin" if role.lab.settings.hosts[host].os == "macos" else "linux"
        yield {
            "name": f"Take the paths of {provider.name}",
            "ansible.builtin.include_vars": f"{{{{ role_path }}}}/../{provider.name}/vars/{system}.yml",
        }

    def theirs(name: str) -> str:
        return f"{{{{ {variable(provider.name, name)} }}}}"

    env = {name: in_variable(say(text)) for name, text in wiring.grant_env.items()}
    command = arguments(say, wiring.grant_command)
    if inside:
        command["argv"] = [*images.exec_words(role.lab, provider, env), *command["argv"]]
    yield {
        "name": f"Make the database of {user.name} in {provider.name}",
        "ansible.builtin.command": {**command, **stdin},
        **({"delegate_to": host} if host != role.service.service.host else {}),
        "become": theirs("become"),
        **({} if inside else {"become_user": theirs("user")}),
        "environment": {"PATH": theirs("path"), **env},
        "register": result,
        "changed_when": f"'changed' in {result}.stdout",
        "no_log": True,
        "when": REALLY,
    }


def stdin_template(role: Role, text: str) -> str:
    """The name of the template that is `text`, which a grant's command reads."""
    return f"grant{role.stdins.index(text) or ''}.j2"


def _start(role: Role) -> Iterator[Task]:
    loaded = role.name_of("loaded")
    yield {
        "name": f"Start {role.unit}, now and at boot",
        "ansible.builtin.systemd_service": {"name": role.unit, "state": "started", "enabled": True},
        **forgiving(role, "start"),
        "when": LINUX,
    }
    if role.contained:
        return
    yield {
        "name": "Ask launchd whether it is loaded",
        "ansible.builtin.command": {"argv": ["launchctl", "print", f"{role.var('domain')}/{role.var('label')}"]},
        "register": loaded,
        "changed_when": False,
        "failed_when": False,
        "check_mode": False,
        "when": MACOS,
    }
    yield {
        "name": "Load it into launchd",
        "ansible.builtin.command": {"argv": ["launchctl", "bootstrap", role.var("domain"), role.var("plist")]},
        "changed_when": True,
        "when": [MACOS, f"{loaded}.rc != 0"],
    }


def _health(role: Role) -> Iterator[Task]:
    health, result = role.health, role.name_of("health")
    if health is None:
        return
    seconds = max(1, round(health.within))
    task: Task = {"name": "See that it works"}
    tries = {"register": result, "until": f"{result} is not failed", "retries": seconds, "delay": 1}
    if health.http:
        url = in_variable((f"http://{LOOPBACK}:{role.service.ports[health.port].port}{health.http}",))
        task |= {"ansible.builtin.uri": {"url": url, "follow_redirects": "none"}, **tries}
        task["failed_when"] = f"{result}.status < 200 or {result}.status >= 400"
    elif health.tcp:
        number = role.service.ports[health.tcp].port
        task["ansible.builtin.wait_for"] = {"host": LOOPBACK, "port": number, "timeout": seconds}
    else:
        command = role.argv(role.wiring.health_command)
        if role.contained:
            command["argv"] = [*images.exec_words(role.lab, role.service), *command["argv"]]
        task |= {"ansible.builtin.command": command, **as_itself(role), **tries}
        task["changed_when"] = False
    yield {**task, "when": REALLY}
