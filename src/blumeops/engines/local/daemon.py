"""supervisord itself: its configuration, its start, its socket, and the one process that it is.

In: a folder of ours for its files and the site's folders, of which one is short enough for its socket. Out: answers to
calls. The daemon inherits nothing from who started it: no descriptors, no terminal, no environment but PATH and the
locale.
"""

from __future__ import annotations

import http.client
import os
import re
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from blumeops.base.errors import EngineError, Unavailable, UserError
from blumeops.base.files import PRIVATE, locked, private_folder, write_whole
from blumeops.base.processes import must, run
from blumeops.engines.local.folders import Folders

UNFIT = re.compile(r"[;#%\[*?\x00-\x1f\x7f]")
"""In a path these are not themselves to supervisor: comments, expansions, patterns, the ends of lines."""
SOCKET = "supervisor.sock"
AWAY = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError)

DAEMON = """\
[unix_http_server]
file={socket}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
logfile={folder}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={folder}/supervisord.pid
childlogdir={folder}
directory={folder}
identifier=blumeops
umask=077
{user}
[include]
files=conf.d/*.conf
"""


def must_be_nameable(path: Path) -> None:
    """Raise UserError `BLU714` for a path that supervisor's configuration cannot name."""
    found = UNFIT.search(str(path))
    if found:
        why = f"has {found.group()!r} in it, with which services cannot be run"
        raise UserError("BLU714", repr(str(path)), why, "choose another folder with --state")


class Daemon:
    """One supervisord. `folder`: its state; `site`: where its socket is found, and made."""

    def __init__(self, folder: Path, site: Folders) -> None:
        """Raises UserError `BLU714` for a path that supervisor's configuration cannot name."""
        for path in (folder, site.short()):
            must_be_nameable(path)
        self.folder = folder
        self._site = site

    def start(self) -> None:
        """Start it; no other may run. Raises EngineError `BLU720` when it does not come up."""
        socket = self._site.make_short() / SOCKET
        socket.unlink(missing_ok=True)
        user = "user=root" if os.geteuid() == 0 else ""
        conf = self.folder / "supervisord.conf"
        write_whole(conf, DAEMON.format(folder=plain(self.folder), socket=plain(socket), user=user), PRIVATE)
        env = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
        # It makes itself a daemon (two forks, a session of its own, no descriptors) after it read its files.
        done = run([sys.executable, "-I", "-m", "supervisor.supervisord", "-c", str(conf)], env=env)
        must(done, "BLU720", "supervisord", f"see {self.folder}/supervisord.log")
        deadline = time.monotonic() + 10
        while not self.answers():
            if time.monotonic() > deadline:
                raise EngineError("BLU720", "supervisord", "does not answer", f"see {self.folder}/supervisord.log")
            time.sleep(0.005)

    def process(self) -> psutil.Process | None:
        """The supervisord of this folder, if it runs."""
        try:
            process = psutil.Process(int((self.folder / "supervisord.pid").read_text()))
            return process if str(self.folder / "supervisord.conf") in process.cmdline() else None
        except (FileNotFoundError, ValueError, psutil.Error):
            return None

    def answers(self) -> bool:
        """Whether it is there, and ours."""
        try:
            return bool(self.call("getIdentification") == "blumeops")
        except (Unavailable, xmlrpc.client.Fault):
            return False

    def call(self, method: str, *arguments: object) -> Any:
        """What the method of its interface returns. Raises Unavailable `BLU722`, xmlrpc.client.Fault."""
        transport = SupervisorTransport(None, None, f"unix://{self._site.door() / SOCKET}")
        try:
            proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        except AWAY as error:
            raise Unavailable("BLU722", "supervisord", "does not run, or does not answer") from error
        finally:
            transport.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time changes the configuration or starts the daemon."""
        with locked(private_folder(self.folder) / "lock"):
            yield


def plain(text: object) -> str:
    """Supervisor expands %(name)s in values."""
    return str(text).replace("%", "%%")
