"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from blumeops.base.errors import EngineError
from blumeops.base.files import PRIVATE, clear_scratch, make_whole, private_folder, scratch, write_whole


def test_a_file_has_its_content_and_mode(tmp_path: Path) -> None:
    """Text or bytes; readable by all, or by its owner alone; nothing is left beside it."""
    write_whole(tmp_path / "a", "é")
    write_whole(tmp_path / "b", b"\xff", PRIVATE)
    assert [(tmp_path / name).read_bytes() for name in "ab"] == ["é".encode(), b"\xff"]
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o644, 0o600]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What it leads to is another's."""
    (tmp_path / "other").write_text("theirs")
    (tmp_path / "a").symlink_to("other")
    write_whole(tmp_path / "a", "ours")
    assert ((tmp_path / "other").read_text(), (tmp_path / "a").read_text()) == ("theirs", "ours")
    assert not (tmp_path / "a").is_symlink()


def test_what_several_make_at_once_is_one(tmp_path: Path) -> None:
    """The first one's stays, whole; the others leave nothing beside it."""
    for name in map(str, range(20)):
        path, start = tmp_path / name, Barrier(8)

        def make(number: int, path: Path = path, start: Barrier = start) -> bytes:
            start.wait()
            make_whole(path, bytes([number]) * 32, PRIVATE)
            return path.read_bytes()

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(make, range(8)))) == 1
    assert len(os.listdir(tmp_path)) == 20


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "free some space there"), (errno.EROFS, "choose another folder with --state")]
)
def test_a_write_that_fails_leaves_the_old_file(
    number: int, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the file and says what to do; no half-written one is left."""
    (tmp_path / "a").write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EngineError, match="cannot be written") as error:
        write_whole(tmp_path / "a", "new")
    assert (error.value.code, error.value.subject, error.value.hint) == ("BLU903", str(tmp_path / "a"), hint)
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """One clear error."""
    with pytest.raises(EngineError, match="No such file"):
        write_whole(tmp_path / "gone" / "a", "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="cannot be written"):
        private_folder(tmp_path / "file" / "below")


def test_a_private_folder_is_for_its_owner(tmp_path: Path) -> None:
    """Also when it was there before, open to others."""
    (tmp_path / "open").mkdir(mode=0o755)
    for name in ("open", "new/below"):
        assert stat.S_IMODE(private_folder(tmp_path / name).stat().st_mode) == 0o700


def test_scratch_that_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    """What a living process uses stays; what nobody uses any more goes, with what is in it."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom blumeops.base.files import scratch\n"
        "with scratch(Path(sys.argv[1]), 'x-') as folder:\n"
        "    (folder / 'lab').mkdir()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    with scratch(tmp_path, "y-") as ours:
        assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2
        clear_scratch(tmp_path)
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [ours]
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    clear_scratch(tmp_path / "not-there")
