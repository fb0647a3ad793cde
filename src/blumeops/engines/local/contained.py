"""One instance of a unit as a container: the words for its runtime, and how the unit's texts are said within it.

Promised: the process manager's program is the runtime's client in the foreground, so a container is restarted,
logged and stopped as every program is. Its process carries our mark, so one that lost its client is found; its name
holds a digest of the state folder, so two labs never meet. No secret is in its arguments. It listens on loopback
only, has no rights of its own, and is not root outside.

Whose its files are: Podman of root runs it in a user namespace, user 0 of which is `FIRST_USER` of the machine, so an
image may begin as root and is nobody here. Podman of a person gives it the person's own number as the image's user.
Docker has neither: there it runs as the services' user, whatever the image says.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from blumeops.base.errors import BlumeError, EngineError, Unavailable
from blumeops.engines.local import leftovers
from blumeops.engines.local.folders import FIRST_USER, USERS, Account, Folders
from blumeops.engines.local.programs import runtime
from blumeops.engines.local.programs.image import Image
from blumeops.engines.local.programs.runtime import Runtime
from blumeops.engines.local.record import process_name
from blumeops.render.local_unit import Container, FolderPart, HostPart, LocalUnit

ENV_FILE = ".environment"
"""Among an instance's secret files: variables that the runtime's client would take for its own."""
CLIENTS_OWN = (
    "XDG_",
    "CONTAINER",
    "DOCKER_",
    "PODMAN_",
    "STORAGE_",
    "BUILDAH_",
    "REGISTRY_",
    "LD_",
    "DYLD_",
    "GO",
    "_",
)
CLIENTS_NAMES = {
    *runtime.VARIABLES, leftovers.MARK, "LC_ALL", "TMPDIR", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
    "LISTEN_FDNAMES", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy",
}  # fmt: skip
AS_ROOT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""What an image that begins as root needs to prepare its folders and become another user: within its namespace."""


@dataclass(frozen=True)
class Contained:
    """See the module."""

    image: Image
    folders: Folders
    unit: LocalUnit
    slot: str
    ports: Mapping[str, int]

    @property
    def form(self) -> Container:
        """The unit's own words for it."""
        if self.unit.container is None:
            raise EngineError("BLU731", self.unit.unit, "is not described as a container")
        return self.unit.container

    @property
    def name(self) -> str:
        """The container's."""
        return f"{prefix(self.folders.state)}-{process_name(self.unit.unit, self.slot)}"

    @property
    def account(self) -> Account:
        """Whose its files are on this machine."""
        if self.folders.account.user is None or runtime.macos():
            return Account()
        if self._namespace:
            return Account(FIRST_USER + self.image.user, FIRST_USER + self.image.group)
        return self.folders.account

    @property
    def owned(self) -> Folders:
        """The folders, with its files as that account's."""
        return replace(self.folders, account=self.account)

    @property
    def _namespace(self) -> bool:
        """Whether root's Podman gives it users of its own: not with a device, which is its group's here."""
        return self.image.dialect == "podman" and self.folders.account.user is not None and not self.form.devices

    # the network that it shares

    @property
    def network(self) -> str:
        """Its name at the runtime; empty where it shares none."""
        return f"{prefix(self.folders.state)}-{self.form.network}" if self.form.network else ""

    def connect(self) -> None:
        """The network shall be there. Raises EngineError `BLU733`."""
        tool = Runtime(self.image.dialect, self.image.tool)
        if not self.network or tool.ask("network", "inspect", self.network).code == 0:
            return
        made = tool.ask("network", "create", self.network)
        if made.code and tool.ask("network", "inspect", self.network).code:  # else another of its services made it
            raise EngineError("BLU733", self.unit.unit, f"its network cannot be made: {made.words}")

    def disconnect(self) -> None:
        """Take the network away, unless another still uses it."""
        if self.network:
            with suppress(BlumeError):
                Runtime(self.image.dialect, self.image.tool).ask("network", "rm", self.network)

    # texts

    def host(self, part: HostPart) -> str:
        """An address's host. Raises Unavailable `BLU701` where there is no way to this machine."""
        if part.unit in ("", self.unit.unit):
            return "0.0.0.0" if part.host == "listen" else "127.0.0.1"  # noqa: S104 - of its own network
        if self.network:
            raise EngineError("BLU731", self.unit.unit, f"has no way from its network to {part.unit}")
        if runtime.macos():
            return f"host.{'containers' if self.image.dialect == 'podman' else 'docker'}.internal"
        if self.image.dialect == "podman":
            return runtime.GATEWAY
        why = f"Docker gives a container no way to this machine's loopback, where {part.unit} listens"
        raise Unavailable("BLU701", self.unit.unit, why, "get Podman by: sudo apt-get install podman")

    def port(self, name: str) -> int:
        """The number on which the unit itself listens."""
        if name not in self.form.ports:
            raise EngineError("BLU707", self.unit.unit, f"has no port named {name}")
        return self.form.ports[name]

    def path(self, part: FolderPart) -> str:
        """Where a folder or a configuration file is within it."""
        known: Mapping[str, str] = {}
        match part.folder:
            case "state":
                known = self.form.state
            case "config":
                known = self.form.files
            case "share":
                known = self.form.shares
            case "run":
                return f"{self._run_folder}/{part.name}".rstrip("/")
        if part.name not in known:
            raise EngineError("BLU731", self.unit.unit, f"has no {part.folder} {part.name} in its container")
        return known[part.name]

    def secret_file(self, name: str) -> str:
        """Where a secret's file is within it."""
        return f"/run/secrets/{self.unit.unit}/{name}"

    @property
    def _run_folder(self) -> str:
        return f"/run/{self.unit.unit}"

    # the runtime's words

    def start(self, words: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
        """What the process manager runs: the unit's command, or the image's own with the unit's arguments."""
        published = [
            f"--publish=127.0.0.1:{self.ports[name]}:{number}/{self.unit.ports[name].protocol}"
            for name, number in self.form.ports.items()
        ]
        return self._run(self.name, published, words, env, own=not self.unit.command)

    def once(self, command: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
        """A command in a container of its own, with the same folders: the initialisation."""
        return self._run(f"{self.name}.once", [], command, env)

    def inside(self, command: tuple[str, ...], names: Iterable[str] = ()) -> tuple[str, ...]:
        """A command in the container that runs. `names`: variables that it gets from its client's environment."""
        given = [f"--env={name}" for name in names]
        return (*self.image.tool, "exec", "--interactive", *given, self.name, *self._program(command))

    def end(self) -> tuple[str, ...]:
        """The command by which nothing is left of it, whether it runs or not."""
        return _end(self.image, self.name, self.unit.stop_seconds)

    def end_once(self) -> tuple[str, ...]:
        """The same of an initialisation."""
        return _end(self.image, f"{self.name}.once", 1)

    def _run(
        self, name: str, more: Iterable[str], command: tuple[str, ...], env: Mapping[str, str], own: bool = False
    ) -> tuple[str, ...]:
        words = [
            *self.image.tool, "run", "--rm", f"--name={name}", "--pull=never", "--log-driver=none", "--cap-drop=all",
            "--security-opt=no-new-privileges", "--sysctl=net.ipv4.ip_unprivileged_port_start=0",
            f"--env={leftovers.MARK}", *self._podmans(), *self._user(), *self._limits(), *more,
        ]  # fmt: skip
        words += [f"--env={name}" for name in env if not clients_own(name)]
        if any(clients_own(name) for name in env):
            words.append(f"--env-file={self._instance / 'secrets' / ENV_FILE}")
        words += [f"--device={device}" for device in self.form.devices]
        if self.network:
            words += [f"--network={self.network}", *(f"--network-alias={alias}" for alias in self.form.aliases)]
        words += self._mounts()
        if own:
            return (*words, self.image.id, *command)
        program, *rest = self._program(command)
        return (*words, f"--entrypoint={program}", self.image.id, *rest)

    def _program(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """The command, its program with the image's folder where that is not on PATH."""
        folder = self.image.folder
        if command and folder and "/" not in command[0]:
            return (f"{folder}/{command[0]}", *command[1:])
        return command

    def _podmans(self) -> list[str]:
        """What only Podman knows."""
        if self.image.dialect != "podman":
            return []
        words = ["--http-proxy=false", "--security-opt=label=disable"]
        if not runtime.macos():
            words += [] if self.network else [f"--network={runtime.network()}"]
            words += [f"--ulimit={name}={number}:{number}" for name, number in runtime.limits().items()]
        return words

    def _user(self) -> list[str]:
        image = self.image
        closed = ["--read-only", *(["--tmpfs=/tmp"] if image.dialect == "docker" else [])]  # Podman does so by itself
        root = closed if image.user else [f"--cap-add={name}" for name in AS_ROOT]
        if runtime.macos():
            return root
        if self._namespace:
            users = f"0:{FIRST_USER}:{USERS}"
            return [f"--uidmap={users}", f"--gidmap={users}", f"--user={image.user}:{image.group}", *root]
        if image.dialect == "podman" and self.folders.account.user is None:
            within = f":uid={image.user},gid={image.group}" if image.user else ""
            return [*([f"--userns=keep-id{within}"] if image.user else []), f"--user={image.user}:{image.group}", *root]
        user, group = self.folders.account.user, self.folders.account.group
        numbers = f"{os.geteuid() if user is None else user}:{os.getegid() if group is None else group}"
        groups = sorted({Path(device).stat().st_gid for device in self.form.devices if Path(device).exists()} - {0})
        return [f"--user={numbers}", *(f"--group-add={group}" for group in groups), *closed]

    def _limits(self) -> list[str]:
        memory = self.unit.memory
        return [f"--memory={memory}", f"--memory-swap={memory}"] if memory else []

    def _mounts(self) -> list[str]:
        folders, unit, form = self.folders, self.unit, self.form
        words = [_mount(folders.data(unit.unit, name), form.state[name]) for name in unit.state]
        words += [_mount(folders.share(share), path) for share, path in form.shares.items()]
        words += [_mount(self._instance / "config" / name, form.files[name], "ro") for name in unit.files]
        words += [_mount(self._instance / "secrets" / name, self.secret_file(name), "ro") for name in unit.secret_files]
        return [*words, f"--tmpfs={self._run_folder}:mode=1777"]

    @property
    def _instance(self) -> Path:
        return self.folders.instance(self.unit.unit, self.slot)


def prefix(state: Path) -> str:
    """How the names of a state folder's containers begin."""
    return f"blumeops-{hashlib.sha256(os.fsencode(state)).hexdigest()[:10]}"


def clients_own(name: str) -> bool:
    """Whether a runtime's client would take a variable of that name for its own."""
    return name in CLIENTS_NAMES or name.startswith(CLIENTS_OWN)


def env_file(unit: str, env: Mapping[str, str]) -> dict[str, bytes]:
    """The file of those variables that cannot be handed over by the client's environment, if there are any.
    Raises EngineError `BLU732` for one of several lines, which such a file cannot hold."""
    own = {name: value for name, value in env.items() if clients_own(name)}
    for name, value in own.items():
        if "\n" in value or "\r" in value:
            raise EngineError(
                "BLU732", unit, f"{name} has several lines, which no container can be given under this name"
            )
    return {ENV_FILE: "".join(f"{name}={value}\n" for name, value in own.items()).encode()} if own else {}


def _end(image: Image, name: str, seconds: float) -> tuple[str, ...]:
    patience = (f"--time={max(1, round(seconds))}", "--ignore") if image.dialect == "podman" else ()
    return (*image.tool, "rm", "--force", "--volumes", *patience, name)


def _mount(source: Path, target: str, *options: str) -> str:
    """One word of CSV, so that a path may have a comma."""
    fields = ["type=bind", f"src={source}", f"dst={target}", *options]
    quoted = (f'"{field}"' if "," in field else field for field in fields)
    return f"--mount={','.join(quoted)}"
