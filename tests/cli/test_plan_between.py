"""plan --from: between two revisions of a repository of one's own, which anybody may have written."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.test_transcripts import REPO, run
from tests.engines.forge.live import Client

SERVICES = "services/services.yaml"


@pytest.fixture
def clone(tmp_path: Path) -> Client:
    """labs/first at `main`, and a branch `idea` with one more commit."""
    client = Client(tmp_path / "clone")
    client.git("init", "--quiet", "--initial-branch=main", ".")
    shutil.copytree(REPO / "labs" / "first", client.folder, dirs_exist_ok=True)
    client.git("add", "--all")
    client.git("commit", "--quiet", "-m", "first")
    client.git("checkout", "--quiet", "-b", "idea")
    text = (client.folder / SERVICES).read_text()
    client.commit(SERVICES, text.replace("polling: 60m", "polling: 30m").encode())
    return client


def test_the_plan_between_two_revisions(clone: Client, tmp_path: Path) -> None:
    """In words, as JSON and as Markdown, with the exit codes of a plan; no state is made, nothing is checked out."""
    clone.git("checkout", "--quiet", "main")
    told = run("blumeops plan --from main --to idea --no-diff --exit-code --lab TMP/clone", tmp_path)
    assert (told.returncode, told.stderr) == (3, "")
    assert told.stdout.startswith("miniflux: restart: environment changed\n  POLLING_FREQUENCY: 60 → 30\n")
    found = json.loads(run("blumeops plan --from main --to idea --json --lab TMP/clone", tmp_path).stdout)
    assert [change["unit"] for change in found["changes"]] == ["miniflux"]
    assert (found["to"], found["notes"]) == (clone.git("rev-parse", "idea"), [])
    markdown = run("blumeops plan --from main --to idea --markdown --lab TMP/clone/.git", tmp_path).stdout
    assert markdown.startswith(f"### Plan: 1 unit changes\n\n`{found['from'][:8]}` → `{found['to'][:8]}`\n")
    assert run("blumeops plan --from idea --to idea --exit-code --lab TMP/clone", tmp_path).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone"]
    assert "60m" in (clone.folder / SERVICES).read_text()


def test_the_plan_to_the_folder_as_it_is(clone: Client, tmp_path: Path) -> None:
    """What is not committed counts."""
    text = (clone.folder / SERVICES).read_text()
    (clone.folder / SERVICES).write_text(text.replace("polling: 30m", "polling: 15m"))
    assert "POLLING_FREQUENCY: 30 → 15" in run("blumeops plan --from HEAD --lab TMP/clone", tmp_path).stdout


def test_the_plan_from_where_two_histories_part(clone: Client, tmp_path: Path) -> None:
    """What main got meanwhile is not taken back by it."""
    clone.git("checkout", "--quiet", "main")
    clone.commit(SERVICES, (clone.folder / SERVICES).read_text().replace("name: feed", "name: news").encode())
    line = "blumeops plan --from main --to idea --no-diff --lab TMP/clone"
    assert "feed" in run(line, tmp_path).stdout
    parted = run(f"{line} --merge-base", tmp_path).stdout
    assert "POLLING_FREQUENCY: 60 → 30" in parted
    assert "feed" not in parted


def test_who_reaches_what_is_told_in_code(clone: Client, tmp_path: Path) -> None:
    """As in the plan of a site, refused with --fail-on-exposure, and nothing of it is Markdown."""
    text = (clone.folder / "lab.yaml").read_text()
    you = "  you: {login: you@example.org, role: admin}\n"
    clone.commit("lab.yaml", text.replace(you, f"{you}  anna: {{login: a@example.org, role: admin}}\n").encode())
    line = "blumeops plan --from main --to idea --lab TMP/clone"
    assert "access: anna can now reach everything" in run(line, tmp_path).stdout
    assert "\n**Who reaches what**\n\n- `anna can now reach everything`\n" in run(f"{line} --markdown", tmp_path).stdout
    assert run(f"{line} --fail-on-exposure", tmp_path).returncode == 1


def test_a_revision_that_does_not_pass(clone: Client, tmp_path: Path) -> None:
    """All findings at their places, exit 1; to mend it is no failure, and says that there is no plan from there."""
    good = clone.git("rev-parse", "HEAD")
    clone.commit(SERVICES, b"a: {host: nowhere, app: caddy}\nb: {hosts: x}\n")
    told = run("blumeops plan --from main --to idea --markdown --lab TMP/clone", tmp_path)
    assert told.returncode == 1
    assert told.stdout.startswith("### Refused: ")
    assert "services/services.yaml:1:11: BLU110" in told.stdout
    assert "services/services.yaml:2:5: BLU101" in told.stderr
    mended = run(f"blumeops plan --from idea --to {good} --markdown --lab TMP/clone", tmp_path)
    assert mended.returncode == 0
    assert mended.stdout.startswith("### The checks pass; there is no plan\n\n- `")


def test_hostile_content_is_refused_as_in_a_push(clone: Client, tmp_path: Path) -> None:
    """A link out of the tree is found in Git, before anything of it could be followed."""
    revision = clone.commit_raw([("120000", clone.blob(b"/etc/passwd"), "lab.yaml")])
    told = run(f"blumeops plan --from main --to {revision} --lab TMP/clone", tmp_path)
    assert told.returncode == 1
    assert "BLU610 repository: is a link out of the repository" in told.stderr
    assert "root:" not in told.stdout + told.stderr


@pytest.mark.parametrize("name", ["fix/#12", "grün", "a'b$(id)", "x@y", "a;id"])
def test_a_branch_may_be_called_anything_that_git_takes(clone: Client, tmp_path: Path, name: str) -> None:
    """It is a name, and nothing else."""
    clone.git("branch", name, "idea")
    told = run(f"blumeops plan --from main --to {shlex.quote(name)} --lab TMP/clone", tmp_path)
    assert "POLLING_FREQUENCY" in told.stdout, told.stderr


@pytest.mark.parametrize("name", ["nowhere", "--help", "-x", "main^{tree}", "main:lab.yaml", ":/first", "a b", ""])
def test_what_is_no_revision_is_refused(clone: Client, tmp_path: Path, name: str) -> None:
    """With one line, and never taken for an option of git's."""
    told = run(f"blumeops plan '--from={name}' --to=idea --lab TMP/clone", tmp_path)
    assert (told.returncode, told.stdout) == (1, "")
    assert "BLU601" in told.stderr
    assert clone.git("rev-parse", "main") not in told.stderr


def test_what_is_no_repository_is_said(clone: Client, tmp_path: Path) -> None:
    """A folder without Git, and a part of a repository; --to alone leads from nowhere."""
    shutil.copytree(REPO / "labs" / "first", tmp_path / "plain")
    assert "BLU650" in run("blumeops plan --from main --lab TMP/plain", tmp_path).stderr
    shutil.copytree(REPO / "labs" / "first", clone.folder / "below")
    assert "is a part of a Git repository" in run("blumeops plan --from main --lab TMP/clone/below", tmp_path).stderr
    assert "BLU765" in run("blumeops plan --to main --lab TMP/clone", tmp_path).stderr
