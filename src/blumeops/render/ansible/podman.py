"""The words by which systemd runs a service's image with Podman, and the unit's lines that only a container has.

Promised: the unit is the container's whole life. The client ends once conmon (2 MB) holds the container, which stays in
the unit's control group: limits, signals, restarts and the journal are systemd's, as of any other unit. No secret is
among the words. It has no rights of its own, and is not root outside: user 0 of its image is FIRST_USER of the host, as
at site `here`. With a device, whose group it must be in, it is the service's own account instead.
https://docs.podman.io/en/stable/markdown/podman-run.1.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from blumeops.facts.parts import Text
from blumeops.lab.model import Lab
from blumeops.render.ansible.contained import Within, neighbours
from blumeops.render.ansible.role import Role
from blumeops.render.ansible.speak import config_name
from blumeops.render.ansible.words import Expression, Said

FIRST_USER = 0x70000000
USERS = 65536
CLIENTS_FILE = "env.podman"
"""The file of variables that Podman's client would take for its own."""
CLIENTS_OWN = (
    "XDG_", "CONTAINER", "DOCKER_", "PODMAN_", "STORAGE_", "BUILDAH_", "REGISTRY_", "LD_", "GO", "_", "LISTEN_",
    "DBUS_", "SSL_CERT_", "PATH$", "HOME$", "LANG$", "LC_ALL$", "TMPDIR$", "NOTIFY_SOCKET$", "MAINPID$",
    "(HTTPS?|NO)_PROXY$", "(https?|no)_proxy$",
)  # fmt: skip
"""Their names, each a regular expression from the beginning."""
AS_ROOT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""What an image that begins as root needs to prepare its folders and become another user: within its namespace."""
START = "15min"
"""The time that preparing the state may take."""
_MAP = f"0:{FIRST_USER}:{USERS}"


class Container:
    """A role's container."""

    def __init__(self, role: Role) -> None:
        assert isinstance(role.say, Within)
        self.role, self.say, self.app, self.wiring = role, role.say, role.app, role.wiring
        self.name = container_name(role.lab, role.name)
        self.member = role.say.member
        self.devices = role.service.devices
        self.network = f"{role.lab.settings.lab}-{self.member.project}" if self.member else ""
        called = neighbours(role.checked, role.service, [*role.env.values(), *role.config.values(), *self._texts()])
        self.calls_neighbours = bool(called)

    def _texts(self) -> list[Text]:
        wiring = self.wiring
        return [*wiring.command, *wiring.arguments, *wiring.init_command, *wiring.health_command]

    def variables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What people may change, and what only the tasks and the unit read."""
        network = ["slirp4netns"] if self.calls_neighbours else ["netavark", "aardvark-dns"]
        role = self.role
        packages = {role.name_of("packages"): ["podman", "crun", *network]}
        env, own = role.name_of("env"), role.name_of("clients_own")
        words = "map('regex_replace', '^', '--env=') | join(' ')"
        passed = f"{{{{ {env}.keys() | reject('match', {own} | join('|')) | {words} }}}}"
        found: dict[str, Any] = {own: list(CLIENTS_OWN), role.name_of("passed"): passed}
        if role.uid is None and not self.devices:  # only the host knows whether the image begins as root
            user = f"({role.name_of('image_user')}.stdout | default('')).partition(':')[0]"
            found[role.name_of("as_root")] = f"{{{{ {user} in ['', '0', 'root'] }}}}"
        return packages, found

    # words

    def start(self) -> list[Said]:
        """What the unit starts."""
        told = [("--sdnotify=ignore",), ("--log-driver=none",)]
        if not self.role.job:
            told = [("--detach",), ("--sdnotify=conmon",), ("--log-driver=passthrough",)]
        published = []
        for name, port in self.role.service.ports.items():
            published.append((f"--publish={self.say.listens(name)}:{port.port}:{port.port}/{port.protocol}",))
        network = [(f"--network={self.network}",)] if self.network else []
        network += [(f"--network-alias={alias}",) for alias in (self.member.aliases if self.member else ())]
        if self.calls_neighbours:
            network = [("--network=slirp4netns:allow_host_loopback=true",)]
        # What prints is the journal's own line; without a command the image says what runs.
        own = not self.wiring.command
        words = self.wiring.arguments if own else self.wiring.command
        return self._run(self.name, [*told, *published, *network], words, own)

    def prepare(self) -> list[Said]:
        """What prepares its state before the first start, where it is not there yet."""
        creates = self.role.outside(self.wiring.init_creates)
        unless: list[Said] = [("sh",), ("-c",), ('test -e "$0" || exec "$@"',), creates]
        more: list[Said] = [("--sdnotify=ignore",), ("--log-driver=none",)]
        if self.calls_neighbours:
            more.append(("--network=slirp4netns:allow_host_loopback=true",))
        return [*unless, *self._run(f"{self.name}-init", more, self.wiring.init_command, own=False)]

    def end(self) -> list[Said]:
        """What waits until its network is down, and leaves nothing of it, should conmon have been killed."""
        return [("podman",), ("rm",), ("--force",), ("--time=1",), ("--ignore",), ("--volumes",), (self.name,)]

    def _run(self, name: str, more: list[Said], command: tuple[Text, ...], own: bool) -> list[Said]:
        words: list[Said] = [
            ("podman",), ("run",), ("--rm",), ("--replace",), (f"--name={name}",), ("--pull=never",),
            ("--cgroups=disabled",), ("--cap-drop=all",), ("--security-opt=no-new-privileges",),
            ("--security-opt=label=disable",), ("--http-proxy=false",),
            ("--sysctl=net.ipv4.ip_unprivileged_port_start=0",), *self._user(), *more, *self._environment(),
            *((f"--device={device}",) for device in self.devices), *self._mounts(),
        ]  # fmt: skip
        image: Said = (Expression(self.role.name_of("image")),)
        said = program(self.role, command)
        if own or not said:
            return [*words, image, *said]
        return [*words, ("--entrypoint=", *said[0]), image, *said[1:]]

    def _user(self) -> list[Said]:
        role = self.role
        if self.devices:
            account, groups = role.name_of("account"), f"{role.name_of('devices')}.stdout | default('')"
            numbers = [Expression(f"{account}.{field} | default(65534)") for field in ("uid", "group")]
            words = "map('regex_replace', '^', '--group-add=') | join(' ')"
            member = Expression(f"({groups}).split() | unique | reject('equalto', '0') | {words}")
            return [("--user=", numbers[0], ":", numbers[1]), (member,), ("--read-only",)]
        root = [f"--cap-add={each}" for each in AS_ROOT]
        if role.uid is not None:
            rights = [(each,) for each in root] if role.uid == 0 else [("--read-only",)]
            return [*mapped(), (f"--user={role.uid}:{role.uid}",), *rights]
        return [*mapped(), (Expression(f"'{' '.join(root)}' if {role.name_of('as_root')} else '--read-only'"),)]

    def _environment(self) -> list[Said]:
        """Values come by the client's environment, and those of the client's own names by a private file."""
        return [
            (Expression(self.role.name_of("passed")),),
            ("--env-file=", self.say.own("etc"), f"/{CLIENTS_FILE}"),
        ]

    def _mounts(self) -> list[Said]:
        """State as it is; files become those of whoever runs in there."""
        say, role = self.say, self.role
        found = [_mount((say.own("state", name),), path) for name, path in say.state.items()]
        found += [_mount((say.own("mounts", name),), path) for name, path in say.shares.items()]
        hand_over = ("ro",) if self.devices else ("ro", "U=true")
        for name in dict.fromkeys(name.partition("/")[0] for name in role.config):  # a derived folder as one
            found.append(_mount((say.own("etc"), f"/{config_name(name)}"), say.file(name), *hand_over))
        for name in role.secret_files:
            found.append(_mount((say.own("etc"), f"/secrets/{name}"), say.secret_file(name), *hand_over))
        return [*found, (f"--tmpfs={say.run}:mode=1777",)]

    # the unit

    def lines(self, said: Callable[[Iterable[Said]], str]) -> list[str]:
        """Its lines in `[Service]` beside those of any unit. `said`: makes a line's text of words."""
        init = [f"ExecStartPre={said(self.prepare())}", f"TimeoutStartSec={START}"] if self.wiring.init_command else []
        return [
            *([] if self.role.job else ["NotifyAccess=all"]),  # conmon tells that it runs, not the client
            f"SyslogIdentifier={self.role.name}",
            *init,
            "ExecStart=podman " + " \\\n    ".join(said([word]) for word in self.start()[1:]),
            f"ExecStopPost=-{said(self.end())}",
        ]


def container_name(lab: Lab, service: str) -> str:
    """The container's name: with the lab's, so that `--replace` meets nobody else's."""
    return f"{lab.settings.lab}-{service}"


def program(role: Role, command: tuple[Text, ...]) -> list[Said]:
    """A command within the container, its program with the image's folder where that is not on PATH."""
    said = [role.say(text) for text in command]
    source = role.source("container")
    if said and source and source.bin and "/" not in str(said[0][0]):
        said[0] = (f"{source.bin}/", *said[0])
    return said


def mapped() -> list[Said]:
    """The users of a container that is nobody on its host."""
    return [(f"--uidmap={_MAP}",), (f"--gidmap={_MAP}",)]


def clients_file(role: Role) -> str:
    """The template of CLIENTS_FILE: a line a variable, as it is."""
    several = "undef(hint=name ~ ' has several lines, which no container can be given under this name')"
    env, own = role.name_of("env"), role.name_of("clients_own")
    return (
        f"{{% for name, value in {env}.items() if name is match({own} | join('|')) %}}\n"
        f"{{{{ name }}}}={{{{ value if (value | string).splitlines() | length < 2 else {several} }}}}\n"
        "{% endfor %}\n"
    )


def _mount(source: Said, target: str, *options: str) -> Said:
    """One word of CSV, each path quoted, so that it may have a comma."""
    fields = "".join(f",{option}" for option in options)
    plain = all(isinstance(piece, str) or piece.tame for piece in source) and "," not in target
    if plain:
        return ("--mount=type=bind,src=", *source, f",dst={target}{fields}")
    return ('--mount=type=bind,"src=', *source, f'","dst={target}"{fields}')
