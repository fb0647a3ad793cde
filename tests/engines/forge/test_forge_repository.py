"""The bare repository by itself: what we read from it, write into it, and do not believe."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from blumeops.base.errors import EngineError, UserError
from blumeops.forge.repository import Repository
from tests.engines.forge.live import Client


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A new one, without a controller."""
    return Repository.create_or_open(tmp_path / "state" / "lab.git", tmp_path / "control.sock")


def test_opening_again_keeps_commits_and_mends_the_rest(repository: Repository, tmp_path: Path) -> None:
    """Hooks and settings are ours at each start; what a killed push left goes; commits stay."""
    revision = repository.commit_files({"a": b"1"}, "first", None)
    (repository.path / "hooks/pre-receive").write_text("#!/bin/sh\nexit 0\n")
    (repository.path / "hooks/update").write_text("#!/bin/sh\nexit 0\n")
    (repository.path / "refs/heads/main.lock").touch()
    (repository.path / "objects/tmp_objdir-incoming-x/pack").mkdir(parents=True)
    again = Repository.create_or_open(repository.path, tmp_path / "control.sock")
    assert again.head() == revision
    assert "hook_client" in (repository.path / "hooks/pre-receive").read_text()
    assert {path.name for path in (repository.path / "hooks").iterdir()} == {"pre-receive", "post-receive"}
    assert [path for path in repository.path.rglob("*.lock") if path.name != ".lock"] == []
    assert not list((repository.path / "objects").glob("*incoming*"))
    assert stat.S_IMODE(repository.path.parent.stat().st_mode) == 0o700


def test_commit_read_and_race(repository: Repository, tmp_path: Path) -> None:
    """Files are put over the parent's, removed by None; a parent that is main's no more is an error."""
    assert repository.head() is None
    assert repository.log() == []
    first = repository.commit_files({"lab.yaml": b"lab: x\n", "services/ä b.yaml": b"\0\r\n"}, "First\n\nwhy", None)
    second = repository.commit_files({"lab.yaml": None, "c": b"c"}, "Second", first)
    assert [(commit.revision, commit.parents, commit.subject) for commit in repository.log()] == [
        (second, (first,), "Second"),
        (first, (), "First"),
    ]
    assert repository.log()[0].author == "blumeops"
    repository.export(second, tmp_path / "out")
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()} == {
        "services/ä b.yaml",
        "c",
    }
    assert (tmp_path / "out/services/ä b.yaml").read_bytes() == b"\0\r\n"
    for stale in (first, None):
        with pytest.raises(EngineError, match="BLU602"):
            repository.commit_files({"d": b""}, "Late", stale)
    assert repository.head() == second


@pytest.mark.parametrize("path", ["../x", ".git/config", "/etc/x", "a/../b"])
def test_commit_refuses_paths_out_of_the_tree(repository: Repository, path: str) -> None:
    """Not even we commit such paths."""
    with pytest.raises(UserError, match="BLU612"):
        repository.commit_files({path: b""}, "Odd", None)


def test_resolve(repository: Repository) -> None:
    """Branches, relatives and abbreviations resolve; options and nonsense are no revisions."""
    first = repository.commit_files({"a": b"1"}, "1", None)
    second = repository.commit_files({"a": b"2"}, "2", first)
    assert [repository.resolve(name) for name in ("main", "main~1", first[:10], "HEAD")] == [
        second,
        first,
        first,
        second,
    ]
    for name in ("--all", "--output=x", "-h", "no-such", "", "main\n--all", "f" * 40, ":/1", "main..main"):
        with pytest.raises(UserError, match="BLU601"):
            repository.resolve(name)
    for name in ("main", "--help", first[:10], first + "\n"):
        with pytest.raises(UserError, match="BLU601"):
            repository.export(name, Path("never"))


def test_export_follows_no_link_and_no_attribute(repository: Repository, tmp_path: Path) -> None:
    """A checkout is byte for byte, with modes and inner links; a tree that `inspect` refuses writes nothing."""
    client = Client(repository.path)
    blobs = {text: client.blob(text) for text in (b"#!/bin/sh\n", b"../lab.yaml", b"/etc", b"* text eol=crlf ident\n")}
    good = [
        ("100755", blobs[b"#!/bin/sh\n"], "bin/run"),
        ("120000", blobs[b"../lab.yaml"], "bin/link"),
        ("100644", client.blob(b"$Id$\n"), "lab.yaml"),
        ("100644", blobs[b"* text eol=crlf ident\n"], ".gitattributes"),
    ]
    revision = _commit(client, good)
    repository.export(revision, tmp_path / "good")
    assert (tmp_path / "good/lab.yaml").read_bytes() == b"$Id$\n"
    assert os.access(tmp_path / "good/bin/run", os.X_OK)
    assert (tmp_path / "good/bin/link").readlink() == Path("../lab.yaml")
    with pytest.raises(EngineError, match="BLU903"):
        repository.export(revision, tmp_path / "good")
    with pytest.raises(UserError, match="BLU610"):
        repository.export(_commit(client, [*good, ("120000", blobs[b"/etc"], "etc")]), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_import_plain_folder(repository: Repository, tmp_path: Path) -> None:
    """One commit of the files, without what is ignored or excluded, in a folder of somebody else's repository too."""
    outer = Client(tmp_path / "outer")
    outer.git("init", "--quiet", ".")
    lab = outer.folder / "labs" / "mine"
    for path, data in {"lab.yaml": "x", ".gitignore": "*.log\n", "a.log": "no", "state/db": "no", "s/b": "yes"}.items():
        (lab / path).parent.mkdir(parents=True, exist_ok=True)
        (lab / path).write_text(data)
    revision = repository.import_folder(lab, exclude=[lab / "state", tmp_path / "elsewhere"])
    assert repository.head() == revision
    assert repository.log()[0].parents == ()
    names = Client(repository.path).git("ls-tree", "-r", "--name-only", "main").split()
    assert names == [".gitignore", "lab.yaml", "s/b"]
    assert repository.advance(revision, None) == revision  # whoever brought it there: it is there
    (lab / "lab.yaml").write_text("y")
    with pytest.raises(EngineError, match="BLU602"):
        repository.import_folder(lab)


def test_import_repository_with_its_history(repository: Repository, tmp_path: Path) -> None:
    """HEAD of a repository of its own comes with its commits; also when it is shallow; its hooks do not run."""
    source = Client(tmp_path / "source")
    source.git("init", "--quiet", "--initial-branch=trunk", ".")
    revisions = [source.commit("lab.yaml", b"%d" % number) for number in range(3)]
    (source.folder / "lab.yaml").write_bytes(b"not committed")
    assert repository.import_folder(source.folder) == revisions[-1]
    assert [commit.revision for commit in repository.log()] == revisions[::-1]
    shallow = Client(tmp_path / "shallow")
    shallow.git("clone", "--quiet", "--depth=1", f"file://{source.folder}", ".")
    other = Repository.create_or_open(tmp_path / "other" / "lab.git", tmp_path / "control.sock")
    assert other.import_folder(shallow.folder) == revisions[-1]
    assert len(other.log()) == 1


def test_import_refuses(repository: Repository, tmp_path: Path) -> None:
    """Nothing to import, and a folder with a link out of it, are errors; main is not made."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="BLU605"):
        repository.import_folder(empty)
    (empty / "link").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="BLU610"):
        repository.import_folder(empty)
    assert repository.head() is None


def test_the_users_configuration_does_not_count(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a broken ~/.gitconfig nor Git's own environment variables change what we do."""
    (tmp_path / ".gitconfig").write_text("[core]\n\tbroken = [\n[commit]\n\tgpgSign = true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere")
    assert repository.commit_files({"a": b"1"}, "x", None) == repository.head()


def _commit(client: Client, entries: list[tuple[str, str, str]]) -> str:
    index = Client(client.folder, {"GIT_INDEX_FILE": str(client.folder / "index-of-test")})
    index.git("read-tree", "--empty")
    lines = "".join(f"{mode} {name}\t{path}\0" for mode, name, path in entries)
    index.git("update-index", "-z", "--index-info", stdin=lines.encode())
    return index.git("commit-tree", "-m", "x", index.git("write-tree"))
