"""Where everything of site `here` lies, and who may read it.

    STATE/manager/              the process manager's
    STATE/units/UNIT/           record.json; a/ and b/: the two instances' config/, secrets/ and loaded; home/
                                kept.json: what is left of one that is no more
    STATE/data/UNIT/NAME/       state folders: kept until a person asks for a prune of those of units that are gone
    STATE/snapshots/UNIT/       its state before an update, while that is under way
    STATE/shares/HOST/NAME/     shares that no folder of this machine was named for: kept for ever
    STATE/upstreams/NAME        a link to .UNIT.SLOT/, with one file, 8123: where the proxy looks for each request
    STATE/targets/UNIT.json     where its metrics are, for Prometheus, which must be able to list the folder
    STATE/pages/NAME.html       what the proxy shows while that name's service does not answer
    STATE/logs/UNIT.a.log

Services of root run as an unprivileged user of the machine (PostgreSQL insists), so that user must be able to
walk down to these folders: they are 0711 then, and private ones belong to that user. Otherwise all is 0700.
Root writes nothing below a folder that belongs to the services' user, since that user could put a link in the
way: an instance's `config` and `secrets` are root's, only the files in them are the services'.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from blumeops.base.errors import EngineError, Unavailable
from blumeops.base.files import cannot_write

SLOTS = ("a", "b")
"""A unit has two places to run in; an update moves to the other one, so the way back is always there."""
FIRST_USER, USERS = 0x70000000, 65536
"""The users of containers of root's: numbers that neither distributions nor systemd give to anybody
(https://systemd.io/UIDS-GIDS/)."""
SOCKET_LIMIT = 60
"""A folder for sockets is at most this long: the limit is 104 bytes on macOS, and the socket has a name too."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose rights services run with: None means ours."""

    user: int | None = None
    group: int | None = None


def service_account() -> Account:
    """Ours; for root, `nobody`: no service needs more, and some refuse root."""
    if os.geteuid() != 0:
        return Account()
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


@dataclass(frozen=True)
class Folders:
    """The layout above, for one state folder."""

    state: Path
    account: Account
    shares: Mapping[str, Path] = field(default_factory=dict)
    """Shares for which a folder of this machine was named (`--share nas/music=PATH`)."""

    def prepare(self) -> None:
        """Make what all share. Raises Unavailable `BLU706` when services could not get there."""
        for path in (self.state, self.state / "units", self.state / "data", self.state / "logs", self.upstreams):
            self.shared(path)
        self.for_service(self.targets)
        self.for_service(self.pages)
        if self.account.user is not None:
            check_reachable(self.state, self.account, "choose another folder with --state, such as /var/lib/blumeops")

    @property
    def upstreams(self) -> Path:
        return self.state / "upstreams"

    @property
    def targets(self) -> Path:
        return self.state / "targets"

    @property
    def pages(self) -> Path:
        return self.state / "pages"

    def unit(self, unit: str) -> Path:
        return self.state / "units" / unit

    def instance(self, unit: str, slot: str) -> Path:
        return self.unit(unit) / slot

    def home(self, unit: str) -> Path:
        return self.unit(unit) / "home"

    def data(self, unit: str, name: str) -> Path:
        return self.state / "data" / unit / name

    def snapshots(self, unit: str) -> Path:
        return self.state / "snapshots" / unit

    def share(self, name: str) -> Path:
        """A share, or what is in it: "nas/music" or "nas/music/albums"."""
        share, inside = _share(name)
        return self.shares.get(share, self.state / "shares" / share) / inside

    def named(self, share: str) -> Path | None:
        """The folder of this machine that stands in for a share; None: it is one of the state."""
        return self.shares.get(_share(share)[0])

    def make_share(self, name: str) -> None:
        """Make a share's folder, unless it is one of this machine's, or there: a person may have put it there. Whoever
        gets to it may read it, for a container is another user; to what is around it only services get."""
        share = self.state / "shares" / _share(name)[0]
        if _share(name)[0] not in self.shares:
            self.shared(self.state / "shares")
            if share.parent != self.state / "shares":
                self.of_service(share.parent)
            if not os.path.lexists(share):
                _folder(
                    share, 0o700 if self.account.user is None else 0o755, os.geteuid(), self.account, self.account.user
                )

    def log(self, unit: str, slot: str) -> Path:
        return self.state / "logs" / f"{unit}.{slot}.log"

    def sockets(self, unit: str) -> Path:
        """A short folder for the unit's sockets."""
        return self.short() / unit

    def short(self) -> Path:
        """`STATE/run` where that is short enough, else a folder of its own in a short place. It is there while
        something runs: naming it makes nothing."""
        inside = self.state / "run"
        if len(os.fsencode(inside)) + 25 <= SOCKET_LIMIT:
            return inside
        name = f"blumeops-{os.geteuid()}-{hashlib.sha256(os.fsencode(self.state)).hexdigest()[:10]}"
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        private = bool(runtime) and len(runtime) < 30 and self.account.user is None
        base = Path(runtime if private else "/tmp")  # noqa: S108 - `shared` refuses what another made there
        return base / name

    def make_short(self) -> Path:
        """Make it. Raises EngineError `BLU705` where another did."""
        return self.shared(self.short())

    def door(self) -> Path:
        """Where to knock: the same folder while it is there, else a name in our state behind which nobody listens. In a
        place where all may write, another could make it in the moment before we connect. Raises EngineError `BLU705`.
        """
        return self.make_short() if os.path.lexists(self.short()) else self.state / "run"

    def clear_short(self) -> None:
        """Take away the sockets' folder: nothing runs any more."""
        shutil.rmtree(self.door(), ignore_errors=True)

    def shared(self, path: Path) -> Path:
        """A folder of ours that services may walk through. Raises EngineError `BLU705` if another owns it."""
        return _folder(path, 0o700 if self.account.user is None else 0o711, os.geteuid(), Account())

    def of_service(self, path: Path) -> Path:
        """A folder of the services' user alone."""
        return _folder(path, 0o700, os.geteuid(), self.account, self.account.user)

    @property
    def runs_as(self) -> str:
        """The name of the services' user; empty where it is ours."""
        return pwd.getpwuid(self.account.user).pw_name if self.account.user is not None else ""

    def for_service(self, path: Path) -> Path:
        """A folder of ours whose files services may list and read, but not replace."""
        account = self.account
        return _folder(path, 0o700 if account.user is None else 0o750, os.geteuid(), account, os.geteuid())

    def listed(self, path: Path) -> Path:
        """A folder of ours that services may list, and anybody walk through: a container is another user."""
        account = self.account
        return _folder(path, 0o700 if account.user is None else 0o751, os.geteuid(), account, os.geteuid())

    @property
    def owner(self) -> tuple[int, int] | None:
        """The services' user and group, where they are not ours."""
        user, group = self.account.user, self.account.group
        return None if user is None or group is None else (user, group)


def _share(name: str) -> tuple[str, str]:
    """The share, and what is in it."""
    words = name.split("/")
    return "/".join(words[:2]), "/".join(words[2:])


def give(path: Path, account: Account, services: Account) -> None:
    """Make a state folder, or give one with all that is in it to another of those accounts that services run as:
    a program of this machine and a container have different ones. `services`: the account of the former.

    What a container that begins as root made of its folders is left so. Files of anybody else, to which a service
    may have linked, are passed over. Raises EngineError `BLU705` if another owns the folder.
    """
    if account.user is None or account.group is None or services.user is None:
        _folder(path, 0o700, os.geteuid(), Account())
        return
    contained = range(FIRST_USER, FIRST_USER + USERS)
    known = {os.geteuid(), services.user, *contained}
    if not os.path.lexists(path):
        _folder(path, 0o700, os.geteuid(), account, account.user)
        return
    owner = os.lstat(path).st_uid
    if owner == account.user or (account.user == FIRST_USER and owner in contained):
        return
    if owner not in known or path.is_symlink():
        raise EngineError("BLU705", str(path), "is not a folder of ours", "remove it, or choose another --state")
    try:
        for _, folders, files, at in os.fwalk(path):
            for name in (*folders, *files):
                if os.stat(name, dir_fd=at, follow_symlinks=False).st_uid in known - {os.geteuid()}:
                    os.chown(name, account.user, account.group, dir_fd=at, follow_symlinks=False)
        os.chown(path, account.user, account.group, follow_symlinks=False)  # last: until then it is not done
    except OSError as error:
        raise cannot_write(path, error) from error


def _folder(path: Path, mode: int, us: int, group_of: Account, owner: int | None = None) -> Path:
    """Make it, ours or `owner`'s and in the group of `group_of`. What is changed is what was looked at: all goes by
    one descriptor, and no link is followed."""
    owner = us if owner is None else owner
    refused = EngineError("BLU705", str(path), "is not a folder of ours", "remove it, or choose another --state")
    try:
        _make(path, 0o755 if us == 0 else 0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.EACCES) and path.exists():
            raise refused from error
        raise cannot_write(path, error) from error
    try:
        found = os.fstat(descriptor)
        if found.st_uid not in {us, us if group_of.user is None else group_of.user}:
            raise refused
        group = found.st_gid if group_of.group is None else group_of.group
        if (found.st_uid, found.st_gid) != (owner, group):
            os.fchown(descriptor, owner, group)
        if stat.S_IMODE(found.st_mode) != mode:
            os.fchmod(descriptor, mode)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        os.close(descriptor)
    return path


def _make(path: Path, mode: int) -> None:
    """Make the folder, and its parents with exactly this mode whatever the umask is."""
    missing = [each for each in (path, *path.parents) if not os.path.lexists(each)]
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
            if each != path:
                each.chmod(mode)


def check_reachable(path: Path, account: Account, hint: str) -> None:
    """Raise Unavailable `BLU706` naming the folder that the services' user may not enter."""
    for folder in (*reversed(path.resolve().parents), path):
        found = folder.stat()
        may = stat.S_IXUSR if found.st_uid == account.user else stat.S_IXOTH
        if not found.st_mode & may:
            name = pwd.getpwuid(account.user).pw_name if account.user is not None else "we"
            raise Unavailable("BLU706", str(folder), f"cannot be entered by {name}, who services run as", hint)
