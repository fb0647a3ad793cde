"""A tree of files in memory, and how it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.base.tree import FileTree

FILES = st.dictionaries(st.text("ab/.é", min_size=1, max_size=5), st.binary(max_size=5), max_size=4)


@given(FILES, FILES)
def test_equal_content_is_an_equal_digest_and_nothing_else_is(one: dict[str, bytes], two: dict[str, bytes]) -> None:
    """In whatever order the files come; no boundary between names and contents can be shifted."""
    assert FileTree(one).digest == FileTree(dict(reversed(one.items()))).digest
    assert (FileTree(one).digest == FileTree(two).digest) == (one == two)


def test_files_are_listed_by_path() -> None:
    """Always in the same order, and read as text."""
    tree = FileTree({"b": b"2", "a/c": "é".encode()})
    assert list(tree) == ["a/c", "b"]
    assert tree.text("a/c") == "é"
    with pytest.raises(KeyError):
        tree.text("gone")


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    """Files that are the same are not touched; others in the folder stay."""
    tree = FileTree({"a/b": b"1", "c": b"2"})
    assert tree.write(tmp_path) == [tmp_path / "a" / "b", tmp_path / "c"]
    (tmp_path / "mine").write_text("x")
    before = (tmp_path / "c").stat()
    assert tree.write(tmp_path) == []
    assert FileTree({"a/b": b"3", "c": b"2"}).write(tmp_path) == [tmp_path / "a" / "b"]
    assert ((tmp_path / "c").stat().st_ino, (tmp_path / "mine").read_text()) == (before.st_ino, "x")
