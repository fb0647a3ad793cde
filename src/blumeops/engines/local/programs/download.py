"""One file by HTTPS, known by its SHA-256: whole and verified, or not there.

In: an address, the SHA-256, the place. Out: the file, or `Failed` with the reason. Promised: bounded size; bounded time
once the header is there (each piece of a header has `silence` only, so a server may draw it out); no other scheme than
`https`, but for loopback; no redirect from `https` to `http`. What had come when a transfer ended is kept beside the
place, and asked for no more; a file with another SHA-256 is not kept.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

from blumeops.base.away import in_words
from blumeops.base.errors import EngineError
from blumeops.base.files import PRIVATE, cannot_write
from blumeops.engines.local.programs.progress import Progress, megabytes
from blumeops.lab.remotes import is_loopback

CHUNK = 1 << 16
TRIES = 5
"""How often a transfer that had brought something is taken up again."""
REDIRECTS = 5
PART = ".part"
SPAN = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a download may take."""

    silence: float = 30.0
    """Seconds to a connection, and between two pieces."""
    slow: float = 60.0
    """Seconds in which `least` bytes must have come."""
    least: int = 16 << 10
    whole: float = 3600.0
    size: int = 2 << 30


USUAL = Limits()


class Failed(Exception):
    """It cannot be had, for this reason; asking again may help."""


class Away(Failed):
    """Its server did not answer at all."""


class _TooLarge(Failed):
    """There is no use in asking for the rest."""


class _Broken(Failed):
    """A transfer that had begun has ended early."""


def fetch(
    url: str, sha256: str, to: Path, what: str, say: Callable[[str], None], limits: Limits = USUAL
) -> None:  # fmt: skip
    """Bring it to `to`, whose folder is there and ours alone. Raises Failed; EngineError `BLU734` when it is another
    file, `BLU903` when it cannot be written."""
    if not _is_safe(url):
        raise Failed("is not https")
    part = to.with_name(to.name + PART)
    deadline = time.monotonic() + limits.whole
    try:
        if _digest(to) == sha256:
            return
        to.unlink(missing_ok=True)
        resumed, found = part.exists(), _digest(part)
        if found != sha256:
            _transfer(url, part, what, say, limits, deadline)
            found = _digest(part)
        if found != sha256 and resumed:  # of another file, or cut at a bad place: once more from the start
            part.unlink()
            _transfer(url, part, what, say, limits, deadline)
            found = _digest(part)
        if found != sha256:
            part.unlink()
            hint = f"if the publisher says {found} too, write that into the app's `sha256`; else do not use it"
            raise EngineError("BLU734", url, f"has the SHA-256 {found}, and the app wants {sha256}", hint)
        part.rename(to)
    except _TooLarge:
        part.unlink(missing_ok=True)
        raise
    except OSError as error:
        part.unlink(missing_ok=True)
        raise cannot_write(to, error) from error


def _transfer(
    url: str, part: Path, what: str, say: Callable[[str], None], limits: Limits, deadline: float
) -> None:  # fmt: skip
    """Add to `part` until it is whole."""
    for left in reversed(range(TRIES)):
        before = _length(part)
        try:
            with _opened(url, before, limits) as answer, _appended(part, _begins(answer, before)) as file:
                _copy(answer, file, Progress(what, _total(answer, file.tell()), say), limits, deadline)
            return
        except _Broken:
            if not left or _length(part) <= before:
                raise


def _copy(
    answer: http.client.HTTPResponse, file: IO[bytes], progress: Progress, limits: Limits, deadline: float
) -> None:  # fmt: skip
    total = _total(answer, file.tell())
    if total > limits.size:
        raise _TooLarge(f"is {megabytes(total)}, more than {megabytes(limits.size)}")
    since, mark = time.monotonic(), file.tell()
    while piece := _piece(answer):
        file.write(piece)
        now = time.monotonic()
        if file.tell() > limits.size:
            raise _TooLarge(f"is more than {megabytes(limits.size)}")
        if now > deadline:
            raise Failed(f"was not there within {limits.whole:g} s")
        if now - since > limits.slow:
            if file.tell() - mark < limits.least:
                raise Failed(f"comes with less than {limits.least} bytes in {limits.slow:g} s")
            since, mark = now, file.tell()
        progress.at(file.tell())
    if total and file.tell() < total:
        raise _Broken(f"ended after {file.tell()} of {total} bytes")


def _piece(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read1(CHUNK)
    except TimeoutError as error:
        raise _Broken("stalled") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"broke off: {in_words(error)}") from error


def _opened(url: str, begin: int, limits: Limits) -> http.client.HTTPResponse:
    """The answer, after redirects: from byte `begin` on, or from the first."""
    for _ in range(REDIRECTS + 1):
        answer = _asked(url, begin, limits)
        if not isinstance(answer, str):
            return answer
        try:
            leads = urljoin(url, answer)
        except ValueError:  # brackets without an address in them
            raise Failed(f"leads to {answer:.200}, which is no address") from None
        if not (urlsplit(leads).scheme == "https" or (_is_own(leads) and _is_own(url))):
            raise Failed(f"leads to {leads:.200}, which is not https")
        url = leads
    raise Failed(f"leads on and on, more than {REDIRECTS} times")


def _asked(url: str, begin: int, limits: Limits) -> http.client.HTTPResponse | str:
    """The answer of one server, or where it leads to."""
    headers = {"User-Agent": "blumeops", "Accept": "*/*", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if _is_own(url) else None),  # no proxy knows our loopback
        urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(), urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),  # and none for redirects: it would read all that stands in one
    ):  # fmt: skip
        opener.add_handler(handler)
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - its scheme was looked at
        answer: http.client.HTTPResponse = opener.open(request, timeout=limits.silence)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (301, 302, 303, 307, 308) and "Location" in error.headers:
                return str(error.headers["Location"])
            if error.code == 416 and begin:  # there is no more, or the file is another one by now
                return _asked(url, 0, limits)
            raise Failed(f"the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise Away(in_words(error.reason)) from error
    except TimeoutError as error:
        raise Away("does not answer") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(in_words(error)) from error
    if answer.status not in (200, 206):
        answer.close()
        raise Failed(f"the server answers {answer.status}")
    return answer


def _is_safe(url: str) -> bool:
    return urlsplit(url).scheme == "https" or _is_own(url)


def _is_own(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "http" and is_loopback(f"[{host}]" if ":" in host else host)


def _begins(answer: http.client.HTTPResponse, asked: int) -> int:
    """At which byte of the file the answer begins."""
    if answer.status == 200:
        return 0
    span = SPAN.fullmatch(answer.headers.get("Content-Range", ""))
    if not span or int(span[1]) != asked:
        raise Failed("the server sends another part than it was asked for")
    return asked


def _total(answer: http.client.HTTPResponse, begin: int) -> int:
    """How long the file is; 0: the server does not say."""
    return begin + answer.length if answer.length is not None else 0


def _appended(part: Path, begin: int) -> IO[bytes]:
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    file = os.fdopen(descriptor, "r+b")
    file.truncate(begin)
    file.seek(begin)
    return file


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
