"""The token and the webhook's secret of a lab that follows a forge elsewhere are seen by nobody else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.engines.local.leftovers import MARK
from blumeops.secrets import sops
from blumeops.secrets.references import Reference
from tests.engines.remote.fake_forge import FakeForge
from tests.engines.remote.lab import WEBHOOK, RemoteLab
from tests.eventually import eventually
from tests.leaks import Allowed, Found, Seeker, Watch, unexpected

ALLOWED = (
    # git itself, its helper for HTTP, and the shell that answers its question for the password
    Allowed(r"environment of (\S*/git(-\S+)?|git(-\S+)?|/bin/sh|sh) .*", "token", "git hands it over, while it runs"),
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes by /proc")


@pytest.fixture
def seeker() -> Seeker:
    """Of this lab."""
    return Seeker()


@pytest.fixture
def planted(tmp_path: Path, state: Path, forge: FakeForge, seeker: Seeker) -> Iterator[RemoteLab]:
    """A lab with a canary for each of its two secrets."""
    forge.token = seeker.plant("token")
    made = RemoteLab.made(tmp_path / "clone", state, forge)
    values = {Reference.parse(WEBHOOK): seeker.plant("webhook")}
    (made.folder / sops.NAME).write_bytes(sops.updated((made.folder / sops.NAME).read_bytes(), values, made.key))
    made.push("Another secret of the webhook")
    yield made
    made.run("down", code=None)


def test_token_and_webhook_are_seen_by_nobody(planted: RemoteLab, forge: FakeForge, seeker: Seeker) -> None:
    """While it follows, is refused, cannot be reached, gets a wrong token and a new one."""
    printed: list[str] = []

    def told(*words: str) -> None:
        done = planted.run(*words, code=None)
        printed.extend((done.stdout, done.stderr))

    with Watch(seeker, MARK) as watch:
        told("up")
        head = planted.push("Second")
        assert forge.deliver(planted.hook, seeker.values["webhook"]) == 202
        eventually(lambda: planted.status_now()["revision"] == head)
        assert forge.deliver(planted.hook, "a guess") != 202
        planted.push("Bad", "services/a.yaml", "a: {host: nowhere}\n")
        told("sync")
        forge.away = True
        told("sync")
        forge.away, right = False, forge.token
        forge.token = "another"
        told("sync")
        forge.token = right
        for words in ("status", "status --json", "history --json", "logs controller", "secret list", "plan"):
            told(*words.split())
    found = set(watch.found)
    for text in printed:
        found |= seeker.in_text("output", text)
    found |= {Found("own forge", each.canary) for each in seeker.in_repository(planted.state / "forge/first.git")}
    found |= seeker.in_files(planted.state) | seeker.in_repository(forge.repository)
    assert watch.looks > 5
    assert forge.requests
    assert not unexpected(found, ALLOWED)


def test_the_look_would_find_it(planted: RemoteLab, seeker: Seeker) -> None:
    """The same places, with a leak in them."""
    planted.state.mkdir(exist_ok=True)
    leak = base64.b64encode(f"token:{seeker.values['token']}".encode())
    (planted.state / "status.log").write_bytes(leak)
    assert [each.canary for each in seeker.in_files(planted.state)] == ["token"]
    (planted.state / "status.log").unlink()
