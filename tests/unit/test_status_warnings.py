"""The controller's warnings: a file, and the words of it."""

from __future__ import annotations

from pathlib import Path

from blumeops.status import warnings


def test_they_are_kept_and_taken_back(tmp_path: Path) -> None:
    """What is the same is not written again: a site at rest writes nothing."""
    assert warnings.read(tmp_path) == {}
    warnings.write(tmp_path, {})
    assert not list(tmp_path.iterdir())
    warnings.write(tmp_path, {"dns": "BLU770 port 8453: is taken"})
    written = (tmp_path / warnings.FILE).stat()
    warnings.write(tmp_path, {"dns": "BLU770 port 8453: is taken"})
    assert (tmp_path / warnings.FILE).stat().st_ino == written.st_ino
    assert warnings.read(tmp_path) == {"dns": "BLU770 port 8453: is taken"}
    warnings.write(tmp_path, {})
    assert warnings.read(tmp_path) == {}


def test_a_damaged_file_holds_none(tmp_path: Path) -> None:
    """All of it is seen again."""
    for text in ("{", "[]", "7", "\x00"):
        (tmp_path / warnings.FILE).write_text(text)
        assert warnings.read(tmp_path) == {}
