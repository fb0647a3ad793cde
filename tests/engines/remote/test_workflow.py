"""The workflow that plans pull requests: its form by the published schema, and its steps run by a shell as they are.

What is not proved here: a runner. The steps get what one would give them: an empty folder, the expressions' values,
`sh -e`, and `GITHUB_PATH`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.forge import workflow
from blumeops.forge.comments import MARK
from tests.e2e.site import BLUMEOPS, GIT
from tests.engines.forge.hooked import LABS
from tests.engines.forge.live import Client
from tests.engines.remote.fake_forge import FakeForge
from tests.unit.test_plan_markdown import outside_code

SERVICES = "services/services.yaml"
WRAPPER = '#!/bin/sh\nprintf "%s\\n" "$0 $*" >> "{log}"\nexec "{program}" "$@"\n'


@dataclass
class Runner:
    """A folder as a runner has it. `said`: what programs were called with, and what the steps printed."""

    forge: FakeForge
    below: Path
    repository: Client
    own: bool = True
    """Whether the image has BlumeOps."""
    codes: dict[str, int] = field(default_factory=dict)
    said: str = ""

    def propose(self, files: dict[str, str]) -> None:
        """Somebody's pull request 7: one commit on main that changes these files."""
        self.repository.git("checkout", "-q", "--detach", "main")
        for path, text in files.items():
            self.repository.commit(path, text.encode())
        self.repository.git("push", "-q", "-f", str(self.forge.repository), "HEAD:refs/pull/7/head")

    def run(self, **variables: str) -> None:
        """Every step, as long as the one before went well or it says `always()`."""
        job = read(workflow.text_of("forgejo", "main"))["jobs"]["plan"]
        programs, work = self._programs(), self.below / "work"
        work.mkdir(exist_ok=True)
        (self.below / "path").touch()
        self.codes = {}
        for step in job["steps"]:
            if any(self.codes.values()) and step.get("if") != "always()":
                continue
            env = {name: self._value(text, variables) for name, text in {**job["env"], **step.get("env", {})}.items()}
            added = (self.below / "path").read_text().split()
            env |= {
                "PATH": ":".join([*added, str(programs), "/usr/bin:/bin"]), "GITHUB_PATH": str(self.below / "path"),
                "HOME": str(self.below), "TMPDIR": os.environ["TMPDIR"], "PIP_NO_INDEX": "1",
            }  # fmt: skip
            done = subprocess.run(
                ["sh", "-e", "-c", step["run"]], cwd=work, env=env, capture_output=True, text=True, timeout=100
            )
            self.codes[step["name"]] = done.returncode
            self.said += done.stdout + done.stderr
        self.said += (self.below / "log").read_text()

    def _programs(self) -> Path:
        """git and blumeops, each call of which is written down with its arguments; and Python."""
        folder = self.below / "bin"
        folder.mkdir(exist_ok=True)
        known = {"git": shutil.which("git"), **({"blumeops": str(BLUMEOPS)} if self.own else {})}
        for name, program in known.items():
            (folder / name).write_text(WRAPPER.format(log=self.below / "log", program=program))
            (folder / name).chmod(0o755)
        if not (folder / "python3").exists():
            (folder / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
            (folder / "python3").chmod(0o755)
        return folder

    def _value(self, text: str, variables: dict[str, str]) -> str:
        known = {
            "github.server_url": f"http://localhost:{self.forge.port}", "github.repository": "erich/lab",
            "github.event.pull_request.number": "7", "github.event.pull_request.base.ref": "main",
            "github.token": self.forge.token,
        }  # fmt: skip

        def meaning(match: re.Match[str]) -> str:
            name, _, instead = match[1].strip().partition(" || ")
            if name.startswith("vars."):
                return variables.get(name.removeprefix("vars."), instead.strip("'"))
            return known[name]

        return re.sub(r"\$\{\{(.*?)\}\}", meaning, text)


def read(text: bytes) -> Any:
    """The workflow, every scalar as the text that it is: `on` is no truth value there."""
    return yaml.load(text, yaml.BaseLoader)


@pytest.fixture
def runner(forge: FakeForge, tmp_path: Path) -> Runner:
    """A forge with labs/first at main."""
    repository = Client(tmp_path / "lab")
    repository.git("init", "--quiet", "--initial-branch=main", ".")
    shutil.copytree(LABS / "first", repository.folder, dirs_exist_ok=True)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "-m", "first")
    repository.git("push", "-q", str(forge.repository), "main")
    (tmp_path / "runner").mkdir()
    return Runner(forge, tmp_path / "runner", repository)


def services(old: str, new: str) -> dict[str, str]:
    """The services' file of labs/first with a change."""
    text = (LABS / "first" / SERVICES).read_text()
    assert old in text
    return {SERVICES: text.replace(old, new)}


@pytest.mark.parametrize("forge_kind", ["forgejo", "gitea", "github"])
def test_it_is_a_workflow_by_the_published_schema(forge_kind: workflow.Forge, tmp_path: Path) -> None:
    """That of GitHub, whose syntax the others take; and no expression stands within a script."""
    path = workflow.write(tmp_path, forge_kind, "main")
    assert path == tmp_path / f".{forge_kind}" / "workflows" / "plan.yaml"
    checker = Path(sys.executable).with_name("check-jsonschema")
    argv = [str(checker), "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    job = read(path.read_bytes())["jobs"]["plan"]
    for step in job["steps"]:
        assert "${{" not in step["run"]
        assert "uses" not in step
    given = [step["name"] for step in job["steps"] if "${{ github.token }}" in step.get("env", {}).values()]
    assert given == ["Fetch both revisions", "Comment"], "what reads the proposal has no token"
    assert path.read_text().count("github.token") == 2
    path.write_text(path.read_text().replace("runs-on:", "runs_on:"))
    assert subprocess.run(argv, capture_output=True, timeout=60).returncode == 1


def test_a_pull_request_is_planned_in_one_comment(runner: Runner) -> None:
    """The plan, from where the two part; changed by the next push; the token is in no argument and in nothing said."""
    runner.propose(services("polling: 60m", "polling: 30m"))
    runner.run()
    assert set(runner.codes.values()) == {0}
    (body,) = runner.forge.comments.bodies()
    assert body.startswith(f"{MARK}\n### Plan: 1 unit changes\n")
    assert "- `POLLING_FREQUENCY: 60 → 30`" in body
    runner.propose(services("polling: 60m", "polling: 15m"))
    runner.run()
    (body,) = runner.forge.comments.bodies()
    assert "- `POLLING_FREQUENCY: 60 → 15`" in body
    assert "blumeops plan" in runner.said
    assert "git -C lab.git" in runner.said
    assert runner.forge.token not in runner.said


def test_what_does_not_pass_is_said_and_fails(runner: Runner) -> None:
    """The job is red, and the comment has every finding."""
    runner.propose({SERVICES: "a: {host: nowhere, app: caddy}\nb: {hosts: x}\n"})
    runner.run()
    assert runner.codes == {"Have BlumeOps": 0, "Fetch both revisions": 0, "Check and plan": 1, "Comment": 0}
    (body,) = runner.forge.comments.bodies()
    assert body.startswith(f"{MARK}\n### Refused: ")
    assert "services/services.yaml:1:11: BLU110" in body


def test_a_hostile_pull_request_is_data(runner: Runner) -> None:
    """Nothing of it lies in the folder of the job, nothing runs, and nothing of it is Markdown."""
    ugly = "``` </details> @everyone <img src=x> [x](http://evil) -->"
    runner.propose({
        **services("options: {polling: 60m}", f"env: {{HTTP_CLIENT_USER_AGENT: '{ugly}'}}"),
        "blumeops.py": "raise SystemExit('run')", "sitecustomize.py": "raise SystemExit('run')",
        ".forgejo/workflows/plan.yaml": "on: push", "Makefile": "all:\n\ttouch run",
    })  # fmt: skip
    runner.run()
    assert set(runner.codes.values()) == {0}
    assert sorted(path.name for path in (runner.below / "work").iterdir()) == ["lab.git", "plan.md"]
    (body,) = runner.forge.comments.bodies()
    assert "HTTP_CLIENT_USER_AGENT" in body
    for word in ("everyone", "img", "evil", "-->"):
        assert word not in outside_code(body.removeprefix(MARK))


def test_nothing_is_said_where_nothing_was_planned(runner: Runner) -> None:
    """The pull request is gone, or the token is wrong: the step fails, and the comment that is there stays."""
    runner.forge.comments.write("forgejo-actions", f"{MARK}\nbefore")
    runner.run()
    assert runner.codes == {"Have BlumeOps": 0, "Fetch both revisions": 128, "Comment": 0}
    assert runner.forge.comments.bodies() == [f"{MARK}\nbefore"]


def test_a_forge_that_takes_no_comment_fails_the_job(runner: Runner) -> None:
    """With a token that may only read, as one of a fork's has."""
    runner.propose(services("polling: 60m", "polling: 30m"))
    runner.forge.comments.answers = [200, 403]
    runner.run()
    assert runner.codes["Comment"] == 1
    assert "BLU662" in runner.said


def test_blumeops_is_installed_where_the_image_has_none(runner: Runner, tmp_path: Path) -> None:
    """What the variable names; the steps behind find it on the path."""
    wheel = tmp_path / "blumeops-9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("stand_in.py", "def main():\n    print('a stand-in planned')\n")
        about = "blumeops-9.dist-info"
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: blumeops\nVersion: 9\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/entry_points.txt", "[console_scripts]\nblumeops = stand_in:main\n")
        archive.writestr(f"{about}/RECORD", "")
    runner.propose(services("polling: 60m", "polling: 30m"))
    runner.own = False
    runner.run(BLUMEOPS=f"blumeops @ file://{wheel}")
    assert set(runner.codes.values()) == {0}, runner.said
    assert (runner.below / "work/plan.md").read_text() == "a stand-in planned\n"
    shutil.rmtree(runner.below)


def test_init_writes_it_into_a_new_lab(tmp_path: Path) -> None:
    """With its first commit; `hook workflow` writes it anew, and leaves one of somebody's own alone."""
    argv = [str(BLUMEOPS), "init", str(tmp_path / "new"), "--workflow", "--age-key", str(tmp_path / "key")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    path = tmp_path / "new/.forgejo/workflows/plan.yaml"
    kept = subprocess.run([*GIT, "-C", str(tmp_path / "new"), "show", f"HEAD:{path.relative_to(tmp_path / 'new')}"],
                          capture_output=True, check=True).stdout  # fmt: skip
    assert kept == path.read_bytes() == workflow.text_of("forgejo", "main")
    again = [str(BLUMEOPS), "hook", "workflow", str(tmp_path / "new"), "--branch", "stable"]
    subprocess.run(again, check=True, capture_output=True, timeout=60)
    assert read(path.read_bytes())["on"]["pull_request_target"]["branches"] == ["stable"]
    path.write_text("name: mine\n")
    refused = subprocess.run(again, capture_output=True, text=True, timeout=60)
    assert (refused.returncode, path.read_text()) == (1, "name: mine\n")
    assert "BLU656" in refused.stderr
    strange = subprocess.run([*again[:-1], "a + b"], capture_output=True, text=True, timeout=60)
    assert "BLU655" in strange.stderr
