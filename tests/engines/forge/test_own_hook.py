"""The gate as a hook of a forge of one's own: what lands, what does not, and what a person is told."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blumeops.secrets import scan
from tests.engines.forge.histories import history
from tests.engines.forge.hooked import FORGEJO, LABS, Hooked, blumeops
from tests.engines.forge.live import Client
from tests.engines.forge.test_forge_hostile import FILE, HOSTILE, Entries, named, sized

BAD = "fever: {app: miniflux, hosts: server}\n"


@pytest.fixture
def hooked(tmp_path: Path) -> Hooked:
    """An empty bare repository with the hook."""
    return Hooked.made(tmp_path)


def test_what_passes_lands_and_is_told(hooked: Hooked) -> None:
    """The first push to an empty repository says what there is, the second what changes, from which revision."""
    assert "remote: plan: 3 units change" in hooked.push()
    first = hooked.at()
    second = hooked.change()
    said = hooked.push()
    assert f"remote: {first[:8]} → {second[:8]}" in said
    assert "remote:   miniflux: restart: POLLING_FREQUENCY: 60 → 30" in said
    assert hooked.at() == second


def test_every_finding_is_told(hooked: Hooked) -> None:
    """Three mistakes are three lines with code, file and line; the branch stays, and no object is left behind."""
    hooked.push()
    before = hooked.at()
    text = hooked.services.read_text().replace("database: postgresql", "database: nowhere")
    bad = hooked.client.commit(
        "services/services.yaml", (text + BAD + "caddy2: {app: nothing, host: there}\n").encode()
    )
    said = hooked.push(code=1)
    lines = [line.removeprefix("remote: ") for line in said.splitlines() if "BLU" in line]
    assert {line.split()[1] for line in lines} >= {"BLU113", "BLU101", "BLU110"}
    assert all(line.startswith("services/services.yaml:") for line in lines)
    assert f"remote: refused: {len(lines)} errors; main stays where it was" in said
    assert hooked.at() == before
    assert subprocess.run(["git", f"--git-dir={hooked.bare}", "cat-file", "-e", bad], check=False).returncode != 0
    assert list(hooked.bare.glob("objects/*incoming*")) == []


MORE: dict[str, tuple[Callable[[Client], Entries], str]] = {
    "100,000 files": (named(*(f"{at}.yaml" for at in range(100_000))), "BLU616"),
    "30 times 4 MB": (sized(4 << 20, 30), "BLU617"),
}
CASES = {
    name: {**HOSTILE, **MORE}[name]
    for name in (
        "absolute link", "link that climbs through another", "submodule", "newline", "escape", "not UTF-8",
        "right-to-left", "case", "100 MB", "30 times 4 MB", "100,000 files",
    )
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_push_is_refused(hooked: Hooked, case: str) -> None:
    """On the lab's branch and on any other: with its code, in bounded time and memory, and nothing is left."""
    entries, code = CASES[case]
    revision = hooked.client.commit_raw(entries(hooked.client))
    for ref in ("main", "idea"):
        started = time.monotonic()
        said = hooked.push(f"{revision}:refs/heads/{ref}", code=1)
        assert time.monotonic() - started < 30
        assert f"{code} repository: " in said
        assert f"remote: refused: {ref} stays where it was" in said
        assert "\x1b[2J" not in said
    assert hooked.at() == hooked.at("refs/heads/idea") == ""
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 800 << 10


def test_a_git_folder_in_a_tree_is_refused(hooked: Hooked) -> None:
    """A repository of somebody's own does not look for that itself."""
    blob = hooked.client.blob(b"x")
    inner = hooked.client.git("mktree", "-z", stdin=f"{FILE} blob {blob}\tconfig\0".encode())
    tree = hooked.client.git("mktree", "-z", stdin=f"040000 tree {inner}\t.GIT\0".encode())
    assert "BLU612" in hooked.push(f"{hooked.client.git('commit-tree', '-m', 'x', tree)}:refs/heads/main", code=1)


def test_a_small_push_that_unfolds_is_refused_in_time(hooked: Hooked) -> None:
    """A few kilobytes of description that become gigabytes: the ceilings end it, and the push is refused."""
    app = 'app: t\nversion: "1"\nsources: [{path: sleep}]\ncommand: [sleep, "1"]\nstate: none\n'
    app += "options: {o: {type: string, default: x}}\nfiles: {c: {path: /c.txt, template: c}}\n"
    files = {
        "apps/t/app.yaml": app,
        "apps/t/c": "{{ options.o }}\n" * 15_000,
        "services/t.yaml": "".join(
            f"s{at}: {{host: server, app: t, options: {{o: {'y' * 60}}}}}\n" for at in range(2000)
        ),
    }
    for path, text in files.items():
        hooked.client.commit(path, text.encode())
    started = time.monotonic()
    assert "refused: " in hooked.push(code=1)
    assert time.monotonic() - started < 45
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 800 << 10
    assert hooked.at() == ""


def test_the_branch_is_not_deleted_and_may_be_rewound(hooked: Hooked) -> None:
    """Deleting what the lab is made from is refused; a force push that passes the checks is whoever pushes' to do."""
    hooked.push()
    hooked.change()
    hooked.push()
    assert "main is what the lab is made from; it cannot be deleted" in hooked.push(":main", code=1)
    hooked.push("+HEAD~1:refs/heads/main")
    assert hooked.at() == hooked.client.git("rev-parse", "HEAD~1")


def test_other_refs_are_let_be(hooked: Hooked) -> None:
    """A branch may hold a lab that does not pass; tags and a forge's own refs are nobody's business; all may go."""
    hooked.client.commit("services/bad.yaml", BAD.encode())
    refs = ("refs/heads/idea", "refs/tags/v1", "refs/pull/1/head")
    hooked.push(*(f"HEAD:{ref}" for ref in refs))
    assert all(map(hooked.at, refs))
    hooked.push(*(f":{ref}" for ref in refs))
    assert not any(map(hooked.at, refs))


def test_of_several_refs_all_land_or_none(hooked: Hooked) -> None:
    """One that is refused takes the others with it."""
    hooked.push()
    before = hooked.at()
    good = hooked.change()
    hooked.client.commit("services/bad.yaml", BAD.encode())
    said = hooked.push(f"{good}:refs/heads/idea", "HEAD:refs/heads/main", code=1)
    assert "BLU101" in said
    assert (hooked.at(), hooked.at("refs/heads/idea")) == (before, "")
    hooked.push(f"{good}:refs/heads/idea", f"{good}:refs/heads/main")
    assert hooked.at() == hooked.at("refs/heads/idea") == good


def test_what_is_judged_is_what_a_clone_gets(hooked: Hooked) -> None:
    """A replacement that was pushed before does not stand in for the commit that lands."""
    good = hooked.client.git("rev-parse", "HEAD")
    bad = hooked.client.commit("services/bad.yaml", BAD.encode())
    hooked.push(f"{good}:refs/replace/{bad}")
    assert "BLU101" in hooked.push(f"{bad}:refs/heads/main", code=1)


def test_objects_of_another_repository_are_read(hooked: Hooked, tmp_path: Path) -> None:
    """A fork as forges make it, whose objects lie elsewhere (alternates): it is judged as any other."""
    hooked.push()
    fork = tmp_path / "fork.git"
    subprocess.run(["git", "clone", "-q", "--bare", "--shared", hooked.bare, fork], check=True)
    assert (fork / "objects/info/alternates").is_file()
    blumeops("hook", "install", fork)
    hooked.client.git("remote", "set-url", "origin", str(fork))
    hooked.change()
    assert "POLLING_FREQUENCY: 60 → 30" in hooked.push()
    hooked.client.commit("services/bad.yaml", BAD.encode())
    assert "BLU101" in hooked.push(code=1)


@pytest.mark.timeout(180)
def test_large_packs_are_read_within_the_ceilings(hooked: Hooked, tmp_path: Path) -> None:
    """A repository with a pack that is larger than the memory of a git of ours is judged all the same."""
    blob = hooked.client.folder / "noise"
    with blob.open("wb") as file:
        for _ in range(300):
            file.write(os.urandom(1 << 20))
    plain = ("-c", "core.bigFileThreshold=1m", "-c", "pack.compression=0")
    hooked.client.git(*plain, "add", "noise")
    hooked.client.git("commit", "-q", "-m", "noise")
    blumeops("hook", "remove", hooked.bare)
    hooked.client.git(*plain, "push", "-q", "origin", "HEAD:refs/tags/noise")
    subprocess.run(["git", *plain, f"--git-dir={hooked.bare}", "repack", "-qad"], check=True)
    blumeops("hook", "install", hooked.bare)
    hooked.client.git("reset", "-q", "--hard", "HEAD~1")
    hooked.change()
    assert "plan: " in hooked.push()


def test_changes_of_who_reaches_what_are_refused_if_so_wanted(hooked: Hooked) -> None:
    """--fail-on-exposure: the lines say what would be opened; anything else lands."""
    blumeops("hook", "install", "--fail-on-exposure", hooked.bare)
    shutil.rmtree(hooked.services.parent)
    shutil.copytree(LABS / "blumeops", hooked.client.folder, dirs_exist_ok=True)
    hooked.client.git("add", "--all")
    hooked.client.git("commit", "-q", "-m", "the whole lab")
    hooked.push()
    hooked.change('version: "2.2.6"', 'version: "2.2.5"', "services/cluster.yaml")
    hooked.push()
    before = hooked.at()
    hooked.change(
        "grafana:           {cluster: minikube",
        "grafana:           {cluster: minikube, allow: [members]",
        "services/cluster.yaml",
    )
    said = hooked.push(code=1)
    assert "access: household can now reach grafana" in said
    assert "refused: who reaches what changes" in said
    assert hooked.at() == before
    blumeops("hook", "install", hooked.bare)
    assert "access: household can now reach grafana" in hooked.push()


def test_a_lab_that_asks_for_consent_gets_it_by_a_trailer(hooked: Hooked) -> None:
    """`exposure: refuse`: opened is what a commit of the push names at its end, and nothing else."""
    shutil.rmtree(hooked.services.parent)
    shutil.copytree(LABS / "blumeops", hooked.client.folder, dirs_exist_ok=True)
    asks = (hooked.client.folder / "lab.yaml").read_text().replace("branch: main}", "branch: main, exposure: refuse}")
    (hooked.client.folder / "lab.yaml").write_text(asks)
    hooked.client.git("add", "--all")
    hooked.client.git("commit", "-q", "-m", "the whole lab")
    hooked.push()  # from nothing: there is nothing to compare with
    closed, open_ = "grafana:           {cluster: minikube}", "grafana:           {cluster: minikube, allow: [members]}"
    hooked.change(closed, open_, "services/cluster.yaml")
    before = hooked.at()
    said = hooked.push(code=1)
    assert "access: household can now reach grafana" in said
    assert "BLU641 exposure: somebody can now reach grafana" in said
    assert hooked.at() == before
    # Said in the middle of a message it is a sentence, not a trailer; of another thing it is no consent.
    hooked.client.git("commit", "-q", "--allow-empty", "-m", "more\n\nExposure: grafana\n\nand so on")
    hooked.client.git("commit", "-q", "--allow-empty", "-m", "more\n\nExposure: kiwix")
    assert "`Exposure: grafana`" in hooked.push(code=1)
    hooked.client.git("commit", "-q", "--allow-empty", "-m", "Members see graphs\n\nExposure: grafana")
    assert "access: household can now reach grafana" in hooked.push()
    # What was said for that push is not said for the next.
    hooked.change(open_, closed, "services/cluster.yaml")
    hooked.push()
    hooked.change(closed, open_, "services/cluster.yaml")
    assert "BLU641" in hooked.push(code=1)
    # A branch that was accepted elsewhere and is rewound to brings no new commit, and so no consent.
    hooked.client.git("reset", "-q", "--hard", "HEAD~2")
    assert "BLU641" in hooked.push("+HEAD:refs/heads/main", code=1)


def test_a_secret_is_refused_here_too(hooked: Hooked) -> None:
    """What looks like a secret does not land, within the ceilings of a hook; its value is not told."""
    if not scan.program():
        pytest.skip("there is no betterleaks on this machine")
    hooked.push()
    token = "ghp_" + "1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT1uV2wX"
    hooked.client.commit("notes.md", f"token = {token}\n".encode())
    said = hooked.push(code=1)
    assert "notes.md:1:" in said
    assert "BLU521" in said
    assert "refused: a value looks like a secret" in said
    assert token not in said
    # A commit that takes it out again leaves it in Git, on whatever ref.
    hooked.client.commit("notes.md", b"gone\n")
    brings = hooked.client.git("rev-parse", "HEAD~1")
    for refs in (["HEAD:refs/heads/main"], ["HEAD:refs/heads/idea"], ["HEAD:refs/tags/t"], ["main", "main:idea"]):
        said = hooked.push(*refs, code=1)
        assert f"git rebase -i {brings[:8]}^" in said
        assert token not in said
    assert hooked.at("refs/heads/idea") == hooked.at("refs/tags/t") == ""
    allow = "secrets: {allow: [{file: notes.md, reason: it opens nothing at all}], store: sops, vault: first}"
    hooked.change("secrets: {store: sops, vault: first}", allow, "lab.yaml")
    hooked.push("HEAD:refs/heads/main", "HEAD:refs/heads/idea", "HEAD:refs/tags/t")


def test_a_long_history_is_taken_in_time(hooked: Hooked) -> None:
    """60 MB of earlier commits at a first push: it lands within the ceilings of a hook."""
    if not scan.program():
        pytest.skip("there is no betterleaks on this machine")
    history(hooked.client, 3000, 20_000)
    hooked.client.git("merge", "-q", "--allow-unrelated-histories", "-m", "long", "long")
    started = time.monotonic()
    assert "plan: 3 units change" in hooked.push()
    assert time.monotonic() - started < 45


def test_forgejos_own_hooks_stay_and_are_asked(tmp_path: Path) -> None:
    """In its layout ours is one file more in pre-receive.d: its dispatcher calls both, and is not touched."""
    hooked = Hooked.made(tmp_path, install=False)
    hooks, seen = hooked.bare / "hooks", tmp_path / "seen"
    (hooks / "pre-receive.d").mkdir()
    for path, text in {"pre-receive": FORGEJO, "pre-receive.d/gitea": f"#!/bin/sh\ncat >>{seen}\n"}.items():
        (hooks / path).write_text(text)
        (hooks / path).chmod(0o755)
    said = blumeops("hook", "install", hooked.bare)
    assert "pre-receive.d/blumeops" in said
    hooked.push()
    assert seen.read_text() == f"{'0' * 40} {hooked.at()} refs/heads/main\n"
    hooked.client.commit("services/bad.yaml", BAD.encode())
    assert "BLU101" in hooked.push(code=1)
    assert (hooks / "pre-receive").read_text() == FORGEJO
    blumeops("hook", "remove", hooked.bare)
    assert sorted(path.name for path in (hooks / "pre-receive.d").iterdir()) == ["gitea"]
    hooked.push()
