"""Where everything of site `here` lies, and who may read it.

    STATE/manager/              the process manager's
    STATE/units/UNIT/           record.json; a/ and b/: the two instances' config/ and secrets/; home/
    STATE/data/UNIT/NAME/       state folders: kept for ever
    STATE/shares/NAME/          shares that no folder of this machine was named for: kept for ever
    STATE/upstreams/UNIT.PORT   "127.0.0.1:8123", read by the proxy for each request
    STATE/targets/UNIT.json     where its metrics are, for Prometheus, which must be able to list the folder
    STATE/logs/UNIT.a.log

Services of root run as an unprivileged user of the machine (PostgreSQL insists), so that user must be able to
walk down to these folders: they are 0711 then, and private ones belong to that user. Otherwise all is 0700.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blumeops.base.errors import EngineError, Unavailable
from blumeops.base.files import cannot_write

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
    """Shares for which a folder of this machine was named (`--share music=PATH`)."""

    def prepare(self) -> None:
        """Make what all share. Raises Unavailable `BLU706` when services could not get there."""
        for path in (self.state, self.state / "units", self.state / "data", self.state / "logs", self.upstreams):
            self.shared(path)
        _folder(self.targets, 0o700 if self.account.user is None else 0o755, os.geteuid(), None)
        if self.account.user is not None:
            check_reachable(self.state, self.account, "choose another folder with --state, such as /var/lib/blumeops")

    @property
    def upstreams(self) -> Path:
        return self.state / "upstreams"

    @property
    def targets(self) -> Path:
        return self.state / "targets"

    def unit(self, unit: str) -> Path:
        return self.state / "units" / unit

    def instance(self, unit: str, slot: str) -> Path:
        return self.unit(unit) / slot

    def home(self, unit: str) -> Path:
        return self.unit(unit) / "home"

    def data(self, unit: str, name: str) -> Path:
        return self.state / "data" / unit / name

    def share(self, name: str) -> Path:
        """A share, or what is in it: "music" or "music/albums"."""
        share, _, inside = name.partition("/")
        return self.shares.get(share, self.state / "shares" / share) / inside

    def make_share(self, name: str) -> None:
        """Make a share's folder, unless it is one of this machine's."""
        share = name.partition("/")[0]
        if share not in self.shares:
            self.shared(self.state / "shares")
            self.of_service(self.state / "shares" / share)

    def log(self, unit: str, slot: str) -> Path:
        return self.state / "logs" / f"{unit}.{slot}.log"

    def sockets(self, unit: str) -> Path:
        """A short folder for the unit's sockets."""
        return self.short() / unit

    def short(self) -> Path:
        """`STATE/run` where that is short enough, else a private folder for it in a short place."""
        inside = self.state / "run"
        if len(os.fsencode(inside)) + 25 <= SOCKET_LIMIT:
            return self.shared(inside)
        name = f"blumeops-{os.geteuid()}-{hashlib.sha256(os.fsencode(self.state)).hexdigest()[:10]}"
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        private = bool(runtime) and len(runtime) < 30 and self.account.user is None
        base = Path(runtime if private else "/tmp")  # noqa: S108 - `shared` refuses what another made there
        return self.shared(base / name)

    def clear_short(self) -> None:
        """Take away the sockets' folder: nothing runs any more."""
        shutil.rmtree(self.short(), ignore_errors=True)

    def shared(self, path: Path) -> Path:
        """A folder of ours that services may walk through. Raises EngineError `BLU705` if another owns it."""
        return _folder(path, 0o700 if self.account.user is None else 0o711, os.geteuid(), None)

    def of_service(self, path: Path) -> Path:
        """A folder of the services' user alone."""
        return _folder(path, 0o700, os.geteuid(), self.account)

    def give(self, path: Path) -> None:
        """Let the services' user own this file."""
        if self.account.user is not None and self.account.group is not None:
            os.chown(path, self.account.user, self.account.group)


def _folder(path: Path, mode: int, owner: int, give: Account | None) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
        found = path.lstat()
        allowed = {owner, give.user if give else owner}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in allowed:
            raise EngineError("BLU705", str(path), "is not a folder of ours", "remove it, or choose another --state")
        if give and give.user is not None and give.group is not None and found.st_uid != give.user:
            os.chown(path, give.user, give.group)
        if stat.S_IMODE(found.st_mode) != mode:
            path.chmod(mode)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def check_reachable(path: Path, account: Account, hint: str) -> None:
    """Raise Unavailable `BLU706` naming the folder that the services' user may not enter."""
    for folder in (*reversed(path.resolve().parents), path):
        found = folder.stat()
        may = stat.S_IXUSR if found.st_uid == account.user else stat.S_IXOTH
        if not found.st_mode & may:
            name = pwd.getpwuid(account.user).pw_name if account.user is not None else "we"
            raise Unavailable("BLU706", str(folder), f"cannot be entered by {name}, who services run as", hint)
