"""A lab without services that follows a fake forge: driven by the command and by git, as a person would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blumeops.secrets import sops
from blumeops.secrets.age import Key, find_key
from blumeops.secrets.references import Reference
from tests.engines.remote.fake_forge import FakeForge
from tests.ports import free_port

BLUMEOPS = Path(sys.executable).with_name("blumeops")
SECRET = "the webhook's secret"
TOKEN, WEBHOOK = "op://first/forge/token", "op://first/forge/webhook"
BODY = """\
lab: first
gitops: {{url: "{url}", every: {every}, token: "{token}", webhook: "{webhook}", status: {status}{more}}}
here: {{https: {https}, forge: {port}, dns: {dns}}}
"""


@dataclass
class RemoteLab:
    """`folder`: a clone of the fake's repository."""

    folder: Path
    state: Path
    forge: FakeForge
    key: Key
    https: int
    port: int
    every: str = "1h"
    status: str = "forgejo"
    more: str = ""
    dns: int = field(default_factory=free_port)

    @classmethod
    def made(cls, folder: Path, state: Path, forge: FakeForge) -> RemoteLab:
        """With the token and the webhook's secret in its SOPS file, and one commit that is pushed already."""
        key = find_key(None, {}, folder.parent / "age.key", create=True)
        lab = cls(folder, state, forge, key, free_port(), free_port())
        folder.mkdir()
        lab.git("init", "-q", "-b", "main")
        (folder / "services").mkdir()
        values = {Reference.parse(TOKEN): forge.token, Reference.parse(WEBHOOK): SECRET}
        (folder / sops.NAME).write_bytes(sops.updated(None, values, key))
        lab.write()
        lab.git("remote", "add", "origin", str(forge.repository))
        lab.push("A lab")
        return lab

    @property
    def hook(self) -> str:
        """Where webhooks are delivered."""
        return f"http://127.0.0.1:{self.port}/webhook"

    @property
    def own(self) -> str:
        """The address of the site's own forge."""
        return f"http://localhost:{self.port}/first.git"

    @property
    def helper(self) -> str:
        """Git's credential helper for it."""
        return f"{BLUMEOPS} credential --state {self.state}"

    def write(self) -> None:
        """lab.yaml as it should be now."""
        (self.folder / "lab.yaml").write_text(
            BODY.format(
                url=self.forge.url, every=self.every, token=TOKEN, webhook=WEBHOOK, status=self.status,
                more=self.more, https=self.https, port=self.port, dns=self.dns,
            )
        )  # fmt: skip

    def git(self, *arguments: str, code: int = 0) -> str:
        """Git in the clone; what it prints."""
        who = {f"GIT_{role}_{part}": "me@x" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=os.environ | who, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return (done.stdout + done.stderr).strip()

    def push(self, message: str, file: str = "notes.md", text: str | None = None, *, force: bool = False) -> str:
        """Commit everything (and `file`), push it past the API to the fake's repository; the revision."""
        (self.folder / file).write_text(message if text is None else text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", *(["-f"] if force else []), "origin", "HEAD:main")
        return self.head()

    def head(self) -> str:
        """The clone's revision."""
        return self.git("rev-parse", "HEAD")

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`blumeops ARGUMENTS` for this site."""
        command = [str(BLUMEOPS), *arguments, "--lab", str(self.folder), "--state", str(self.state)]
        if arguments[0] == "up":
            command += ["--age-key", str(self.key.path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def status_now(self) -> dict[str, Any]:
        """`status --json`."""
        found: dict[str, Any] = json.loads(self.run("status", "--json", code=None).stdout)
        return found

    def log(self) -> str:
        """What the controller printed."""
        return (self.state / "logs/controller.log").read_text()
