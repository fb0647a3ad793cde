"""`render --diff`: what writing would change of a folder or since a branch; and what is left over is named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.site import BLUMEOPS, GIT

LABS = Path(__file__).parents[2] / "labs"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """labs/first, rendered into `out`, a Git repository with that as branch main."""
    shutil.copytree(LABS / "first", tmp_path / "lab")
    render(tmp_path / "lab")
    out = tmp_path / "out"
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Rendered"]):
        subprocess.run([*GIT, "-C", out, *words], check=True)
    return tmp_path / "lab"


def render(lab: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`blumeops render` of the lab into the folder beside it."""
    argv: list[str | Path] = [BLUMEOPS, "render", "--lab", lab, "--out", lab.parent / "out", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done


def change(lab: Path, old: str, new: str) -> None:
    """Another service file."""
    file = lab / "services" / "services.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_nothing_differs_after_rendering(lab: Path) -> None:
    """Of the folder and of the branch."""
    for revision in ([], ["main"]):
        done = render(lab, "--diff", *revision, "--exit-code")
        assert done.stdout == ""
        assert done.stderr.startswith("0 of ")


def test_a_change_of_one_service_is_a_small_diff(lab: Path) -> None:
    """Only its own files, the new lines with a plus; nothing is written."""
    change(lab, "polling: 60m", "polling: 30m")
    done = render(lab, "--diff", "--exit-code", code=3)
    changed = json.loads(render(lab, "--diff", "--json").stdout)["changed"]
    assert changed
    assert all("miniflux" in path for path in changed)
    added = [line for line in done.stdout.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert any('"30"' in line for line in added)
    assert render(lab, "--diff", "main").stdout == done.stdout
    render(lab)
    assert render(lab, "--diff", "main").stdout == done.stdout
    assert render(lab, "--diff").stdout == ""


def test_what_nothing_derives_any_more_is_named_and_left(lab: Path) -> None:
    """Until a person deletes it; what is not ours is not named."""
    (lab.parent / "out" / "argocd" / "mine.yaml").write_text("# mine")
    text = (lab / "services" / "services.yaml").read_text()
    (lab / "services" / "services.yaml").write_text(text[: text.index("miniflux:")])
    assert "--- a/argocd/apps/miniflux.yaml" in render(lab, "--diff").stdout
    said = render(lab).stderr
    assert "argocd/apps/miniflux.yaml: nothing derives this any more; delete it" in said
    assert "mine.yaml" not in said
    assert (lab.parent / "out/argocd/apps/miniflux.yaml").is_file()
    assert "nothing derives this" in render(lab).stderr
    (lab.parent / "out/argocd/apps/miniflux.yaml").unlink()
    assert "apps/miniflux.yaml" not in render(lab).stderr


def test_what_has_no_form_at_home_is_told(lab: Path) -> None:
    """A Compose file on a Mac runs at `here` alone: each of its parts is a warning, and the rest is written."""
    (lab / "c.yaml").write_text("services: {web: {image: 'web:1', ports: ['80:80']}, db: {image: 'db:1'}}\n")
    (lab / "services" / "more.yaml").write_text("photos: {host: mac, compose: c.yaml}\n")
    text = (lab / "lab.yaml").read_text()
    (lab / "lab.yaml").write_text(text.replace("hosts:\n", "hosts:\n  mac: {os: macos, role: compute}\n"))
    said = render(lab).stderr
    assert "services/more.yaml:1:1: BLU126 warning: photos: is not rendered for `home`: an image, which is" in said
    assert "BLU126 warning: photos-db" in said
    assert "BLU126" not in render(lab, "--site", "here").stderr


def test_a_branch_that_is_not_there(lab: Path) -> None:
    """One line, exit 1; a name that looks like an option is a name."""
    for name in ("other", "--output=x"):
        assert "BLU764" in render(lab, f"--diff={name}", code=1).stderr
    assert not (lab.parent / "out" / "x").exists()


def test_a_service_is_previewed_from_a_branch_and_is_back(lab: Path) -> None:
    """One file changes: in it the branch, and a comment that says so. Rendered without, nothing differs."""
    out = lab.parent / "out"
    done = render(lab, "--preview", "miniflux=fix/slow-feeds")
    assert done.stdout.split() == [str(out / "argocd/apps/miniflux.yaml")]
    assert "miniflux: Argo CD takes it from fix/slow-feeds" in done.stderr
    diff = subprocess.run([*GIT, "-C", out, "diff", "-U0"], capture_output=True, text=True, check=True).stdout
    changed = [line for line in diff.splitlines() if line[0] in "+-" and not line.startswith(("+++", "---"))]
    assert changed == [
        "+# A preview of the branch fix/slow-feeds: rendered without --preview it is back",
        "-    targetRevision: main",
        "+    targetRevision: fix/slow-feeds",
    ]
    render(lab)
    assert not subprocess.run([*GIT, "-C", out, "status", "--porcelain"], capture_output=True, check=True).stdout


def test_a_chart_beside_a_folder_keeps_its_version(tmp_path: Path) -> None:
    """Of an Application with two sources it is the folder in Git that comes from the branch."""
    shutil.copytree(LABS / "blumeops", tmp_path / "lab")
    render(tmp_path / "lab")
    file = tmp_path / "out/argocd/apps/onepassword-connect.yaml"
    before = file.read_text().splitlines()
    render(tmp_path / "lab", "--preview", "onepassword-connect=idea")
    added = [line.strip() for line in file.read_text().splitlines() if line not in before]
    assert added[1:] == ["targetRevision: idea"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preview", "caddy=idea"], "ansible-playbook server.yml --tags caddy --check --diff"),
        (["--preview", "miniflx=idea"], "did you mean miniflux?"),
        (["--site", "here", "--preview", "miniflux=idea"], "blumeops preview BRANCH"),
    ],
)
def test_what_argo_cd_does_not_deploy_is_not_previewed(lab: Path, words: list[str], said: str) -> None:
    """The error says what to do instead, and nothing is written."""
    done = render(lab, *words, code=1)
    assert "BLU810" in done.stderr
    assert said in done.stderr
    assert not subprocess.run(
        [*GIT, "-C", lab.parent / "out", "status", "--porcelain"], capture_output=True, check=True
    ).stdout


def test_a_chart_alone_is_not_previewed(tmp_path: Path) -> None:
    """All that a branch could change is in the Application itself."""
    shutil.copytree(LABS / "blumeops", tmp_path / "lab")
    assert "is a chart alone" in render(tmp_path / "lab", "--preview", "external-secrets=idea", code=1).stderr


@pytest.mark.parametrize("given", ["miniflux", "miniflux=", "miniflux=-x", "miniflux=a b", "=x\ny"])
def test_a_preview_names_service_and_branch(lab: Path, given: str) -> None:
    """Whatever else is a wrong use."""
    assert "is not SERVICE=BRANCH" in render(lab, "--preview", given, code=2).stderr
