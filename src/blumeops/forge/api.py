"""The API of a forge elsewhere: one request, and what came back.

What enters: where the API is, a token, a request. What leaves: the answer's status and its bytes, so many and no more;
or only what was wanted, and else whether it is worth asking again.
Redirects are not followed: the token is for that server alone, and stands in a header.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from urllib.parse import quote

from blumeops.forge.git import printable
from blumeops.lab.remotes import Address

SECONDS = 15.0
LONGEST = 64 << 10
"""Bytes of an answer that are read, where nobody says otherwise."""
LATER = frozenset({408, 425, 429})
"""Answers that may be others after a while, as those from 500 on."""


class Away(Exception):
    """The server does not answer, or not by HTTP, or not now; the text says why."""


class Refused(Exception):
    """The server answers otherwise than it should, and will again; the text says how, `hint` what to look at."""

    def __init__(self, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Api:
    """Of one repository: `kind` is forgejo, gitea or github; `repository`: `OWNER/NAME`."""

    kind: str
    address: Address
    repository: str

    @property
    def root(self) -> str:
        """The path of the API itself, with its last `/`."""
        base = f"/{self.address.path}/" if self.address.path else "/"
        return base if self.kind == "github" else f"{base}api/v1/"

    def of(self, rest: str) -> str:
        """The path of something of the repository."""
        return f"{self.root}repos/{quote(self.repository)}/{rest}"

    def done(
        self, token: str, method: str, path: str, body: object = None, *, wanted: int = 200, longest: int = LONGEST,
        may: str = "write to the repository", about: str = "the repository",
    ) -> bytes:  # fmt: skip
        """What is answered with the status `wanted`: at most `longest` + 1 bytes. `may`, `about`: what the token must
        be allowed, and what must be there. Raises Away, Refused."""
        status, data = self.ask(token, method, path, body, longest)
        if status == wanted:
            return data
        if status in LATER or status >= 500:
            raise Away(f"HTTP {status}")
        hints = {
            401: "is the token right?", 403: f"may the token {may}?",
            404: f"is {about} there, and may the token see it?",
        }  # fmt: skip
        raise Refused(f"HTTP {status}", hints.get(status, ""))

    def ask(self, token: str, method: str, path: str, body: object = None, longest: int = LONGEST) -> tuple[int, bytes]:
        """The status, and at most `longest` + 1 bytes of the answer. `body`: what is sent as JSON. Raises Away."""
        headers = {
            "Authorization": f"{'Bearer' if self.kind == 'github' else 'token'} {token}",
            "Accept": "application/vnd.github+json" if self.kind == "github" else "application/json",
            "User-Agent": "blumeops",
        }
        if self.kind == "github":
            headers["X-GitHub-Api-Version"] = "2022-11-28"
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = _connection(self.address)
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            return answer.status, answer.read(longest + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            words = getattr(error, "strerror", None) or type(error).__name__
            raise Away(printable(words)) from error
        finally:
            connection.close()


def _connection(address: Address) -> http.client.HTTPConnection:
    host, port = address.host.strip("[]"), address.port or None
    if address.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=SECONDS)
    return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
