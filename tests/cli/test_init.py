"""`init` and `schema`: a lab of one's own, and what editors are told about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.test_transcripts import PROGRAM, REPO, run

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
    done = run(f"blumeops init --state TMP/state 'TMP/My Lab'{example}", tmp_path)
    lab = tmp_path / "My Lab"
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) >= {
        "lab.yaml",
        "README.md",
        ".gitignore",
        ".sops.yaml",
        "secrets.sops.yaml",
        *SCHEMAS,
    }
    assert "\nlab: my-lab\n" in (lab / "lab.yaml").read_text()
    assert git(lab, "status", "--short", "--ignored") == ""
    assert git(lab, "log", "--format=%an %D %s") == "blumeops HEAD -> main A new lab\n"
    checked = run("blumeops check --lab 'TMP/My Lab'", tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "")


def key_and_secrets(folder: Path, lab: str = "lab", key: str = "state/age.key") -> dict[str, object]:
    """The vault of a new lab, opened by the real `sops` with that key."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "SOPS_AGE_KEY_FILE": str(folder / key)}
    argv = [str(PROGRAM.with_name("sops")), "decrypt", "--output-type", "json", str(folder / lab / "secrets.sops.yaml")]
    done = subprocess.run(argv, env=env, capture_output=True, check=True)
    vault: dict[str, object] = json.loads(done.stdout)["lab"]
    return vault


def test_a_new_lab_has_a_key_and_its_secrets(tmp_path: Path) -> None:
    """Where `up` looks for it, and for its owner's eyes alone; nothing of it, nor a value, is in Git. Its place, and
    what depends on it, is told."""
    done = run("blumeops init --state TMP/state TMP/lab", tmp_path)
    key = tmp_path / "state" / "age.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert f"the key in {key}\n" in done.stderr
    assert "nobody can open them any more" in done.stderr
    secrets = key_and_secrets(tmp_path)
    assert {name: sorted(values) for name, values in secrets.items() if isinstance(values, dict)} == {
        "miniflux": ["admin-password", "database-password"],
        "postgresql": ["superuser-password"],
    }
    history = git(tmp_path / "lab", "log", "--patch", "--format=%B")
    assert "AGE-SECRET-KEY" not in history
    assert str(secrets["postgresql"]) not in history
    assert key.read_text().splitlines()[1].split()[-1] in history


def test_people_make_a_sops_file_by_the_labs_own_rule(tmp_path: Path) -> None:
    """`sops encrypt` in the folder takes the recipients from `.sops.yaml`, and leaves no name unencrypted."""
    run("blumeops init --state TMP/state TMP/lab", tmp_path)
    (tmp_path / "lab" / "secrets.sops.yaml").write_text("lab: {a: {b_unencrypted: canary}}\n")
    argv = [str(PROGRAM.with_name("sops")), "encrypt", "--in-place", "secrets.sops.yaml"]
    subprocess.run(argv, cwd=tmp_path / "lab", env={"HOME": str(tmp_path)}, capture_output=True, check=True)
    assert "canary" not in (tmp_path / "lab" / "secrets.sops.yaml").read_text()
    assert key_and_secrets(tmp_path) == {"a": {"b_unencrypted": "canary"}}


def test_a_key_that_is_there_is_used(tmp_path: Path) -> None:
    """By --age-key, by the environment, or in the state: it is never written over."""
    run("blumeops init --age-key TMP/keys/my.key TMP/lab", tmp_path)
    mine = (tmp_path / "keys" / "my.key").read_bytes()
    run("blumeops init --age-key TMP/keys/my.key --name lab TMP/two", tmp_path)
    key = str(tmp_path / "keys" / "my.key")
    run("blumeops init --state TMP/state --name lab TMP/three", tmp_path, SOPS_AGE_KEY_FILE=key)
    assert (tmp_path / "keys" / "my.key").read_bytes() == mine
    assert not (tmp_path / "state").exists()
    assert [set(key_and_secrets(tmp_path, lab, "keys/my.key")) for lab in ("lab", "two", "three")] == [
        {"miniflux", "postgresql"}
    ] * 3


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("--age-key TMP/lab/age.key", "BLU108"),
        ("--state TMP/lab", "BLU108"),
        ("--age-key TMP/open.key", "BLU502"),
        ("--age-key TMP/damaged.key", "BLU502"),
        ("--age-key TMP/open.key/below/a.key", "BLU903"),
    ],
)
def test_a_key_that_cannot_be_leaves_nothing(more: str, code: str, tmp_path: Path) -> None:
    """In the lab's folder, open to others, damaged, or where nothing can be written: one line, and no lab."""
    (tmp_path / "open.key").write_text("AGE-SECRET-KEY-1")
    (tmp_path / "open.key").chmod(0o644)
    (tmp_path / "damaged.key").write_text("AGE-SECRET-KEY-1")
    (tmp_path / "damaged.key").chmod(0o600)
    before = sorted(tmp_path.rglob("*"))
    done = run(f"blumeops init {more} TMP/lab", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"blumeops: {code} ")
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_lab_that_cannot_be_committed_takes_its_key_with_it(tmp_path: Path) -> None:
    """A key that opens nothing would only puzzle; one that was there before stays."""
    (tmp_path / ".gitconfig").write_text("[commit]\n\tcleanup = nonsense\n")
    done = run("blumeops init --state TMP/state TMP/lab", tmp_path)
    assert (done.returncode, done.stderr.startswith("blumeops: BLU600 git commit: ")) == (1, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".gitconfig"]
    (tmp_path / ".gitconfig").unlink()
    run("blumeops init --state TMP/state --name lab TMP/other", tmp_path)
    (tmp_path / ".gitconfig").write_text("[commit]\n\tcleanup = nonsense\n")
    assert run("blumeops init --state TMP/state TMP/lab", tmp_path).returncode == 1
    assert (tmp_path / "state" / "age.key").is_file()


def test_a_new_lab_names_its_versions(tmp_path: Path) -> None:
    """Each service has its `version:` in quotes, which update bots can bump; no placeholder is left anywhere."""
    run("blumeops init --state TMP/state TMP/lab", tmp_path)
    services = (tmp_path / "lab" / "services" / "services.yaml").read_text()
    assert (
        services.count('"  # renovate: datasource=')
        == services.count('\n  version: "')
        == services.count("\n  host: server")
        == 3
    )
    files = [path for path in (tmp_path / "lab").glob("[!.]*") if path.is_file()]
    assert {path.name for path in files} == {"lab.yaml", "README.md", "renovate.json", "secrets.sops.yaml"}
    files = [path for path in files if path.name != "renovate.json"]  # patterns end in a dollar
    assert [path for path in files if "$" in path.read_text().replace("$schema=.blumeops/", "")] == []


def test_the_persons_own_name_and_address_are_used(tmp_path: Path) -> None:
    """Git's settings are the author's; the address is the login in `people:`."""
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = A Person\n\temail = person@example.org\n")
    run("blumeops init --state TMP/state TMP/lab", tmp_path)
    assert git(tmp_path / "lab", "log", "--format=%an <%ae>") == "A Person <person@example.org>\n"
    assert "{login: person@example.org, role: admin}" in (tmp_path / "lab" / "lab.yaml").read_text()


def test_a_strange_address_is_quoted(tmp_path: Path) -> None:
    """What stands in a person's settings cannot break the lab's YAML."""
    (tmp_path / ".gitconfig").write_text('[user]\n\tname = A\n\temail = "{x: \\"y\\"}, role: z # w"\n')
    run("blumeops init --state TMP/state TMP/lab", tmp_path)
    assert run("blumeops check --lab TMP/lab", tmp_path).returncode == 0


def test_editors_find_the_schemas(tmp_path: Path) -> None:
    """The first line of each file leads, from where the file is, to a schema that was written."""
    run("blumeops init --state TMP/state TMP/lab", tmp_path)
    for file in ("lab.yaml", "services/services.yaml"):
        path = tmp_path / "lab" / file
        mark, _, schema = path.read_text().splitlines()[0].partition("$schema=")
        assert mark == "# yaml-language-server: "
        assert json.loads((path.parent / schema).read_text())["$schema"].endswith("2020-12/schema")


def test_the_result_as_json_is_as_promised(tmp_path: Path) -> None:
    """One object: what was made, and where."""
    found = json.loads(run("blumeops init --state TMP/state TMP/lab --name other --json", tmp_path).stdout)
    assert list(found) == ["version", "lab", "folder", "files", "revision", "hook", "age_key"]
    assert (found["version"], found["lab"], found["hook"]) == (1, "other", None)
    assert found["revision"] == git(tmp_path / "lab", "rev-parse", "HEAD").strip()


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    """A folder that is not empty, a file, a name that no lab can have: one line, and nothing is made or lost."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    for line, code in (("full", "BLU008"), ("full/mine", "BLU008"), ("123", "BLU107"), ("new --name X", "BLU107")):
        done = run(f"blumeops init --state TMP/state TMP/{line}", tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"blumeops: {code} ")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine"]


def test_without_git_nothing_is_left(tmp_path: Path) -> None:
    """Git is named as what lacks; a folder that was not there is not there, one that was is empty."""
    (tmp_path / "empty").mkdir()
    for folder in ("new", "empty"):
        done = run(f"blumeops init --state TMP/state TMP/{folder}", tmp_path, PATH=str(tmp_path / "nothing"))
        assert done.returncode == 4
        assert done.stderr.startswith("blumeops: BLU901 git: ")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_the_hook_refuses_what_the_checks_do(tmp_path: Path) -> None:
    """It looks at the revision that is pushed to main, not at the folder; other branches may hold anything."""
    run("blumeops init --state TMP/state TMP/lab --hook", tmp_path)
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
    assert "refused: 1 error; main stays where it was" in said
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
        words = [
            sys.executable,
            "-c",
            program,
            "init",
            f"--state={tmp_path}/state",
            str(tmp_path / "-".join(["lab", *example])),
            *example,
        ]
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
