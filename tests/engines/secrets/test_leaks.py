"""What a push brings to a repository, looked through by the real git and the real scanner: every commit, every ref."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from blumeops.forge.gate import Looked
from blumeops.forge.git import ZERO, reading_elsewhere
from blumeops.forge.repository import Repository
from blumeops.loop import leaks
from blumeops.secrets import scan
from tests.engines.forge.histories import history
from tests.engines.forge.live import Client
from tests.engines.secrets.test_scan import made_up

TOKEN = f"use ghp_{made_up(2, 36)}\n".encode()
MAIN = "refs/heads/main"


class Pushing:
    """A clone, and the bare repository that it pushes to, without a gate."""

    def __init__(self, below: Path) -> None:
        self.client = Client(below / "work")
        self.bare = Client(below / "bare")
        self.bare.git("init", "-q", "--bare", "--initial-branch=main", ".")
        self.client.git("init", "-q", "--initial-branch=main", ".")
        self.client.git("remote", "add", "origin", str(self.bare.folder))
        self.first = self.client.commit("lab.yaml", b"lab: test\n")
        self.client.git("push", "-q", "origin", "main")
        self.work = below / "scratch"

    def search(self, *refs: str, at: str = "HEAD", olds: Sequence[str] = ()) -> Looked:
        """What the clone's hook finds when `at` is pushed to these refs, which are at `olds`."""
        new = self.client.git("rev-parse", at)
        updates = [(old, new, ref) for ref, old in zip(refs, olds or [self.first] * len(refs), strict=True)]
        env = reading_elsewhere()
        return leaks.search(
            Repository(self.client.folder / ".git"), updates, env, self.work, known=leaks.FETCHED
        )  # fmt: skip

    def allow(self, file: str, message: str = "allow") -> str:
        """Say why what is in the file is none."""
        said = f"lab: test\nsecrets: {{allow: [{{file: {file}, reason: it opens nothing at all}}]}}\n"
        return self.client.commit("lab.yaml", said.encode(), message)


@pytest.fixture
def pushing(tmp_path: Path) -> Pushing:
    """With one commit, which is pushed."""
    return Pushing(tmp_path)


def test_what_a_later_commit_takes_out_is_found(pushing: Pushing) -> None:
    """With file, line and the commit that brings it, and how that one is mended; the value is not told."""
    brings = pushing.client.commit("docs/notes.md", b"\n" + TOKEN)
    pushing.client.commit("docs/notes.md", b"\nmore\n" + TOKEN)
    pushing.client.commit("docs/notes.md", b"gone\n")
    other, line = pushing.search(MAIN).findings[::-1]
    assert str(line).startswith("docs/notes.md:2:5: BLU521 github-pat: looks like a secret")
    assert brings[:8] in line.message
    assert f"git rebase -i {brings[:8]}^" in line.hint
    assert other.place.line == 3
    assert TOKEN.decode()[4:20] not in str(line)
    pushing.client.git("reset", "-q", "--soft", pushing.first)
    pushing.client.git("commit", "-qm", "mended")
    assert pushing.search(MAIN) == Looked()


def test_the_last_commit_is_amended_an_earlier_one_rebased(pushing: Pushing) -> None:
    """What still stands in the last commit may be of an earlier one: amending would leave it there."""
    brings = pushing.client.commit("notes.md", TOKEN)
    assert "git commit --amend" in pushing.search(MAIN).findings[0].hint
    pushing.client.commit("other.md", b"other\n")
    (found,) = pushing.search(MAIN).findings
    assert brings[:8] in found.message
    assert f"git rebase -i {brings[:8]}^" in found.hint


def test_a_first_commit_is_mended_from_the_root(tmp_path: Path) -> None:
    """A history that nobody has yet, whose first commit has it: no commit is before it."""
    pushing = Pushing(tmp_path)
    pushing.client.git("checkout", "-q", "--orphan", "anew")
    pushing.client.commit("notes.md", TOKEN)
    pushing.client.commit("notes.md", b"gone\n")
    (found,) = pushing.search("refs/heads/anew", olds=[ZERO]).findings
    assert "git rebase -i --root" in found.hint


@pytest.mark.parametrize("ref", ["refs/heads/idea", "refs/tags/v1", "refs/pull/1/head"])
def test_every_ref_is_looked_through(pushing: Pushing, ref: str) -> None:
    """Not that of the lab alone: everybody with a clone gets the others too."""
    pushing.client.commit("notes.md", TOKEN)
    pushing.client.commit("notes.md", b"gone\n")
    (found,) = pushing.search(ref, olds=[ZERO]).findings
    assert found.place.file == "notes.md"


def test_a_tag_may_be_of_anything(pushing: Pushing) -> None:
    """Of a tag, of a tree, or of a file that no commit has; an annotated one is of the commit that is amended."""
    blob = pushing.client.blob(TOKEN)
    tree = pushing.client.git("mktree", stdin=f"100644 blob {blob}\tdeep.md\n".encode())
    for name, what in {"blob": blob, "tree": tree}.items():
        pushing.client.git("tag", name, what)
        pushing.client.git("tag", "-am", "of a tag", f"{name}2", name)
    pushing.client.commit("notes.md", TOKEN)
    pushing.client.git("tag", "-am", "of a commit", "noted")
    told = {}
    for name in ("blob", "blob2", "tree", "tree2", "noted"):
        (told[name],) = pushing.search(f"refs/tags/{name}", at=name, olds=[ZERO]).findings
    assert [each.place.file for each in told.values()] == ["(no path)"] * 2 + ["deep.md"] * 2 + ["notes.md"]
    assert "git commit --amend" in told["noted"].hint


def test_what_is_allowed_is_what_the_pushed_revision_says(pushing: Pushing) -> None:
    """With a reason it may be pushed, in whichever commit that is said; what another branch says does not count."""
    pushing.client.commit("notes.md", TOKEN)
    pushing.client.commit("notes.md", b"gone\n")
    assert pushing.search(MAIN).findings
    pushing.allow("other.md")
    assert pushing.search(MAIN).findings
    pushing.allow("notes.md")
    assert pushing.search(MAIN) == Looked()
    pushing.client.git("branch", "allowed")
    pushing.client.commit("lab.yaml", b"lab: test\n")
    assert pushing.search(MAIN).findings
    pushing.client.commit("lab.yaml", b"lab: [\n")
    assert pushing.search(MAIN).findings
    repository, env = Repository(pushing.client.folder / ".git"), reading_elsewhere()
    tips = {name: pushing.client.git("rev-parse", name) for name in ("allowed", "main")}
    updates = [(ZERO, tips["allowed"], "refs/heads/allowed"), (pushing.first, tips["main"], MAIN)]
    assert leaks.search(repository, updates, env, pushing.work, known=leaks.FETCHED).findings == (), "main brings none"


def test_what_is_there_already_is_not_held_against_a_push(pushing: Pushing) -> None:
    """A secret of old commits, an unchanged file that has one, and a ref on what is known: none of it is new."""
    pushing.client.commit("notes.md", TOKEN)
    pushing.client.git("push", "-q", "origin", "main")
    old = pushing.client.git("rev-parse", "HEAD")
    assert pushing.search("refs/heads/idea", olds=[ZERO]) == Looked()
    assert pushing.search("refs/heads/idea", olds=[ZERO], at=f"{old}~1") == Looked()
    pushing.client.commit("other.md", b"other\n")
    assert pushing.search(MAIN, olds=[old]) == Looked()
    pushing.client.commit("notes.md", b"more\n" + TOKEN)
    assert [each.place.line for each in pushing.search(MAIN, olds=[old]).findings] == [2]


def test_a_history_that_is_rewritten_is_judged_by_what_is_new_in_it(pushing: Pushing) -> None:
    """A force push over a root of its own: files that main has already are not new, those that it has not are."""
    pushing.client.commit("notes.md", TOKEN)
    pushing.client.git("push", "-q", "origin", "main")
    old = pushing.client.git("rev-parse", "HEAD")
    pushing.client.git("checkout", "-q", "--orphan", "anew")
    pushing.client.commit("other.md", b"other\n")
    assert pushing.search(MAIN, olds=[old]) == Looked()
    pushing.client.commit("more.md", b"\n" + TOKEN)
    pushing.client.git("rm", "-q", "more.md")
    pushing.client.git("commit", "-qm", "gone")
    assert [each.place.file for each in pushing.search(MAIN, olds=[old]).findings] == ["more.md"]


def test_main_is_looked_through_for_what_came_by_another_branch(pushing: Pushing) -> None:
    """A branch that was pushed before anybody looked: when it is merged, what it changes is looked through."""
    pushing.client.git("checkout", "-q", "-b", "idea")
    pushing.client.commit("notes.md", TOKEN)
    pushing.client.git("push", "-q", "origin", "idea")
    (found,) = pushing.search(MAIN).findings
    assert found.place.file == "notes.md"
    assert "rebase" not in found.hint
    assert pushing.search("refs/heads/other") == Looked()


def test_a_merge_that_brings_it_is_named(pushing: Pushing) -> None:
    """What neither side had: the merge itself is the commit to mend."""
    pushing.client.git("checkout", "-q", "-b", "idea")
    pushing.client.commit("a.md", b"a\n")
    pushing.client.git("checkout", "-q", "main")
    pushing.client.commit("b.md", b"b\n")
    pushing.client.git("merge", "-q", "--no-commit", "idea")
    merge = pushing.client.commit("notes.md", TOKEN)
    (found,) = pushing.search(MAIN).findings
    assert merge[:8] in found.message


def test_a_deleted_ref_brings_nothing(pushing: Pushing) -> None:
    """Nor does no ref at all."""
    repository = Repository(pushing.client.folder / ".git")
    assert leaks.search(repository, [(pushing.first, ZERO, MAIN)], {}, pushing.work) == Looked()
    assert leaks.search(repository, [], {}, pushing.work) == Looked()


def test_a_long_history_is_looked_through_as_far_as_there_is_time(
    pushing: Pushing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest first; what was not looked through is said, and the last commit is looked through in any case."""
    history(pushing.client, 3000, 20_000)
    pushing.client.git("checkout", "-q", "long")
    pushing.client.commit("notes.md", TOKEN)
    started = time.monotonic()
    looked = pushing.search("refs/heads/long", olds=[ZERO])
    assert time.monotonic() - started < 3 * leaks.SECONDS
    assert [each.place.file for each in looked.findings] == ["notes.md"]
    assert all("since there is too much" in note for note in looked.notes)
    monkeypatch.setattr(leaks, "SECONDS", 0.2)
    looked = pushing.search("refs/heads/long", olds=[ZERO])
    assert [each.place.file for each in looked.findings] == ["notes.md"]
    assert ["too much" in note for note in looked.notes] == [True]


def test_what_is_too_large_is_said(pushing: Pushing) -> None:
    """As the others are looked through."""
    pushing.client.commit("large.txt", b"x\n" * (1 << 20))
    pushing.client.commit("notes.md", TOKEN)
    looked = pushing.search(MAIN)
    assert [each.place.file for each in looked.findings] == ["notes.md"]
    assert looked.notes == ("note: not looked through for secrets: 1 file of more than 1 MiB",)


def test_more_than_a_person_reads_is_counted(pushing: Pushing) -> None:
    """A hundred are told."""
    for at in range(120):
        (pushing.client.folder / f"n{at}.md").write_bytes(TOKEN)
    (pushing.client.folder / "all.md").write_bytes(
        b"".join(f"ghp_{made_up(at, 36)}\n".encode() for at in range(3, 123))
    )
    pushing.client.git("add", "--all")
    pushing.client.git("commit", "-qm", "many")
    looked = pushing.search(MAIN)
    assert len(looked.findings) == 100
    assert looked.notes == ("note: 21 more look like secrets",)


def test_without_a_scanner_that_is_said(pushing: Pushing, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the push is not held up."""
    monkeypatch.setattr(scan, "program", lambda: None)
    pushing.client.commit("notes.md", TOKEN)
    looked = pushing.search(MAIN)
    assert looked.findings == ()
    assert "no betterleaks" in looked.notes[0]
