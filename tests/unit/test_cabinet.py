"""A SOPS file as a whole."""

from __future__ import annotations

import os
from pathlib import Path

from blumeops.secrets.cabinet import clear_beside


def test_what_killed_writers_left_is_taken_away(tmp_path: Path) -> None:
    """Once it is a minute old; the lock, the file itself and what other files' writers left stay."""
    old = [".a.yaml.k3d_0x9z", ".a.yaml.abcdefg"]  # the second is none of ours
    stay = ["a.yaml", ".a.yaml.lock", ".b.yaml.k3d_0x9z", ".a.yaml.new_one0", ".a.yaml.abcdefg"]
    for name in {*old, *stay}:
        (tmp_path / name).touch()
        if name != ".a.yaml.new_one0":
            os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".a.yaml.folder00").mkdir()
    clear_beside(tmp_path / "a.yaml", 60)
    assert sorted(os.listdir(tmp_path)) == sorted([*stay, ".a.yaml.folder00"])
