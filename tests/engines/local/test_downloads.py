"""Downloads from a real server that is good, slow, broken or hostile: the file is whole and verified, or not there."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.base.errors import EngineError
from blumeops.engines.local.programs.download import Failed, Limits, fetch
from tests.engines.local import release_server
from tests.engines.local.conftest import until
from tests.engines.local.release_server import Publisher, publishing

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Limits(silence=0.5, slow=0.4, least=50_000, whole=5.0, size=1 << 20)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A server with one file."""
    with publishing() as made:
        made.files["/tool"] = CONTENT
        yield made


def get(publisher: Publisher, folder: Path, path: str = "/tool", limits: Limits = QUICK) -> list[str]:
    """Fetch it; the lines that were said."""
    said: list[str] = []
    fetch(publisher.url(path), SHA256, folder / "file", "tool 1.0", said.append, limits)
    return said


def test_a_file_comes_whole(publisher: Publisher, tmp_path: Path) -> None:
    """Nothing else is left beside it, and what took no time is not told; the second time nobody is asked."""
    assert get(publisher, tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == CONTENT
    get(publisher, tmp_path)
    assert publisher.asked == [("/tool", "")]


def test_what_had_come_is_not_asked_for_again(publisher: Publisher, tmp_path: Path) -> None:
    """The rest is asked for by its range; a server that knows none gives all, and a wrong beginning is thrown away."""
    (tmp_path / "file.part").write_bytes(CONTENT[:100_000])
    get(publisher, tmp_path)
    assert publisher.asked == [("/tool", "bytes=100000-")]
    publisher.behave["/tool"] = release_server.without_ranges
    for begun in (CONTENT[:100_000], b"another", CONTENT + b"more"):
        (tmp_path / "file").unlink()
        (tmp_path / "file.part").write_bytes(begun)
        get(publisher, tmp_path)
        assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("begun", [b"another file's beginning", b"x" * 400_000])
def test_a_beginning_of_another_file_does_no_harm(publisher: Publisher, tmp_path: Path, begun: bytes) -> None:
    """Also where the server gives the rest, or says that there is none: then it is fetched from the start."""
    (tmp_path / "file.part").write_bytes(begun)
    get(publisher, tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_that_was_whole_is_taken(publisher: Publisher, tmp_path: Path) -> None:
    """Killed between the last byte and the rename: nobody is asked."""
    (tmp_path / "file.part").write_bytes(CONTENT)
    get(publisher, tmp_path)
    assert publisher.asked == []


def test_a_transfer_that_breaks_off_is_taken_up(publisher: Publisher, tmp_path: Path) -> None:
    """Four times by the way; one that brings nothing more ends it, and keeps what there is for the next time."""
    publisher.behave["/tool"] = release_server.cut_off(70_000)
    get(publisher, tmp_path)
    assert [asked for _, asked in publisher.asked] == ["", *(f"bytes={n * 70_000}-" for n in range(1, 5))]
    (tmp_path / "file").unlink()
    publisher.behave["/tool"] = release_server.cut_off(10_000)
    with pytest.raises(Failed, match="ended after 50000 of 300000 bytes"):
        get(publisher, tmp_path)
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:50_000]
    assert not (tmp_path / "file").exists()


def test_another_file_is_refused_and_not_kept(publisher: Publisher, tmp_path: Path) -> None:
    """Both SHA-256 are named, also where the server says that it is shorter than it is."""
    publisher.files["/other"] = b"hostile"
    digest = hashlib.sha256(b"hostile").hexdigest()
    with pytest.raises(EngineError, match=f"BLU734.*{digest}.*{SHA256}"):
        get(publisher, tmp_path, "/other")
    publisher.behave["/tool"] = release_server.answering(200, {"Content-Length": 0})
    with pytest.raises(EngineError, match=hashlib.sha256(b"").hexdigest()):
        get(publisher, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (release_server.answering(404, {}), "the server answers 404 Not Found"),
        (release_server.answering(503, {}), "the server answers 503"),
        (release_server.answering(204, {}), "the server answers 204"),
        (release_server.answering(302, {"Location": "/tool"}), "leads on and on, more than 5 times"),
        (release_server.answering(302, {"Location": "http://example.org/tool"}), "which is not https"),
        (release_server.answering(302, {"Location": "file:///etc/passwd"}), "which is not https"),
        (release_server.answering(302, {"Location": "http://["}), "which is no address"),
        (release_server.answering(302, {}), "the server answers 302"),
        (release_server.answering(302, {"Location": "ftp://localhost/tool"}), "which is not https"),
        (release_server.answering(200, {"Content-Length": "9" * 15}), "more than 1.0 MB"),
        (release_server.slowly(300, 0.1), "comes with less than 50000 bytes in 0.4 s"),
        (release_server.slowly(2, 1.0), "stalled"),
    ],
)  # fmt: skip
def test_why_not_is_said(
    publisher: Publisher, tmp_path: Path, behaviour: release_server.Behaviour, words: str
) -> None:  # fmt: skip
    """An error of the server, a redirect in a circle or to somewhere unsafe, too much, too slow."""
    publisher.behave["/tool"] = behaviour
    began = time.monotonic()
    with pytest.raises(Failed, match=re.escape(words)):
        get(publisher, tmp_path)
    assert time.monotonic() - began < 5
    assert not (tmp_path / "file").exists()


def test_no_end_is_an_end(publisher: Publisher, tmp_path: Path) -> None:
    """A server that does not say how much it has, and has more than there may be: what came is not kept. A redirect's
    words are not read."""
    publisher.behave["/endless"] = publisher.behave["/redirect"] = release_server.endless
    with pytest.raises(Failed, match="is more than"):
        get(publisher, tmp_path, "/endless")
    assert list(tmp_path.iterdir()) == []
    get(publisher, tmp_path, "/redirect")


def test_redirects_lead_to_it(publisher: Publisher, tmp_path: Path) -> None:
    """Five of them, as publishers have one or two."""
    for number in range(5):
        publisher.behave[f"/{number}"] = release_server.answering(302, {"Location": f"/{number + 1}"})
    publisher.files["/5"] = CONTENT
    get(publisher, tmp_path, "/0")
    publisher.behave["/5"] = release_server.answering(302, {"Location": "/6"})
    publisher.files["/6"] = CONTENT
    (tmp_path / "file").unlink()
    with pytest.raises(Failed, match="on and on"):
        get(publisher, tmp_path, "/0")


def test_https_is_verified_and_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without trust in its certificate nothing is taken; with it, no redirect leads to plain HTTP, not even ours."""
    pair = release_server.certificate(tmp_path)
    with publishing(pair) as secure, publishing() as plain:
        secure.files["/tool"] = plain.files["/tool"] = CONTENT
        secure.behave["/down"] = release_server.answering(302, {"Location": plain.url("/tool")})
        plain.behave["/up"] = release_server.answering(302, {"Location": secure.url("/tool")})
        with pytest.raises(Failed, match="certificate is not valid: self-signed"):
            get(secure, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
        with pytest.raises(Failed, match="which is not https"):
            get(secure, tmp_path, "/down")
        get(plain, tmp_path, "/up")
        assert plain.asked == [("/up", "")]


def test_plain_http_is_for_loopback(tmp_path: Path) -> None:
    """Another scheme or host is not even asked."""
    for url in ("http://example.org/tool", "ftp://localhost/tool", "file:///etc/passwd", "http://localhost.example/x"):
        with pytest.raises(Failed, match="is not https"):
            fetch(url, SHA256, tmp_path / "file", "tool", print, QUICK)


def test_nobody_there(publisher: Publisher, tmp_path: Path) -> None:
    """A port that nobody listens on, and a name that nobody knows."""
    for url, words in (("http://localhost:1/x", "Connection refused"), ("https://no.such.invalid/x", "resolved")):
        with pytest.raises(Failed, match=words):
            fetch(url, SHA256, tmp_path / "file", "tool", print, QUICK)


def test_a_long_one_tells_how_far_it_is(publisher: Publisher, tmp_path: Path) -> None:
    """At most a line a second, each to be written over."""
    publisher.behave["/tool"] = release_server.slowly(6, 0.4)
    said = get(publisher, tmp_path, limits=Limits())
    assert 1 <= len(said) <= 3
    assert all(re.fullmatch(r"tool 1.0: \d+ % of 0.3 MB\r", line) for line in said)


CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from blumeops.engines.local.programs.download import fetch
    fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3]), "tool", print)
""")


def test_killed_half_way_it_goes_on_from_there(publisher: Publisher, tmp_path: Path) -> None:
    """By SIGKILL: what was written is used by the next, and the file is whole."""
    more = os.urandom(4_000_000)
    publisher.files["/big"], digest = more, hashlib.sha256(more).hexdigest()
    publisher.behave["/big"] = release_server.slowly(4, 0.05, threading.Event())
    child = subprocess.Popen([sys.executable, "-c", CHILD, publisher.url("/big"), digest, str(tmp_path / "file")])
    part = tmp_path / "file.part"
    until(lambda: part.exists() and part.stat().st_size >= 2_900_000)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "file").exists()
    publisher.behave.clear()
    begun = part.stat().st_size
    fetch(publisher.url("/big"), digest, tmp_path / "file", "tool", print)
    assert publisher.asked[-1] == ("/big", f"bytes={begun}-")
    assert (tmp_path / "file").read_bytes() == more


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 200,000 bytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(not shutil.which("mount") or os.geteuid() != 0, reason="only root mounts a tmpfs")
def test_a_full_disk_is_left_as_it_was(publisher: Publisher, small_disk: Path) -> None:
    """One error that says so; nothing of the file is left."""
    with pytest.raises(EngineError, match=r"BLU903.*No space left.*free some space"):
        get(publisher, small_disk)
    assert list(small_disk.iterdir()) == []
