"""A fake of a forge elsewhere: real Git over HTTP behind a token, and of the API the two parts that we call.

It is no Forgejo and no GitHub: neither can be had here. What it verifies is what those verify, by their documentation
and their clients' structures: the token's header, the body's type, the states, GitHub's longest description and its
User-Agent, that the repository and the revision are there, who wrote a comment (`fake_comments`). Webhooks are signed
as each of the real ones signs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.engines.remote.fake_comments import Comments

STATES = {
    "forgejo": {"pending", "success", "error", "failure", "warning"},
    "github": {"pending", "success", "error", "failure"},
}


@dataclass
class FakeForge:
    """`away`: answers 503 to everything. `statuses`: those that were taken, oldest first."""

    folder: Path
    token: str = "a-token-of-the-fake"
    kind: str = "forgejo"
    away: bool = False
    may_push: bool = True
    failing: int = 0
    """So many more statuses are answered with 502."""
    statuses: list[dict[str, str]] = field(default_factory=list)
    refused_statuses: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    comments: Comments = field(default_factory=Comments)
    port: int = 0

    @property
    def repository(self) -> Path:
        return self.folder / "erich" / "lab.git"

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/erich/lab.git"

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[FakeForge]:
        """Serve until the block ends."""
        forge = cls(folder)
        forge.repository.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(forge.repository)], check=True)
        subprocess.run(["git", "-C", str(forge.repository), "config", "http.receivepack", "true"], check=True)
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"forge": forge}))
        server.daemon_threads = True
        forge.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield forge
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def said(self, revision: str) -> list[str]:
        """The states that were posted about a revision."""
        return [each["state"] for each in self.statuses if each["sha"] == revision]

    def deliver(
        self, to: str, secret: str, *, by: str = "forgejo", event: str = "push", form: bool = False, host: str = ""
    ) -> int:
        """Deliver a webhook as the real ones do; the status of the answer."""
        payload = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "erich/lab"}})
        body = urllib.parse.urlencode({"payload": payload}).encode() if form else payload.encode()
        signed = body if by == "github" else payload.encode()  # Forgejo and Gitea sign the payload within the form
        digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        headers = {"Content-Type": kind, "X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={digest}"}
        if by in ("forgejo", "gitea"):
            headers |= {"X-Gitea-Event": event, "X-Gitea-Signature": digest}
        if by == "forgejo":
            headers |= {"X-Forgejo-Event": event, "X-Forgejo-Signature": digest}
        if host:
            headers["Host"] = host
        return post(to, body, headers)


def post(to: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer to a POST."""
    try:
        with urllib.request.urlopen(urllib.request.Request(to, body, headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


class _Handler(BaseHTTPRequestHandler):
    forge: FakeForge

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        forge = self.forge
        forge.requests.append(f"{self.command} {self.path}")
        body = self._body()
        if forge.away:
            return self._say(503, b"away")
        prefix = "/" if forge.kind == "github" else "/api/v1/"
        scheme = "Bearer" if forge.kind == "github" else "token"
        if self.path == f"{prefix}user" or "/issues/" in self.path:
            if self.headers.get("Authorization") != f"{scheme} {forge.token}":
                return self._say(401, b'{"message": "token is required"}')
            code, said = forge.comments.answer(self.command, self.path.removeprefix(prefix), body, forge.kind)
            return self._say(code, json.dumps(said).encode() if said is not None else b"")
        if self.path.startswith(f"{prefix}repos/"):
            if forge.failing:
                forge.failing -= 1
                return self._say(502, b"bad gateway")
            code, words = self._status(self.path.removeprefix(f"{prefix}repos/"), body)
            if code != 201:
                forge.refused_statuses.append(words)
            return self._say(code, json.dumps({"message": words}).encode())
        return self._git(body)

    def _status(self, path: str, body: bytes) -> tuple[int, str]:
        scheme = "Bearer" if self.forge.kind == "github" else "token"
        if self.headers.get("Authorization") != f"{scheme} {self.forge.token}":
            return 401, "token is required"
        parts = path.split("/")
        if len(parts) != 4 or parts[:3] != ["erich", "lab", "statuses"]:
            return 404, "no such repository"
        if self.headers.get("Content-Type") != "application/json":
            return 422, "not JSON"
        if self.forge.kind == "github" and not self.headers.get("User-Agent"):
            return 403, "a User-Agent is required"
        given = json.loads(body)
        if given["state"] not in STATES[self.forge.kind]:
            return 422, "no such state"
        if len(given["description"]) > 140:
            return 422, "description is too long (maximum is 140 characters)"
        known = ["git", "-C", str(self.forge.repository), "cat-file", "-e", f"{parts[3]}^{{commit}}"]
        if subprocess.run(known, capture_output=True).returncode:
            return 422, "no such revision"
        self.forge.statuses.append({**given, "sha": parts[3]})
        return 201, "taken"

    def _git(self, body: bytes) -> None:
        _, _, encoded = self.headers.get("Authorization", "").partition(" ")
        _, _, password = base64.b64decode(encoded).decode().partition(":")
        if password != self.forge.token:
            return self._say(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="fake"'})
        path, _, query = self.path.partition("?")
        if "git-receive-pack" in self.path and not self.forge.may_push:
            return self._say(403, b"read only")
        env = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.forge.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query, "REMOTE_USER": "erich",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        code = int(headers.pop("Status", "200").split()[0])
        return self._say(code, rest, headers)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _say(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
