"""One service becomes one Ansible role: what it is from its app alone, and only the paths differ by system.

Leaves: the role's files by path, relative to the role's folder, and the references of the secrets that its tasks read
from the play's variable. The order of the tasks: program, account and unit; folders and files; what must be
there before the first start; then restart or reload what changed, start what is stopped, and see that it works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from blumeops.checks.check import CheckedLab
from blumeops.facts import parts
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import Text
from blumeops.lab.app import AppSource
from blumeops.render.ansible import units, yaml
from blumeops.render.ansible.routes import TOKEN, routes
from blumeops.render.ansible.speak import LOOPBACK, Speaker, account, comment, config_name, has_secret, ports, variable
from blumeops.render.ansible.words import in_file, in_variable, quoted

LINUX = "ansible_facts['system'] == 'Linux'"
MACOS = "ansible_facts['system'] == 'Darwin'"
NOT_IN_CHECK = "not ansible_check_mode"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PREFIX = "{{ '/opt/homebrew' if ansible_facts['architecture'] == 'arm64' else '/usr/local' }}"
"""Where Homebrew lives: on Apple's processors, and on Intel's."""

Task = dict[str, Any]


class Role:
    """The role of one service."""

    def __init__(self, checked: CheckedLab, service: ServiceFacts, at: tuple[int, int]) -> None:
        """`at`: hour and minute at which jobs run."""
        self.checked, self.lab, self.facts, self.service, self.at = checked, checked.lab, checked.facts, service, at
        self.name, self.app, self.wiring = service.name, service.app, service.wiring
        self.secrets: set[str] = set()
        self.say = Speaker(checked, service, self.secrets)
        self.job = self.app.kind == "job"
        self.config = self._config()
        self.env: dict[str, Text] = dict(self.wiring.env)
        if "routes" in {file.derived for file in self.app.files.values()} and (dns := self.lab.settings.network.dns):
            self.env[TOKEN] = (parts.SecretValue(dns.token),)
        self.stdin = {other.wiring.grant_stdin for other in self._granted()} - {""}

    def files(self) -> dict[str, str]:
        """Every file of the role."""
        documents: dict[str, str] = {
            "defaults/main.yml": yaml.mapping(self._defaults()),
            "vars/linux.yml": yaml.mapping(self._linux_paths()),
            "vars/darwin.yml": yaml.mapping(self._macos_paths()),
            "tasks/main.yml": yaml.listing(self._tasks()),
            "tasks/linux.yml": yaml.listing(self._linux_tasks()),
            "tasks/macos.yml": yaml.listing(self._macos_tasks()),
            "handlers/main.yml": yaml.listing(self._handlers()),
            "meta/main.yml": yaml.mapping(self._meta()),
        }
        origin = comment(self.lab.service_files[self.name], f"service {self.name}")
        made = {path: f"# {origin}\n---\n{text}" for path, text in documents.items()}
        made["templates/env.j2"] = f"# {origin}\n" + units.env_template(self.name)
        unit = units.systemd_unit(self.lab, self.facts, self.service, self.say)
        made["templates/systemd.service.j2"] = f"# {origin}\n{unit}"
        if self.job:
            made["templates/systemd.timer.j2"] = f"# {origin}\n" + units.systemd_timer(self.service, *self.at)
        plist = units.launchd_plist(self.lab, self.service, self.say, *self.at)
        made["templates/launchd.plist.j2"] = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<!-- {origin} -->\n"
            '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
            f'<plist version="1.0">\n{plist}</plist>\n'
        )
        # Only Jinja's comments are comments in every file: these do not reach the host.
        for name, text in self.config.items():
            made[f"templates/{config_name(name)}.j2"] = f"{{# {origin} #}}\n" + in_file(self.say(text))
        for place, text in enumerate(sorted(self.stdin)):
            made[f"templates/{self._stdin_name(place)}"] = f"{{# {origin} #}}\n" + in_file((text,))
        return made

    def var(self, name: str) -> str:
        """A variable of the role, to be read."""
        return f"{{{{ {variable(self.name, name)} }}}}"

    def _config(self) -> dict[str, Text]:
        texts = dict(self.wiring.files)
        texts |= {name: routes(self.checked, self.say) for name, file in self.app.files.items() if file.derived}
        return {name: texts[name] for name in self.app.files if name in texts}

    def _source(self, *kinds: str) -> AppSource | None:
        return next((source for source in self.app.sources if source.kind in kinds), None)

    # Variables

    def _defaults(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if deb := self._source("deb"):
            version = self.service.service.version or deb.version or self.app.version
            found[variable(self.name, "package")] = f"{deb.name}={version}*"
        if brew := self._source("brew"):
            found[variable(self.name, "formula")] = brew.name
        found[variable(self.name, "env")] = {name: in_variable(self.say(text)) for name, text in self.env.items()}
        return found | self.service.service.ansible

    def _linux_paths(self) -> dict[str, Any]:
        deb = self._source("deb")
        return self._paths({
            "owner": "root", "user": account(self.name), "group": account(self.name), "become": True,
            "path": f"{deb.bin}:{PATH}" if deb and deb.bin else PATH, "etc": f"/etc/{self.name}", "run": f"/run/{self.name}",
        }, f"/var/lib/{self.name}", "/mnt")  # fmt: skip

    def _macos_paths(self) -> dict[str, Any]:
        prefix, brew = self.var("prefix"), self._source("brew")
        own = (brew.bin or f"{prefix}/opt/{brew.name}/bin") + ":" if brew else ""
        user = "{{ ansible_facts['user_id'] }}"
        home = "{{ ansible_facts['user_dir'] }}"
        label = units.launchd_label(self.lab, self.name)
        return self._paths({
            "prefix": PREFIX, "owner": user, "user": user, "group": "staff", "become": False,
            "path": f"{own}{prefix}/bin:{PATH}", "etc": f"{prefix}/etc/{self.name}", "run": f"{prefix}/var/run/{self.name}",
            "domain": "gui/{{ ansible_facts['user_uid'] }}", "label": label,
            "plist": f"{home}/Library/LaunchAgents/{label}.plist", "log": f"{home}/Library/Logs/{self.name}.log",
        }, f"{prefix}/var/{self.name}", "/Volumes")  # fmt: skip

    def _paths(self, paths: dict[str, Any], state: str, mounts: str) -> dict[str, Any]:
        folders = (self.service.service.state or self.app.state).folders
        if folders:
            paths["state"] = {folder: f"{state}/{folder}" for folder in folders}
        if self.service.service.mounts:
            paths["mounts"] = {key: self._mounted(share, mounts) for key, share in self.service.service.mounts.items()}
        return {variable(self.name, name): value for name, value in paths.items()}

    def _mounted(self, share: str, mounts: str) -> str:
        """A share of the host itself is its folder; another host's is mounted by whoever runs the machine."""
        host, _, name = share.partition("/")
        own = host == self.service.service.host
        return in_variable((self.lab.settings.hosts[host].shares[name].path if own else f"{mounts}/{name}",))

    # Tasks

    def _tasks(self) -> list[Task]:
        name, unit = self.name, self._unit()
        return [
            {
                "name": "Take the paths of this system",
                "ansible.builtin.include_vars": "{{ ansible_facts['system'] | lower }}.yml",
            },
            {"name": "Set up on Linux", "ansible.builtin.import_tasks": "linux.yml", "when": LINUX},
            {"name": "Set up on macOS", "ansible.builtin.import_tasks": "macos.yml", "when": MACOS},
            *self._folders(),
            *self._secret_files(),
            *(self._config_file(file) for file in self.config),
            self._template(
                "the environment", "env.j2", self.var("etc") + "/env", "0600", self.env.values(), "Restart",
                owner=self.var("owner"),
            ),  # fmt: skip
            *self._init(),
            *self._grants(self.service),
            {"name": "Restart or reload now what has changed", "ansible.builtin.meta": "flush_handlers"},
            {
                "name": f"Start {unit}, now and at boot",
                "ansible.builtin.systemd_service": {"name": unit, "state": "started", "enabled": True},
                **self._forgiving("start"),
                "when": LINUX,
            },
            {
                "name": "Ask launchd whether it is loaded",
                "ansible.builtin.command": {"argv": ["launchctl", "print", self.var("domain") + "/" + self.var("label")]},
                "register": variable(name, "loaded"),
                "changed_when": False,
                "failed_when": False,
                "check_mode": False,
                "when": MACOS,
            },
            {
                "name": "Load it into launchd",
                "ansible.builtin.command": {"argv": ["launchctl", "bootstrap", self.var("domain"), self.var("plist")]},
                "changed_when": True,
                "when": [MACOS, f"{variable(name, 'loaded')}.rc != 0"],
            },
            *self._health(),
            *(task for other in self._granted() if other is not self.service for task in self._grants(other)),
        ]

    def _unit(self) -> str:
        return f"{self.name}.{'timer' if self.job else 'service'}"

    def _linux_tasks(self) -> Iterable[Task]:
        own, deb = account(self.name), self._source("deb")
        yield {"name": "Make its group", "ansible.builtin.group": {"name": own, "system": True}}
        yield {
            "name": "Make its account",
            "ansible.builtin.user": {
                "name": own, "group": own, "system": True, "create_home": False, "home": f"/var/lib/{self.name}",
                "shell": "/usr/sbin/nologin",
            },
        }  # fmt: skip
        # The service's own unit takes the place of one that the package brings by the same name.
        if deb and (masks := [unit for unit in deb.masks if unit != f"{self.name}.service"]):
            yield {
                "name": "Keep the package's own units from starting",
                "ansible.builtin.systemd_service": {"name": "{{ item }}", "masked": True},
                "loop": masks,
            }
        if deb:
            yield {
                "name": f"Install {deb.name}",
                "ansible.builtin.apt": {
                    "name": self.var("package"), "state": "present", "update_cache": True, "cache_valid_time": 3600,
                    "allow_downgrade": True, "policy_rc_d": 101,
                },
                "notify": f"Restart {self.name}",
            }  # fmt: skip
        else:
            yield self._look_for("Debian package")
        yield self._file("the unit", "systemd.service.j2", f"/etc/systemd/system/{self.name}.service")
        if self.job:
            yield self._file("the timer", "systemd.timer.j2", f"/etc/systemd/system/{self.name}.timer")

    def _macos_tasks(self) -> Iterable[Task]:
        if brew := self._source("brew"):
            yield {
                "name": f"Install {brew.name}",
                "ansible.builtin.command": {
                    "argv": [self.var("prefix") + "/bin/brew", "install", self.var("formula")],
                    "creates": brew.bin or f"{self.var('prefix')}/opt/{self.var('formula')}",
                },
                "notify": f"Restart {self.name}",
            }
        else:
            yield self._look_for("Homebrew formula")
        yield {
            "name": "Make the folder of its sockets",
            "ansible.builtin.file": {"path": self.var("run"), "state": "directory", "mode": "0700"},
        }
        yield self._file("the agent", "launchd.plist.j2", self.var("plist"))

    def _look_for(self, what: str) -> Task:
        program = in_variable(self.say(self.wiring.command[0]))
        return {
            "name": f"Look for the program: there is no {what} to install it from",
            "ansible.builtin.command": {"argv": ["sh", "-c", 'command -v "$0"', program], "expand_argument_vars": False},
            "environment": {"PATH": self.var("path")},
            "changed_when": False,
            "check_mode": False,
        }

    def _file(self, what: str, source: str, path: str) -> Task:
        texts = self.wiring.command
        return self._template(what, source, path, "0600" if has_secret(texts) else "0644", texts, "Restart")

    def _config_file(self, file: str) -> Task:
        name = config_name(file)
        does = "Reload" if self.app.reload else "Restart"
        path = f"{self.var('etc')}/{name}"
        readers = {"owner": self.var("owner"), "group": self.var("group")}
        return self._template(name, f"{name}.j2", path, "0640", [self.config[file]], does, **readers)

    def _template(
        self, what: str, source: str, path: str, mode: str, texts: Iterable[Text], does: str, **owner: str
    ) -> Task:
        return {
            "name": f"Write {what}",
            "ansible.builtin.template": {"src": source, "dest": path, **owner, "mode": mode},
            **({"no_log": True} if has_secret(texts) else {}),
            "notify": f"{does} {self.name}",
        }

    def _folders(self) -> Iterable[Task]:
        yield {
            "name": "Make the folder of its configuration",
            "ansible.builtin.file": {"path": self.var("etc"), "state": "directory", "mode": "0755"},
        }
        folders = [in_variable((self.say.own("state", key),)) for key in (self.service.service.state or self.app.state).folders]
        if self._wanted_files():
            folders.append(self.var("etc") + "/secrets")
        if folders:
            yield {
                "name": "Make the folders that are its own",
                "ansible.builtin.file": {"path": "{{ item }}", "state": "directory", **self._own("0700")},
                "loop": folders,
            }

    def _own(self, mode: str) -> dict[str, str]:
        return {"owner": self.var("user"), "group": self.var("group"), "mode": mode}

    def _wanted_files(self) -> dict[str, str]:
        """The secrets that the app looks up as files, and their references."""
        wiring = self.wiring
        texts = [*wiring.command, *wiring.reload, *wiring.init_command, *wiring.health_command, *self.env.values()]
        texts += self.config.values()
        wanted = {part.name for text in texts for part in text if isinstance(part, parts.SecretFile)}
        return {use.name: use.reference for use in self.service.secrets if use.name in wanted}

    def _secret_files(self) -> Iterable[Task]:
        for name, reference in self._wanted_files().items():
            yield {
                "name": f"Write the secret {name}",
                "ansible.builtin.copy": {
                    "content": in_variable(self.say((parts.SecretValue(reference),))),
                    "dest": f"{self.var('etc')}/secrets/{name}",
                    **self._own("0600"),
                },
                "no_log": True,
                "notify": f"Restart {self.name}",
            }

    def _init(self) -> Iterable[Task]:
        if self.wiring.init_command:
            yield {
                "name": "Prepare its state",
                "ansible.builtin.command": {
                    **self._argv(self.say, self.wiring.init_command),
                    "creates": in_variable(self.say(self.wiring.init_creates)),
                },
                **self._as_itself(),
                "when": NOT_IN_CHECK,
            }

    def _as_itself(self) -> dict[str, Any]:
        path = {"PATH": self.var("path")}
        env = f"{{{{ {variable(self.name, 'env')} | combine({{'PATH': {variable(self.name, 'path')}}}) }}}}"
        return {
            "become": self.var("become"), "become_user": self.var("user"), "environment": env if self.env else path,
            **({"no_log": True} if has_secret(self.env.values()) else {}),
        }  # fmt: skip

    @staticmethod
    def _argv(say: Speaker, texts: Iterable[Text]) -> dict[str, Any]:
        """Arguments as they are: Ansible would expand `$HOME` and `~` in them."""
        return {"argv": [in_variable(say(text)) for text in texts], "expand_argument_vars": False}

    def _health(self) -> Iterable[Task]:
        health, name = self.service.service.health or self.app.health, variable(self.name, "health")
        if health is None or self.job:
            return
        tries = {"retries": max(1, round(health.within)), "delay": 1}
        task: Task = {"name": "See that it works"}
        if health.http:
            number = ports(self.service)[health.port].port
            task["ansible.builtin.uri"] = {
                "url": in_variable((f"http://{LOOPBACK}:{number}{health.http}",)), "follow_redirects": "none",
            }  # fmt: skip
            wrong = f"{name}.status < 200 or {name}.status >= 400"
            task |= {"register": name, "failed_when": wrong, "until": f"{name} is not failed", **tries}
        elif health.tcp:
            number = ports(self.service)[health.tcp].port
            task["ansible.builtin.wait_for"] = {"host": LOOPBACK, "port": number, "timeout": tries["retries"]}
        else:
            task["ansible.builtin.command"] = self._argv(self.say, self.wiring.health_command)
            task |= {**self._as_itself(), "register": name, "until": f"{name}.rc == 0", **tries, "changed_when": False}
        yield {**task, "when": NOT_IN_CHECK}

    def _granted(self) -> list[ServiceFacts]:
        """Whose databases this role makes: its own, and those of services that no role is rendered for."""
        facts = self.facts.services
        own = [self.service] if self.service.database and facts[self.service.database.provider].service.host else []
        return own + [
            other
            for other in facts.values()
            if other.database and other.database.provider == self.name and not other.service.host
        ]

    def _stdin_name(self, place: int) -> str:
        return f"grant{place or ''}.j2"

    def _grants(self, user: ServiceFacts) -> Iterable[Task]:
        if user not in self._granted():
            return
        assert user.database
        provider = self.facts.services[user.database.provider]
        host = provider.service.host or ""
        say = Speaker(self.checked, provider, self.secrets)
        wiring, result = user.wiring, variable(self.name, "grant")
        stdin = {}
        if wiring.grant_stdin:
            template = quoted(self._stdin_name(sorted(self.stdin).index(wiring.grant_stdin)))
            stdin = {"stdin": f"{{{{ lookup('ansible.builtin.template', {template}) }}}}", "stdin_add_newline": False}
        def theirs(name: str) -> str:
            return f"{{{{ {variable(provider.name, name)} }}}}"

        system = "darwin" if self.lab.settings.hosts[host].os == "macos" else "linux"
        yield {
            "name": f"Take the paths of {provider.name}",
            "ansible.builtin.include_vars": f"{{{{ role_path }}}}/../{provider.name}/vars/{system}.yml",
        }
        yield {
            "name": f"Make the database of {user.name} in {provider.name}",
            "ansible.builtin.command": {**self._argv(say, wiring.grant_command), **stdin},
            **({"delegate_to": host} if host != self.service.service.host else {}),
            "become": theirs("become"),
            "become_user": theirs("user"),
            "environment": {"PATH": theirs("path")}
            | {name: in_variable(say(text)) for name, text in wiring.grant_env.items()},
            "register": result,
            "changed_when": f"'changed' in {result}.stdout",
            "no_log": True,
            "when": NOT_IN_CHECK,
        }

    # The rest

    def _handlers(self) -> list[Task]:
        restart, topic = variable(self.name, "restart"), f"Restart {self.name}"
        agent = self.var("domain") + "/" + self.var("label")
        bootstrap = ["launchctl", "bootstrap", self.var("domain"), self.var("plist")]
        handlers: list[Task] = [
            {
                "name": f"Restart {self._unit()}",
                "listen": topic,
                "ansible.builtin.systemd_service": {"name": self._unit(), "state": "restarted", "daemon_reload": True},
                **self._forgiving("restart"),
                "when": LINUX,
            },
            {
                "name": f"Unload {self.name} from launchd",
                "listen": topic,
                "ansible.builtin.command": {"argv": ["launchctl", "bootout", agent]},
                "changed_when": True,
                "failed_when": False,
                "when": MACOS,
            },
            {
                "name": f"Load {self.name} into launchd",
                "listen": topic,
                "ansible.builtin.command": {"argv": bootstrap},
                "register": variable(self.name, "load"),
                "until": f"{variable(self.name, 'load')}.rc == 0",
                "retries": 10,
                "delay": 1,
                "changed_when": True,
                "when": MACOS,
            },
        ]
        if self.app.reload:
            loaded = variable(self.name, "load")
            handlers += [
                {
                    "name": f"Reload {self.name}.service",
                    "listen": f"Reload {self.name}",
                    "ansible.builtin.systemd_service": {"name": f"{self.name}.service", "state": "reloaded"},
                    **self._forgiving("reload"),
                    "when": [LINUX, f"{restart} is not defined or {restart} is not changed"],
                },
                {
                    "name": f"Have {self.name} reload",
                    "listen": f"Reload {self.name}",
                    "ansible.builtin.command": self._argv(self.say, self.wiring.reload),
                    **self._as_itself(),
                    "changed_when": True,
                    "when": [MACOS, f"{loaded} is not defined or {loaded} is not changed"],
                },
            ]
        return handlers

    def _forgiving(self, what: str) -> Mapping[str, str]:
        """In check mode a unit that would have been written is not there."""
        result = variable(self.name, what)
        return {"register": result, "failed_when": f"{result} is failed and {NOT_IN_CHECK}"}

    def _meta(self) -> dict[str, Any]:
        return {
            "galaxy_info": {
                "author": "blumeops",
                "description": self.app.about or self.name,
                "license": "MIT",
                "min_ansible_version": "2.19",
            },
            "dependencies": [],
        }
