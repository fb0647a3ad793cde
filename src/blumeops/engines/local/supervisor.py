"""Processes under supervisor (supervisord.org): a daemon with a state folder of its own.

In: program specs. Out: processes that outlive us, rotated logs, states. Layout below the folder:

    supervisord.conf, supervisord.log, supervisord.pid, lock
    conf.d/NAME.conf      what supervisor knows: no secret in it
    programs/NAME.json    what launch.py becomes (0600): argv, environment, user
    pids/NAME.json        who it became: pid and start time
    pids/NAME.json.ends   when it ended by itself, and whether it waits to be started again

Promised: a killed supervisord's programs are ended before the next one starts them again (it would double
them otherwise); a program that was started comes back with the manager, a stopped one does not.
"""

from __future__ import annotations

import json
import os
import signal
import time
import xmlrpc.client
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import Faults

from blumeops.base.errors import BlumeError, EngineError, Unavailable
from blumeops.base.files import PRIVATE, private_folder, write_whole
from blumeops.base.processes import run
from blumeops.engines.local import definitions, launch, leftovers, limits, states
from blumeops.engines.local.daemon import Daemon
from blumeops.engines.local.folders import Folders
from blumeops.engines.local.manager import USUAL, BackOff, Process, ProcessSpec

LOG_BYTES = 10 << 20
"""Bytes of a log from which on it is set aside, and another one begun."""


class Supervisor:
    """`ProcessManager` by supervisord. `folder`: its state; `site`: the folders, for its socket;
    `back_off`: how programs that keep ending are started again."""

    def __init__(
        self, folder: Path, site: Folders, back_off: BackOff = USUAL, log_bytes: int = LOG_BYTES
    ) -> None:  # fmt: skip
        """Raises UserError `BLU714` for a path that supervisor's configuration cannot name."""
        self.folder = folder
        self._back_off, self._log_bytes = back_off, log_bytes
        self._daemon = Daemon(folder, site)

    def ensure_running(self) -> bool:
        """See `ProcessManager`. Raises EngineError `BLU720` when the daemon does not come up."""
        if self._daemon.answers():
            return False
        for name in ("", "conf.d", "programs", "pids"):
            private_folder(self.folder / name)
        with self._daemon.alone():
            if self._daemon.answers():
                return False
            self._end_what_was_left()
            self._renew_limits()
            self._daemon.start()
        return True

    def define(self, spec: ProcessSpec) -> None:
        """See `ProcessManager`."""
        write_whole(self._spec_file(spec.name), json.dumps(self._launch_form(spec)), PRIVATE)
        with self._daemon.alone():
            new, known = self._conf(spec, started=False), self._conf_file(spec.name)
            before = known.read_text() if known.exists() else ""
            write_whole(known, new, PRIVATE)
            if before.replace("autostart=true", "autostart=false") != new:
                self._forget_group(spec.name)
            self._add_group(spec.name)

    def defined(self, name: str) -> ProcessSpec | None:
        """See `ProcessManager`."""
        try:
            return definitions.spec_in(self._spec_file(name).read_bytes())
        except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def start(self, name: str) -> None:
        """See `ProcessManager`."""
        spec = self.defined(name)
        self._set_autostart(name, spec is None or spec.restart)
        if launch.ends_of(str(self._record(name))).get("waits"):  # it is asked for now
            with suppress(xmlrpc.client.Fault):
                self._daemon.call("stopProcess", name, True)
        self._ends(name).unlink(missing_ok=True)
        try:
            self._daemon.call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise EngineError("BLU721", name, f"supervisor does not start it: {fault.faultString}") from fault

    def stop(self, name: str) -> None:
        """See `ProcessManager`."""
        self._set_autostart(name, False)
        spec = self.defined(name)
        at_rest = ("STOPPED", "FATAL") if spec is None or spec.restart else ("STOPPED", "FATAL", "EXITED")
        deadline = time.monotonic() + 5
        while True:
            try:
                self._daemon.call("stopProcess", name, True)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode == Faults.BAD_NAME:
                    break
            except Unavailable:
                break  # what the next one finds, it ends
            try:
                state = self._daemon.call("getProcessInfo", name)["statename"]
            except xmlrpc.client.Fault:
                break
            # EXITED: it ended by itself this moment, and supervisor is about to start it again.
            if state in at_rest or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        leftovers.end_marked(self._mark(name))
        self._clear(name)

    def remove(self, name: str) -> None:
        """See `ProcessManager`."""
        self.stop(name)
        if group := self._group(name):
            limits.remove(group)
        with self._daemon.alone():
            self._conf_file(name).unlink(missing_ok=True)
            self._spec_file(name).unlink(missing_ok=True)
            self._record(name).unlink(missing_ok=True)
            self._ends(name).unlink(missing_ok=True)
            with suppress(Unavailable):
                self._forget_group(name)

    def states(self) -> dict[str, Process]:
        """See `ProcessManager`."""
        try:
            infos = self._daemon.call("getAllProcessInfo")
        except Unavailable:
            return {}
        return {
            info["name"]: states.process(info, launch.ends_of(str(self._record(info["name"]))), self._back_off)
            for info in infos
        }

    def has_begun(self, name: str) -> bool:
        """See `ProcessManager`."""
        # launch.py may not have come to its record yet; and another supervisord does not know what this one started.
        return self._record(name).exists() or self.states().get(name, Process("stopped")).since > 0

    def has_ended(self, name: str, pid: int) -> bool:
        """See `ProcessManager`."""
        try:
            form = json.loads(self._record(name).read_text())
            return bool(form["pid"] == pid and form["identity"] != launch.identity(pid))
        except (OSError, ValueError, LookupError, TypeError):
            return False  # launch.py has not come to it yet

    def memory_kills(self, name: str) -> int:
        """See `ProcessManager`."""
        group = self._group(name)
        return launch.memory_kills(str(group)) if group else 0

    def out_of_memory(self, name: str) -> bool:
        """See `ProcessManager`."""
        try:
            before = int(json.loads(self._record(name).read_text())["memory_kills"])
        except (OSError, ValueError, LookupError, TypeError):
            return False
        return self.memory_kills(name) > before

    def pid(self) -> int:
        """See `ProcessManager`."""
        daemon = self._daemon.process()
        return daemon.pid if daemon else 0

    def shutdown(self) -> None:
        """See `ProcessManager`."""
        daemon = self._daemon.process()
        with suppress(Unavailable, xmlrpc.client.Fault):
            self._daemon.call("shutdown")
        if daemon:
            leftovers.end(leftovers.wait([daemon], 30))
        self._end_what_was_left()
        for file in (self.folder / "programs").glob("*.json"):
            if group := self._group(file.stem):
                limits.remove(group)

    # supervisord itself

    def _renew_limits(self) -> None:
        """Where groups can be made may be another place than before: another session, another boot."""
        for file in (self.folder / "programs").glob("*.json"):
            spec = self.defined(file.stem)
            if spec and json.loads(file.read_text()) != (form := self._launch_form(spec)):
                write_whole(file, json.dumps(form), PRIVATE)

    def _end_what_was_left(self) -> None:
        """End a supervisord that answers no more, then every program whose record names a living process."""
        daemon = self._daemon.process()
        if daemon:
            leftovers.end([daemon])
        orphans, patience = [], 0.0
        for file in (self.folder / "pids").glob("*.json"):
            spec, process = self.defined(file.stem), _recorded(file)
            if spec and process and process.pid != os.getpid():
                leftovers.send(process, signal.Signals[f"SIG{spec.stop_signal}"])
                orphans.append(process)
                patience = max(patience, spec.stop_seconds)
        leftovers.end(leftovers.wait(orphans, patience))
        leftovers.end_marked(self.folder / "programs")
        for file in (self.folder / "programs").glob("*.json"):
            self._clear(file.stem)
        for file in (self.folder / "pids").glob("*.ends"):  # what ended now was not by itself
            file.unlink(missing_ok=True)

    def _clear(self, name: str) -> None:
        spec = self.defined(name)
        if spec and spec.clear:
            with suppress(BlumeError):  # what cannot be ended now is before the next start
                run(spec.clear, env=spec.env, seconds=spec.stop_seconds + 20)

    # one program

    def _conf(self, spec: ProcessSpec, started: bool) -> str:
        form = self._spec_file(spec.name)
        return definitions.section(spec, form, self._back_off.young, self._log_bytes, started)

    def _group(self, name: str) -> Path | None:
        """The control group that the program was given at its definition."""
        try:
            return Path(json.loads(self._spec_file(name).read_text())["limit"]["group"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _launch_form(self, spec: ProcessSpec) -> dict[str, Any]:
        mark, record = self._mark(spec.name), self._record(spec.name)
        return definitions.launch_form(spec, mark, record, limits.limits_for(self.folder), self._back_off)

    def _set_autostart(self, name: str, started: bool) -> None:
        """Only for the next supervisord: this one does not read the file again."""
        conf = self._conf_file(name)
        if conf.exists():
            text = conf.read_text()
            new = text.replace(f"autostart={str(not started).lower()}", f"autostart={str(started).lower()}")
            if new != text:
                write_whole(conf, new, PRIVATE)

    def _add_group(self, name: str) -> None:
        try:
            self._daemon.call("reloadConfig")
            self._daemon.call("addProcessGroup", name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_ADDED:
                raise EngineError("BLU721", name, f"supervisor refuses it: {fault.faultString}") from fault

    def _forget_group(self, name: str) -> None:
        try:
            self._daemon.call("removeProcessGroup", name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.BAD_NAME:
                raise EngineError("BLU721", name, f"supervisor keeps it: {fault.faultString}") from fault

    def _conf_file(self, name: str) -> Path:
        return self.folder / "conf.d" / f"{name}.conf"

    def _spec_file(self, name: str) -> Path:
        return self.folder / "programs" / f"{name}.json"

    def _record(self, name: str) -> Path:
        return self.folder / "pids" / f"{name}.json"

    def _ends(self, name: str) -> Path:
        return self.folder / "pids" / f"{name}.json.ends"

    def _mark(self, name: str) -> Path:
        return self.folder / "programs" / name


def _recorded(file: Path) -> psutil.Process | None:
    """The very process that launch.py recorded, if it lives."""
    try:
        form = json.loads(file.read_text())
        process = psutil.Process(form["pid"])
        return process if form["identity"] and launch.identity(form["pid"]) == form["identity"] else None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
