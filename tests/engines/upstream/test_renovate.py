"""The renovate.json that `init` writes, read by the real Renovate: valid, and it proposes what is newer.

Skipped where there is none: `npm install renovate node@24`, and both `bin` folders on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blumeops.app.new_lab import STARTER
from blumeops.lab import locked
from tests.engines.upstream.registry import Registry

pytestmark = pytest.mark.skipif(not shutil.which("renovate-config-validator"), reason="Renovate is not on PATH")


def renovate(folder: Path, *words: str, **settings: str) -> list[dict[str, Any]]:
    """Run a program of Renovate's in `folder`; the lines of its log."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "LOG_LEVEL": "debug", "LOG_FORMAT": "json"}
    env |= {"RENOVATE_BASE_DIR": str(folder.parent / "renovate"), "RENOVATE_CACHE_DIR": str(folder.parent / "cache")}
    done = subprocess.run(
        list(words), cwd=folder, env=env | settings, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return list(_lines(done.stdout))


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def lab(folder: Path, **files: str) -> Path:
    """A repository with these files and renovate.json."""
    folder.mkdir()
    shutil.copy(STARTER / "renovate.json", folder)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=x"]):
        who = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=folder, check=True)
    return folder


def dependencies(log: list[dict[str, Any]], message: str, key: str) -> list[dict[str, Any]]:
    """What was found, whoever found it, each with its file."""
    told = next(line[key] for line in log if line["msg"].startswith(message))
    return [each | {"file": file["packageFile"]} for files in told.values() for file in files for each in file["deps"]]


def test_it_is_valid(tmp_path: Path) -> None:
    """Strictly: nothing in it would have to be migrated."""
    log = renovate(lab(tmp_path / "lab"), "renovate-config-validator", "--strict", "--no-global", "renovate.json")
    assert any("validated successfully" in line["msg"] for line in log)


def test_a_new_version_and_its_digest_come_together(tmp_path: Path, registry: Registry) -> None:
    """Of images in services, Compose files and the lock, all on one branch; pre-releases are not proposed."""
    before = registry.image("web", "1.2.3", "old")
    after = registry.image("web", "1.3.0", "new")
    registry.image("web", "1.4.0-rc1", "not yet")
    name = f"{registry.name}/web"
    folder = lab(tmp_path / "lab", **{
        "services/s.yaml": f"web:\n  image: {name}:1.2.3\n"
        f'app:\n  version: "1.2.3"  # renovate: datasource=docker depName={name}\n',
        "compose/c.yaml": f"services:\n  web:\n    image: {name}:1.2.3\n",
        locked.NAME: locked.text({f"{name}:1.2.3": before}),
    })  # fmt: skip
    rules = json.dumps([{"matchHost": "127.0.0.1", "insecureRegistry": True}])
    log = renovate(folder, "renovate", "--platform=local", "--dry-run=lookup", RENOVATE_HOST_RULES=rules)
    found = dependencies(log, "packageFiles with updates", "config")
    assert sorted((each["file"], each["depName"], each["currentValue"]) for each in found) == [
        ("compose/c.yaml", name, "1.2.3"), (locked.NAME, name, "1.2.3"),
        ("services/s.yaml", name, "1.2.3"), ("services/s.yaml", name, "1.2.3"),
    ]  # fmt: skip
    updates = [update for each in found for update in each["updates"]]
    assert {update["newValue"] for update in updates} == {"1.3.0"}
    assert len({update["branchName"] for update in updates}) == 1
    [digest] = [update["newDigest"] for each in found if each["file"] == locked.NAME for update in each["updates"]]
    assert digest == after
