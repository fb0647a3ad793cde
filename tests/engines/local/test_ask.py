"""What the command line asks a controller that ends before it has answered: said, and never a bug of ours."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from blumeops.app import ask
from blumeops.base.errors import EngineError, Unavailable
from blumeops.base.site import SiteFolder
from blumeops.cli.run import told

BEGUN = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteFolder:
    """The folder of a site, as far as asking needs it; its socket lies in it."""
    folder = SiteFolder(tmp_path / "state")
    folder.path.mkdir()
    folder.lab_name.write_text("first\n")
    monkeypatch.setattr(ask, "socket_of", _socket)
    return folder


@contextmanager
def dying(site: SiteFolder, said: bytes) -> Iterator[None]:
    """A controller that says this and is killed."""
    with closing(socket.socket(socket.AF_UNIX)) as door:
        door.bind(str(_socket(site)))
        door.listen()

        def answer() -> None:
            with closing(door.accept()[0]) as asker:
                asker.recv(1 << 16)
                asker.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            thread.join()
            _socket(site).unlink()


@pytest.mark.parametrize("rest", [b"", b"5\r\n|abc\n\r\n", b"5\r\n|ab", b"5\r\n|abc\n\r\n3\r"], ids=repr)
def test_a_controller_that_is_killed_while_it_answers(site: SiteFolder, rest: bytes) -> None:
    """Wherever that cuts its answer, also within a line: it has stopped answering."""
    with dying(site, BEGUN + rest), pytest.raises(EngineError, match="BLU791"):
        told(ask.request_sync(site))


@pytest.mark.parametrize("said", [b"", b"junk", b"HTTP/1.1 409 Conflict\r\ncontent-length: 9\r\n\r\n{"], ids=repr)
def test_a_controller_that_is_killed_before_it_answers(site: SiteFolder, said: bytes) -> None:
    """It does not run, or has stopped answering."""
    with dying(site, said), pytest.raises((Unavailable, EngineError), match=r"BLU79[14]"):
        told(ask.request_sync(site))


def _socket(site: SiteFolder) -> Path:
    return site.path / "socket"
