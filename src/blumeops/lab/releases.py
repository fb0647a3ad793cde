"""Downloads of a release: from a `release:` source to an address, a SHA-256 and a form, for each platform.

In: the source's own words, the version wanted. Out: a `Download` a platform, or a ValueError in a person's words. The
words are hostile: an address is `https` (plain `http` on loopback alone) without user or password, and no path within
an archive leads out of it. Nothing here knows on which platform it runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlsplit

from blumeops.lab.fields import Platform
from blumeops.lab.remotes import is_loopback
from blumeops.lab.template import Lookup, parse

Archive = Literal["tar", "zip", "none"]

ENDINGS: Mapping[str, Archive] = {
    ".tar": "tar", ".tar.gz": "tar", ".tgz": "tar", ".tar.xz": "tar", ".txz": "tar", ".tar.bz2": "tar", ".tbz2": "tar",
    ".zip": "zip",
}  # fmt: skip
PACKED = (".zst", ".7z", ".rar", ".gz", ".xz", ".bz2", ".deb", ".rpm", ".apk", ".dmg", ".pkg", ".msi", ".exe")
"""What is neither an archive that we unpack nor a program."""
LOOKUPS = ("version", "platform", "os", "arch")
MOST = 2000
ANY = "1.0"
"""Stands for a version that is not known yet: what holds for it holds for every other one."""
_PLAIN = re.compile(r"[\x21-\x7e]+")
_PATH = re.compile(r"[A-Za-z0-9_.@+~-]+(/[A-Za-z0-9_.@+~-]+)*")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~-]*")


class ReleaseSource(Protocol):
    """What is read of a source."""

    @property
    def release(self) -> str | None: ...
    @property
    def sha256(self) -> Mapping[Platform, str]: ...
    @property
    def called(self) -> Mapping[Platform, str]: ...
    @property
    def archive(self) -> Archive | None: ...
    @property
    def bin(self) -> str | None: ...
    @property
    def program(self) -> str | None: ...
    @property
    def version(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Download:
    """One file of a release. `folder` and `program`: paths in the archive, relative; empty: its root, and the name that
    the command has."""

    url: str
    sha256: str
    archive: Archive
    folder: str
    program: str


def downloads(source: ReleaseSource, version: str) -> dict[Platform, Download]:
    """By platform. Raises ValueError."""
    return {platform: _download(source, platform, version) for platform in source.sha256}


def called_by(command: Sequence[str], app: str) -> str:
    """The program's name: the command's first word, where that is the name of one; else the app's."""
    first = command[0] if command else ""
    return app if first in ("", "sh") or "{{" in first or "/" in first else first


def check(source: ReleaseSource) -> None:
    """Raises ValueError when the source's words do not fit each other."""
    own = [name for name in ("sha256", "called", "archive", "program") if getattr(source, name)]
    if source.release is None:
        if own:
            raise ValueError(f"`{own[0]}` is for a `release` only")
        return
    if not source.sha256:
        if own or "{{" in source.release:
            raise ValueError(
                "a `release` that is downloaded says its `sha256`, by platform: `curl -fsSL ADDRESS | sha256sum`"
            )
        return
    if stranger := source.called.keys() - source.sha256.keys():
        raise ValueError(f"`called` names {min(stranger)}, which is not among `sha256`")
    if source.version and not _VERSION.fullmatch(source.version):
        raise ValueError(f"{source.version!r} is no version")
    if len(source.release) > MOST:
        raise ValueError(f"is longer than {MOST} characters")
    for each in downloads(source, source.version or ANY).values():
        if urlsplit(each.url).netloc != urlsplit(source.release).netloc:
            raise ValueError("only the path of an address may have lookups")


def _download(source: ReleaseSource, platform: Platform, version: str) -> Download:
    os, _, arch = platform.partition("-")
    values = {"version": version, "os": os, "arch": arch, "platform": source.called.get(platform, platform)}
    url = _address(_filled(source.release or "", values))
    archive = source.archive or _archive(_filled(source.release or "", values | {"version": ANY}))
    inside = [_inside(_filled(text, values)) if text else "" for text in (source.bin, source.program)]
    if archive == "none" and any(inside):
        raise ValueError("`bin` and `program` are paths in an archive, and this is the program itself")
    return Download(url, source.sha256[platform], archive, *inside)


def _filled(text: str, values: Mapping[str, str]) -> str:
    pieces = []
    for piece in parse(text):
        if isinstance(piece, Lookup) and str(piece) not in values:
            raise ValueError(f"`{{{{ {piece} }}}}` is not known here: a release knows {', '.join(LOOKUPS)}")
        pieces.append(values[str(piece)] if isinstance(piece, Lookup) else piece)
    return "".join(pieces)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{url!r:.80} is no address") from None
    if not _PLAIN.fullmatch(url) or not host or port == 0 or parts.fragment:
        raise ValueError(f"{url!r:.80} is no address: write https://host/path")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(f"[{host}]" if ":" in host else host)):
        raise ValueError(f"{url!r:.80} must be https")
    return url


def _archive(url: str) -> Archive:
    name = urlsplit(url).path.rpartition("/")[2].lower()
    for ending, kind in ENDINGS.items():
        if name.endswith(ending):
            return kind
    if name.endswith(PACKED):
        raise ValueError(f"{name:.80} cannot be unpacked: {', '.join(ENDINGS)} can, or it is the program itself")
    return "none"


def _inside(path: str) -> str:
    parts = path.split("/")
    if not _PATH.fullmatch(path) or any(part in (".", "..") for part in parts):
        raise ValueError(f"{path!r:.80} is no path in an archive")
    return path
