"""Caddy with what takes TCP routes, built as the role of a proxy builds it: by xcaddy, in the versions that it names.

The plugin of a DNS provider is left out, since no provider is asked here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from blumeops.base.files import locked
from blumeops.checks.check import check_folder
from blumeops.facts.plugins import KNOWN, TCP
from blumeops.render import ansible
from blumeops.render.ansible.build import XCADDY

LABS = Path(__file__).parents[3] / "labs"
FIRST = 600
"""Seconds that the first build may take; Go's caches make the next one a matter of seconds, ours of none."""


def command() -> list[str]:
    """The words of the role's own task for the example lab, without the provider's plugin and the output's place."""
    checked = check_folder(LABS / "blumeops").passed
    assert checked
    text = ansible.render(checked).text("ansible/roles/caddy/tasks/macos.yml")
    argv = next(
        task["ansible.builtin.command"]["argv"]
        for task in yaml.safe_load(text)
        if "build" in task.get("ansible.builtin.command", {}).get("argv", ())
    )
    words = [str(word).replace("{{ caddy_version }}", checked.facts.services["caddy"].version) for word in argv]
    words = words[: words.index("--output")]
    at = words.index(KNOWN["gandi"])
    return words[: at - 1] + words[at + 1 :]


@cache
def caddy() -> Path:
    """The program; a test that wants it where Go is missing, or cannot fetch what it is made of, is skipped."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: a Caddy with TCP routes cannot be built")
    argv = command()
    digest = hashlib.sha256("\0".join(argv).encode()).hexdigest()[:16]
    folder = Path(os.environ["BLUMEOPS_TEST_CACHE"]) / "caddy" / digest
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "caddy"
    with locked(folder / "lock"):  # two workers would each build it
        if not program.exists():
            env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
            version = next(word for word in argv if word.startswith("v2."))
            wanted = [XCADDY.replace("/cmd/xcaddy@", "@"), f"github.com/caddyserver/caddy/v2@{version}", TCP]
            got = subprocess.run(
                ["go", "mod", "download", *wanted], env=env, cwd=folder, capture_output=True, text=True
            )
            if got.returncode:
                pytest.skip(f"a Caddy with TCP routes cannot be fetched: {got.stderr.strip()[-300:]}")
            part = program.with_suffix(".part")
            done = subprocess.run([*argv, "--output", part], env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-2000:]
            part.rename(program)
    return program
