"""From a rendered unit to what only this machine knows: ports, folders, secret values, paths of programs.

In: a LocalUnit, the slot, its ports and its program. Out: `Resolved`: a process's spec and its files' bytes.
Nothing is written here. Values that came from secrets are remembered, so that no message shows one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from blumeops.base.errors import EngineError, Unavailable
from blumeops.engines.local import contained, launch
from blumeops.engines.local.contained import Contained
from blumeops.engines.local.folders import Folders
from blumeops.engines.local.manager import ProcessSpec
from blumeops.engines.local.programs import runtime
from blumeops.engines.local.programs.found import Program
from blumeops.engines.local.programs.image import Image
from blumeops.engines.local.record import process_name
from blumeops.render.local_unit import (
    FolderPart,
    HostPart,
    LocalUnit,
    Part,
    PortPart,
    SecretFilePart,
    SecretPart,
    Text,
)  # fmt: skip
from blumeops.secrets.masks import Masks

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


class Secrets:
    """The store's answers, and their masking. `masks`: what knows them afterwards, perhaps of earlier ones too."""

    def __init__(self, read: Callable[[str], str], masks: Masks | None = None) -> None:
        self._read = read
        self._masks = masks or Masks()
        self.mask = self._masks.mask

    def __call__(self, reference: str) -> str:
        value = self._read(reference)
        self._masks.add(value)
        return value


@dataclass(frozen=True)
class Resolved:
    """One instance, whole."""

    spec: ProcessSpec
    files: dict[str, bytes]
    secret_files: dict[str, bytes]


@dataclass(frozen=True)
class Resolver:
    """Texts of one unit in one slot. `ports`: its own; `port_of(unit, port)`: another unit's; `image`: where it is a
    container, in whose words they are said then."""

    folders: Folders
    secrets: Secrets
    unit: LocalUnit
    slot: str
    ports: Mapping[str, int]
    port_of: Callable[[str, str], int]
    image: Image | None = None

    @property
    def contained(self) -> Contained | None:
        """The container, where it is one."""
        return Contained(self.image, self.folders, self.unit, self.slot, self.ports) if self.image else None

    @property
    def owned(self) -> Folders:
        """The folders, with the unit's files as those of whoever it runs as."""
        return self.contained.owned if self.contained else self.folders

    def text(self, text: Text) -> str:
        """The pieces put together. Raises EngineError `BLU707` for a port or a folder that does not exist."""
        return "".join(self._part(part) for part in text)

    def words(self, texts: tuple[Text, ...]) -> tuple[str, ...]:
        """Each of them."""
        return tuple(map(self.text, texts))

    def _part(self, part: Part) -> str:
        inside = self.contained
        match part:
            case str():
                return part
            case SecretPart():
                return self.secrets(part.secret)
            case SecretFilePart():
                if inside:
                    return inside.secret_file(part.secret_file)
                return str(self.folders.instance(self.unit.unit, self.slot) / "secrets" / part.secret_file)
            case PortPart():
                if part.unit in ("", self.unit.unit):
                    return str(inside.port(part.port) if inside else self._own_port(part.port))
                return str(self.port_of(part.unit, part.port))
            case HostPart():
                return inside.host(part) if inside else "127.0.0.1"
            case FolderPart():
                if (part.before or part.after) and not self._folder(part).is_dir():
                    return ""
                return f"{part.before}{inside.path(part) if inside else self._folder(part)}{part.after}"

    def _own_port(self, name: str) -> int:
        if name not in self.ports:
            raise EngineError("BLU707", self.unit.unit, f"has no port named {name}")
        return self.ports[name]

    def _folder(self, part: FolderPart) -> Path:
        match part.folder:
            case "state":
                return self.folders.data(part.unit or self.unit.unit, part.name)
            case "config":
                return self.folders.instance(self.unit.unit, self.slot) / "config" / part.name
            case "run":
                return self.folders.sockets(self.unit.unit) / part.name
            case "upstreams":
                return self.folders.upstreams / part.name
            case "targets":
                return self.folders.targets / part.name
            case "pages":
                return self.folders.pages / part.name
            case "share":
                return self.folders.share(part.name)

    def environment(self, program: Program) -> dict[str, str]:
        """What the unit's program and its helpers see: nothing of ours but the time zone."""
        found = {
            "PATH": ":".join(map(str, (program.folder, *program.tools, SYSTEM_PATH))),
            "HOME": str(self.folders.home(self.unit.unit)),
            "LANG": "C.UTF-8",
        }
        if "TZ" in os.environ:
            found["TZ"] = os.environ["TZ"]
        if program.libraries:
            found["LD_LIBRARY_PATH"] = ":".join(map(str, program.libraries))
        return found | {name: self.text(text) for name, text in self.unit.env.items()}

    def whole(self, program: Program) -> Resolved:
        """The instance. Raises Unavailable `BLU702` when the program lacks the command's binary."""
        unit, folders = self.unit, self.folders
        files = {_relative(unit, name): self.text(text).encode() for name, text in unit.files.items()}
        secret_files = {_relative(unit, name): self.secrets(ref).encode() for name, ref in unit.secret_files.items()}
        inside = self.contained
        if inside:
            env = {name: self.text(text) for name, text in unit.env.items()}
            secret_files |= contained.env_file(unit.unit, env)
            return Resolved(self._container(inside, env), files, secret_files)
        command = self.words(unit.command)
        if not command:
            raise Unavailable("BLU702", unit.unit, "names no command, which only an image can do without")
        spec = ProcessSpec(
            name=process_name(unit.unit, self.slot),
            argv=(str(program.binary(command[0])), *command[1:]),
            env=self.environment(program),
            cwd=folders.home(unit.unit),
            log=folders.log(unit.unit, self.slot),
            stop_signal=unit.stop_signal,
            stop_seconds=unit.stop_seconds,
            user=folders.account.user,
            group=folders.account.group,
            reads_all=unit.reads_all and folders.account.user is not None and launch.can_read_all(),
            memory=unit.memory,
        )
        return Resolved(spec, files, secret_files)

    def _container(self, inside: Contained, env: Mapping[str, str]) -> ProcessSpec:
        """The runtime's client, which gets the secrets by its environment."""
        unit, folders = self.unit, self.folders
        words = self.words(unit.command or inside.form.arguments)
        return ProcessSpec(
            name=process_name(unit.unit, self.slot),
            argv=inside.start(words, env),
            env=runtime.environment() | {name: value for name, value in env.items() if not contained.clients_own(name)},
            cwd=folders.state,
            log=folders.log(unit.unit, self.slot),
            stop_signal=unit.stop_signal,
            stop_seconds=unit.stop_seconds,
            clear=inside.end(),
        )


def shares_of(unit: LocalUnit, *, contained: bool) -> set[str]:
    """The shares that a unit's texts speak of; `contained`: and those that its container mounts."""
    mounted = unit.container.shares.keys() if unit.container and contained else set()
    return {part.name for part in _parts(unit) if isinstance(part, FolderPart) and part.folder == "share"} | mounted


def others_folders(unit: LocalUnit) -> set[FolderPart]:
    """The state folders of other units that a unit's texts speak of."""
    return {part for part in _parts(unit) if isinstance(part, FolderPart) and part.unit not in ("", unit.unit)}


def references_of(unit: LocalUnit) -> set[str]:
    """The `op://` references whose values the unit's process, or its providers, get."""
    return {part.secret for part in _parts(unit) if isinstance(part, SecretPart)} | set(unit.secret_files.values())


def addresses_of(unit: LocalUnit) -> set[tuple[str, str]]:
    """The (unit, port) pairs of other units that this one's texts speak of."""
    found = {(part.unit, part.port) for part in _parts(unit) if isinstance(part, PortPart)}
    return {(other, port) for other, port in found if other not in ("", unit.unit)}


def _parts(unit: LocalUnit) -> list[Part]:
    texts = [*unit.command, *unit.reload, *unit.env.values(), *unit.files.values()]
    texts += unit.container.arguments if unit.container else ()
    texts += [text for grant in unit.grants for text in (*grant.command, *grant.env.values())]
    return [part for text in texts for part in text]


def _relative(unit: LocalUnit, name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise EngineError("BLU707", unit.unit, f"{name} is no name for a file of its configuration folder")
    return str(path)
