"""The webhook: who is heard, who is not, and what it costs us."""

from __future__ import annotations

import concurrent.futures
import http.client
import socket

import pytest

from tests.engines.remote.fake_forge import FakeForge, post
from tests.engines.remote.lab import SECRET, RemoteLab
from tests.eventually import eventually


def test_who_is_heard(lab: RemoteLab, forge: FakeForge) -> None:
    """Every forge's signature, as JSON and as a form, also through a proxy under its own name; nothing else."""
    lab.run("up")
    for by in ("forgejo", "gitea", "github"):
        for form in (False, True):
            assert forge.deliver(lab.hook, SECRET, by=by, form=form) == 202, (by, form)
            assert forge.deliver(lab.hook, "guessed", by=by, form=form) == 403, (by, form)
    assert forge.deliver(lab.hook, SECRET, host="hook.ops.example.org") == 202
    assert forge.deliver(lab.hook, SECRET, by="github", event="ping") == 200
    assert forge.deliver(lab.hook, SECRET, event="issues") == 200
    json = {"Content-Type": "application/json"}
    assert post(lab.hook, b"{}", json) == 401
    assert post(lab.hook, b"{}", json | {"X-Gitea-Signature": ""}) == 401
    assert post(lab.hook, b"{}", json | {"X-Hub-Signature-256": "sha256=\u00fc"}) == 403
    assert post(lab.hook, b"x", {"Content-Type": "text/plain", "X-Gitea-Signature": "0" * 64}) == 415
    assert post(lab.hook, b"x" * (3 << 20), json | {"X-Gitea-Signature": "0" * 64}) == 413
    assert post(lab.hook.replace("/webhook", "/other"), b"", {"Host": "hook.ops.example.org"}) == 421


def test_many_webhooks_are_one_look(lab: RemoteLab, forge: FakeForge) -> None:
    """Fifty at once cost the remote a question or two; a slow sender holds nobody up."""
    lab.run("up")
    before = len([each for each in forge.requests if "info/refs" in each])
    with socket.create_connection(("127.0.0.1", lab.port)) as slow:
        slow.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        slow.sendall(b"X-Gitea-Signature: 00\r\nContent-Length: 100\r\n\r\n{")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: forge.deliver(lab.hook, SECRET), range(50)))
        assert set(answers) <= {202, 503}
        news = lab.push("News")
        eventually(lambda: forge.deliver(lab.hook, SECRET) == 202)
        eventually(lambda: lab.status_now()["revision"] == news)
    asked = len([each for each in forge.requests if "info/refs" in each]) - before
    assert asked <= 12, asked  # each look asks twice: without the token, and with it


def test_a_lab_without_a_secret_expects_no_webhook(lab: RemoteLab, forge: FakeForge) -> None:
    """Nothing listens where the lab names no secret, and a GET tells nothing."""
    text = (lab.folder / "lab.yaml").read_text()
    lab.push("No webhook", "lab.yaml", text.replace('webhook: "op://first/forge/webhook", ', ""))
    lab.run("up")
    assert forge.deliver(lab.hook, SECRET) == 404
    assert forge.deliver(lab.hook, "") == 404
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=5)
    connection.request("GET", "/webhook")
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.parametrize("kind", ["github", "forgejo"])
def test_statuses_are_posted_again_until_they_are_taken(lab: RemoteLab, forge: FakeForge, kind: str) -> None:
    """A forge that fails for a moment gets the status later, in its own dialect."""
    forge.kind = lab.status = kind
    lab.more = f", api: http://localhost:{forge.port}"
    lab.write()
    first = lab.push("Dialect")
    forge.failing = 2
    lab.run("up")
    eventually(lambda: forge.said(first)[-1:] == ["success"], 20)
    assert not forge.refused_statuses
