"""The configuration that a program says it runs with, against what it said when it had read its files.

In: an instance whose app says where that is told: by HTTP on a socket in its folder for sockets. Out: whether it is
another one by now, and both as text, JSON in a fixed order. Kept: `units/UNIT/SLOT/loaded`, a keyed digest of
what it said, and the text without secrets. Promised: a program that does not answer, or says something else each time,
has no drift.
"""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing, suppress
from pathlib import Path

from blumeops.base.files import PRIVATE, write_whole
from blumeops.engines.local import instance
from blumeops.engines.local.record import Instance
from blumeops.engines.local.site import Site

NAME = "running configuration"
"""As drift, it is called so."""
MOST = 8_000_000
"""Bytes that are read: what is longer is not compared."""
SECONDS = 2.0


def keep(site: Site, at: Instance) -> None:
    """It has just read its files: what it says now is right. Raises EngineError `BLU903`."""
    if at.unit.loaded is None or at.image:
        return
    said = said_now(site, at)
    if said and said == said_now(site, at):
        write_whole(_file(site, at), f"{_digest(site, said)}\n{site.secrets.mask(said)}", PRIVATE)
    else:
        _file(site, at).unlink(missing_ok=True)


def is_known(site: Site, at: Instance) -> bool:
    """Whether there is something to compare with, or never will be."""
    return at.unit.loaded is None or at.image is not None or _file(site, at).exists()


def changed(site: Site, at: Instance) -> bool:
    """Whether it says another configuration than then. The caller sees that the unit is not being changed."""
    right = _kept(site, at)
    said = said_now(site, at) if right else ""
    return bool(said) and _digest(site, said) != right.partition("\n")[0] and _kept(site, at) == right


def kept(site: Site, at: Instance) -> str:
    """What it said then, without secrets; empty where that is not known."""
    return _kept(site, at).partition("\n")[2]


def said_now(site: Site, at: Instance) -> str:
    """What it says now; empty where it does not answer."""
    assert at.unit.loaded
    connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
    with closing(connection), suppress(OSError, http.client.HTTPException, ValueError):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(SECONDS)
        connection.sock.connect(str(site.folders.sockets(at.unit.unit) / at.unit.loaded.socket))
        connection.request("GET", at.unit.loaded.path)
        answer = connection.getresponse()
        text = answer.read(MOST + 1)
        if answer.status == http.client.OK and len(text) <= MOST:
            return json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False)
    return ""


def _kept(site: Site, at: Instance) -> str:
    if at.unit.loaded and not at.image:
        with suppress(OSError):
            return _file(site, at).read_text()
    return ""


def _digest(site: Site, text: str) -> str:
    return instance.stamps({NAME: text.encode()}, instance.stamp_key(site.folders.state))[NAME]


def _file(site: Site, at: Instance) -> Path:
    return site.folders.instance(at.unit.unit, at.slot) / "loaded"
