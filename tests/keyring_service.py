"""A real Secret Service (GNOME's keyring) on a bus of a test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("dbus-daemon", "dbus-send", "gnome-keyring-daemon")
CONFIG = """\
<busconfig><type>session</type><listen>unix:path={place}/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""
"""Nothing is started by a call: a keyring that the bus started would be another one, and locked."""


@contextmanager
def secret_service(place: Path) -> Iterator[dict[str, str]]:
    """Unlocked, its collection below `place`; the variables by which it is found. Skips where there is none."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        pytest.skip(f"needs {' and '.join(missing)}")
    (place / "bus.conf").write_text(CONFIG.format(place=place))
    bus = subprocess.Popen(
        ["dbus-daemon", f"--config-file={place}/bus.conf", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"], "HOME": str(place)},
    )  # fmt: skip
    assert bus.stdout
    session = {"DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().strip(), "XDG_RUNTIME_DIR": str(place)}
    env = {"PATH": os.environ["PATH"], "HOME": str(place), "XDG_DATA_HOME": str(place / "data"), **session}
    daemon = subprocess.Popen(
        ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env,
    )  # fmt: skip
    assert daemon.stdin
    daemon.stdin.write(b"the password of the login")
    daemon.stdin.close()
    try:
        _wait(session)
        yield session
    finally:
        for process in (daemon, bus):
            process.terminate()
            process.wait(10)
        bus.stdout.close()


def _wait(session: dict[str, str]) -> None:
    """Until the service has its name on the bus, and its collection."""
    ask = ["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"]
    ask += ["org.freedesktop.Secret.Service.ReadAlias", "string:default"]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        done = subprocess.run(ask, env=os.environ | session, capture_output=True, text=True, check=False)
        if done.returncode == 0 and "collection" in done.stdout:
            return
        time.sleep(0.05)
    raise AssertionError("no keyring answers")
