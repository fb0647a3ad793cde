"""Addresses of Git repositories elsewhere: text enters, its parts leave, or a ValueError in a person's words.

The text comes with the description, so it is hostile. Only four ways are known: `https`, `ssh`, `file`, and `http` on
loopback; never `ext::` or another helper of Git's. No part can be taken for an option, and no password stands in one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 1000
_HOST = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])"
_USER = r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
_PATH = r"(?P<path>[A-Za-z0-9~_.][A-Za-z0-9~_.+/-]*)"
_URL = rf"(?P<scheme>https?|ssh)://{_USER}{_HOST}(?::(?P<port>[0-9]{{1,5}}))?/{_PATH}\Z"
_SCP = rf"{_USER}{_HOST}:(?P<path>[A-Za-z0-9~_./][A-Za-z0-9~_.+/-]*)\Z"
_FILE = r"file://(?P<path>/[^\x00-\x1f\x7f?#\\]*)\Z"
"""Compiled when they are first needed, and kept by `re`: few labs name a remote, and these take longest of all."""
_LOOPBACK = re.compile(r"localhost|.+\.localhost|127(\.[0-9]{1,3}){3}|\[::1\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a remote's URL. `scheme`: https, http, ssh or file; `port` 0: the scheme's own."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def server(self) -> str:
        """Host, and port where one is named."""
        return f"{self.host}:{self.port}" if self.port else self.host


def parse_remote(text: str) -> Address:
    """The parts of a Git repository's address. Raises ValueError."""
    if len(text) > MOST:
        raise ValueError(f"is longer than {MOST} characters")
    if file := re.match(_FILE, text):
        return _without_steps(Address("file", path=file["path"]))
    if "://" not in text and (scp := re.match(_SCP, text)):
        return _without_steps(Address("ssh", scp["host"], path=scp["path"].lstrip("/")))
    found = re.match(_URL, text)
    if not found:
        if "@" in text.partition("://")[2].partition("/")[0] and text.startswith("http"):
            raise ValueError("must not hold a user or a password: keep the token in the store, and name it by `token:`")
        raise ValueError(f"{text!r:.80} is no address: write https://…, ssh://…, user@host:path or file:///…")
    if found["scheme"] != "ssh" and found["user"]:
        raise ValueError("must not hold a user or a password: keep the token in the store, and name it by `token:`")
    return _without_steps(_on_loopback(found["scheme"], found["host"], found["port"], found["path"]))


def parse_api(text: str) -> Address:
    """The parts of an API's address; its path without the last `/`. Raises ValueError."""
    found = re.match(_URL, text.rstrip("/") if text.rstrip("/").count("/") > 2 else f"{text.rstrip('/')}/.")
    if len(text) > MOST or not found or found["scheme"] == "ssh" or found["user"]:
        raise ValueError(f"{text!r:.80} is no address: write https://forge.example.org")
    path = "" if found["path"] == "." else found["path"]
    return _without_steps(_on_loopback(found["scheme"], found["host"], found["port"], path))


def is_loopback(host: str) -> bool:
    """Whether a host's name or address (without a port) means this machine, by RFC 6761."""
    return bool(_LOOPBACK.fullmatch(host))


def _on_loopback(scheme: str, host: str, port: str | None, path: str) -> Address:
    if port and not 0 < int(port) < 65536:
        raise ValueError(f"{port} is no port")
    if scheme == "http" and not is_loopback(host):
        raise ValueError("must be https: whoever is between could read the token, and change the lab")
    return Address(scheme, host.lower(), int(port or 0), path)


def _without_steps(address: Address) -> Address:
    if ".." in address.path.split("/"):
        raise ValueError("must not have `..` in its path")
    return address
