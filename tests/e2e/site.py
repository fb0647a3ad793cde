"""A lab of a test's own, driven as a person would: by the command, `git` and `curl`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import psutil

from tests.ports import free_port

REPOSITORY = Path(__file__).parents[2]
BLUMEOPS = Path(sys.executable).with_name("blumeops")
GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]


@dataclass
class Site:
    """One lab at site `here`, with ports of its own."""

    folder: Path
    state: Path
    https: int
    forge: int
    lab: str = "first"
    dns: int = 0

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`blumeops ARGUMENTS` for this site; `code`: the exit code that it must have, None for any."""
        command = [str(BLUMEOPS), *arguments, "--lab", str(self.folder), "--state", str(self.state)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        """What a command prints with --json."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def units(self) -> dict[str, dict[str, Any]]:
        """The units of `status --json`, by name."""
        return {unit["id"]: unit for unit in self.json("status", code=None)["units"]}

    def curl(self, path: str = "/", *more: str) -> subprocess.CompletedProcess[str]:
        """A request to Miniflux by its name, verified with the site's own root certificate."""
        return self.ask("feed", path, *more)

    def ask(self, label: str, path: str = "/", *more: str) -> subprocess.CompletedProcess[str]:
        """The same for any name of the proxy."""
        root = self.state / "data/caddy/data/caddy/pki/authorities/local/root.crt"
        address = f"https://{label}.ops.localhost:{self.https}{path}"
        resolve = f"{label}.ops.localhost:{self.https}:127.0.0.1"
        argv = ["curl", "-sS", "--max-time", "10", "--cacert", str(root), "--resolve", resolve, *more, address]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def serves(self) -> bool:
        """Whether Miniflux answers through Caddy."""
        return self.curl("/healthcheck").stdout.strip() == "OK"

    def head(self) -> str:
        """The revision of the forge's main."""
        argv = ["git", f"--git-dir={self.state / 'forge' / f'{self.lab}.git'}", "rev-parse", "main"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    def is_settled(self, revision: str) -> bool:
        """Whether that revision is applied, and all is well."""
        status = self.json("status", code=None)
        return bool(status["settled"]) and status["revision"] == revision

    def clone(self, to: Path) -> Clone:
        """A clone of the forge's repository that may push."""
        helper = f"!{BLUMEOPS} credential --state {self.state}"
        address = f"http://localhost:{self.forge}/{self.lab}.git"
        subprocess.run([*GIT, "clone", "-q", "-c", f"credential.helper={helper}", address, str(to)], check=True)
        return Clone(to)

    def processes_of(self, text: str) -> list[psutil.Process]:
        """The processes of this site with `text` in their arguments, but for those that only start others."""
        return [
            process for process in psutil.process_iter()
            if self._is_ours(process) and text in " ".join(words := _words(process)) and "launch.py" not in words
        ]  # fmt: skip

    def process(self, name: str) -> psutil.Process:
        """The one running process of that program below this site's state."""
        found = [
            process for process in psutil.process_iter() if self._is_ours(process) and _name(process) == name
        ]  # fmt: skip
        parents = [process for process in found if process.ppid() not in {each.pid for each in found}]
        assert len(parents) == 1, (name, found)
        return parents[0]

    def controller(self) -> psutil.Process | None:
        """The controller's process, while it runs."""
        for process in psutil.process_iter():
            words = _words(process)
            if "controller" in words and str(self.state) in words and "launch" not in " ".join(words[:4]):
                return process
        return None

    def manager(self) -> psutil.Process:
        """The process manager."""
        for process in psutil.process_iter():
            words = " ".join(_words(process))
            if "supervisor" in words and str(self.state) in words and "launch" not in words:
                return process
        raise AssertionError("no process manager runs")

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            environment = process.environ()
        except psutil.Error:
            return False
        return str(self.state) in " ".join([*_words(process), *environment.values()])


@dataclass
class Clone:
    """A working copy."""

    path: Path

    def change(self, old: str, new: str, message: str, file: str = "services/services.yaml") -> None:
        """Replace text that must be there, and commit."""
        text = (self.path / file).read_text()
        assert old in text
        (self.path / file).write_text(text.replace(old, new))
        self.git("commit", "-qam", message)

    def rewrite(self, new: str, pattern: str, message: str, file: str = "services/services.yaml") -> None:
        """Replace what the pattern finds, which must be there, and commit, also when it says the same already."""
        text, count = re.subn(pattern, new, (self.path / file).read_text())
        assert count
        (self.path / file).write_text(text)
        self.git("commit", "-q", "--allow-empty", "-am", message)

    def start_push(self) -> subprocess.Popen[bytes]:
        """A push that goes on by itself; all that it says is its standard output."""
        return subprocess.Popen([*GIT, "-C", str(self.path), "push"], stdout=PIPE, stderr=STDOUT)

    def pushes(self) -> bool:
        """Whether a push lands now."""
        pushing = self.start_push()
        pushing.communicate(timeout=60)
        return pushing.returncode == 0

    def git(self, *arguments: str, code: int = 0) -> str:
        """Standard output and error together."""
        done = subprocess.run(
            [*GIT, "-C", str(self.path), *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def push(self, code: int = 0) -> str:
        """What `git push` prints."""
        return self.git("push", code=code)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def make_site(below: Path, lab: str = "first") -> Site:
    """A copy of a lab that ships with the project, with free ports."""
    folder, state = below / "lab", below / "state"
    shutil.copytree(REPOSITORY / "labs" / lab, folder)
    https, forge, dns = free_port(), free_port(), free_port()
    with (folder / "lab.yaml").open("a") as file:
        file.write(f"\nhere: {{https: {https}, forge: {forge}, dns: {dns}}}\n")
    state.mkdir(mode=0o711)
    return Site(folder, state, https, forge, lab, dns)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:  # it has just ended
        return ""


def running_below(state: Path) -> list[str]:
    """Every process that has to do with a state folder."""
    found = []
    for process in psutil.process_iter():
        if process.pid != os.getpid() and str(state) in " ".join(_words(process)):
            found.append(f"{process.pid} {' '.join(_words(process))}")
    return found
