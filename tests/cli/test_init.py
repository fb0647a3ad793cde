"""`init` and `schema`: a lab of one's own, and what editors are told about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.test_transcripts import REPO, run

SCHEMAS = {".blumeops/app.schema.json", ".blumeops/lab.schema.json", ".blumeops/services.schema.json"}


def git(folder: Path, *arguments: str, code: int = 0) -> str:
    """What git prints, on both streams."""
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("example", ["", " --example first", " --example blumeops"])
def test_a_new_lab_passes_the_checks(example: str, tmp_path: Path) -> None:
    """Every kind of it, without a word; it is named like its folder, and all of it is in the first commit."""
    done = run(f"blumeops init 'TMP/My Lab'{example}", tmp_path)
    lab = tmp_path / "My Lab"
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) >= {"lab.yaml", "README.md", ".gitignore", *SCHEMAS}
    assert "\nlab: my-lab\n" in (lab / "lab.yaml").read_text()
    assert git(lab, "status", "--short", "--ignored") == ""
    assert git(lab, "log", "--format=%an %D %s") == "blumeops HEAD -> main A new lab\n"
    checked = run("blumeops check --lab 'TMP/My Lab'", tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_a_new_lab_names_its_versions(tmp_path: Path) -> None:
    """Each service has its `version:` in quotes, which update bots can bump; no placeholder is left anywhere."""
    run("blumeops init TMP/lab", tmp_path)
    services = (tmp_path / "lab" / "services" / "services.yaml").read_text()
    assert services.count('\n  version: "') == services.count("\n  host: server") == 3
    files = [path for path in (tmp_path / "lab").glob("[!.]*") if path.is_file()]
    assert len(files) == 2
    assert [path for path in files if "$" in path.read_text().replace("$schema=.blumeops/", "")] == []


def test_the_persons_own_name_and_address_are_used(tmp_path: Path) -> None:
    """Git's settings are the author's; the address is the login in `people:`."""
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = A Person\n\temail = person@example.org\n")
    run("blumeops init TMP/lab", tmp_path)
    assert git(tmp_path / "lab", "log", "--format=%an <%ae>") == "A Person <person@example.org>\n"
    assert "{login: person@example.org, role: admin}" in (tmp_path / "lab" / "lab.yaml").read_text()


def test_a_strange_address_is_quoted(tmp_path: Path) -> None:
    """What stands in a person's settings cannot break the lab's YAML."""
    (tmp_path / ".gitconfig").write_text('[user]\n\tname = A\n\temail = "{x: \\"y\\"}, role: z # w"\n')
    run("blumeops init TMP/lab", tmp_path)
    assert run("blumeops check --lab TMP/lab", tmp_path).returncode == 0


def test_editors_find_the_schemas(tmp_path: Path) -> None:
    """The first line of each file leads, from where the file is, to a schema that was written."""
    run("blumeops init TMP/lab", tmp_path)
    for file in ("lab.yaml", "services/services.yaml"):
        path = tmp_path / "lab" / file
        mark, _, schema = path.read_text().splitlines()[0].partition("$schema=")
        assert mark == "# yaml-language-server: "
        assert json.loads((path.parent / schema).read_text())["$schema"].endswith("2020-12/schema")


def test_the_result_as_json_is_as_promised(tmp_path: Path) -> None:
    """One object: what was made, and where."""
    found = json.loads(run("blumeops init TMP/lab --name other --json", tmp_path).stdout)
    assert list(found) == ["version", "lab", "folder", "files", "revision", "hook"]
    assert (found["version"], found["lab"], found["hook"]) == (1, "other", None)
    assert found["revision"] == git(tmp_path / "lab", "rev-parse", "HEAD").strip()


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    """A folder that is not empty, a file, a name that no lab can have: one line, and nothing is made or lost."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    for line, code in (("full", "BLU008"), ("full/mine", "BLU008"), ("123", "BLU107"), ("new --name X", "BLU107")):
        done = run(f"blumeops init TMP/{line}", tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"blumeops: {code} ")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine"]


def test_without_git_nothing_is_left(tmp_path: Path) -> None:
    """Git is named as what lacks; a folder that was not there is not there, one that was is empty."""
    (tmp_path / "empty").mkdir()
    for folder in ("new", "empty"):
        done = run(f"blumeops init TMP/{folder}", tmp_path, PATH=str(tmp_path / "nothing"))
        assert done.returncode == 4
        assert done.stderr.startswith("blumeops: BLU901 git: ")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_the_hook_refuses_what_the_checks_do(tmp_path: Path) -> None:
    """It looks at the revision that is pushed to main, not at the folder; other branches may hold anything."""
    run("blumeops init TMP/lab --hook", tmp_path)
    lab, scratch = tmp_path / "lab", tmp_path / "scratch"
    scratch.mkdir()
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    git(lab, "remote", "add", "origin", str(tmp_path / "bare.git"))
    git(lab, "push", "origin", "main")
    file = lab / "services" / "services.yaml"
    good = file.read_text()
    file.write_text(good.replace("database: postgresql", "database: nowhere"))
    git(lab, "commit", "-am", "Break it")
    file.write_text(good)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(scratch))
        said = git(lab, "push", "origin", "main", code=1)
    assert "BLU113 miniflux: there is no service `nowhere`" in said
    assert "refused: see above" in said
    assert list(scratch.iterdir()) == []
    git(lab, "push", "origin", "main:refs/heads/try")
    git(lab, "push", "origin", ":try")
    git(lab, "push", "--no-verify", "origin", "main")


def test_the_wheel_has_what_init_copies(tmp_path: Path) -> None:
    """Installed without its repository, BlumeOps knows its examples all the same."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPO, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    program = "import blumeops, sys; from blumeops.cli.main import main; print(blumeops.__file__); main(sys.argv[1:])"
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    for example in ([], ["--example", "first"], ["--example", "blumeops"]):
        words = [sys.executable, "-c", program, "init", str(tmp_path / "-".join(["lab", *example])), *example]
        done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(tmp_path / "installed"))


def test_a_schema_is_printed_or_written(tmp_path: Path) -> None:
    """Printed it is JSON, of lab.yaml unless another is named; with --out all are files, written when they differ."""
    assert json.loads(run("blumeops schema", tmp_path).stdout)["title"].startswith("lab.yaml")
    assert json.loads(run("blumeops schema app", tmp_path).stdout)["title"].startswith("app.yaml")
    first = json.loads(run("blumeops schema --out TMP/out --json", tmp_path).stdout)
    again = json.loads(run("blumeops schema --out TMP/out --json", tmp_path).stdout)
    assert first["files"] == again["files"] == ["app.schema.json", "lab.schema.json", "services.schema.json"]
    assert (len(first["written"]), again["written"]) == (3, [])
    assert run("blumeops schema services --out TMP/one", tmp_path).stdout.endswith("one/services.schema.json\n")
