"""Commit statuses: a word about a revision, posted to the forge that holds it.

What enters: the lab's `gitops:`, a token, a revision and what is to be said. What leaves: one POST, whose answer is
judged and thrown away. Forgejo and Gitea: `/api/v1/repos/OWNER/NAME/statuses/SHA`, 201; GitHub:
`/repos/OWNER/NAME/statuses/SHA` (https://docs.github.com/rest/commits/statuses), 201. Redirects are not followed: the
token is for that server alone.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from blumeops.base.errors import EngineError, Unavailable
from blumeops.forge.git import commit_id, printable
from blumeops.lab.model import Gitops
from blumeops.lab.remotes import Address, parse_api, parse_remote

State = Literal["pending", "success", "failure", "error"]
CONTEXT = "blumeops"
LONGEST = 140
"""Characters of a description: GitHub refuses more."""
SECONDS = 15.0
_OF_HOST = {"github.com": "github", "codeberg.org": "forgejo", "gitea.com": "gitea"}


@dataclass(frozen=True, slots=True)
class Api:
    """Where statuses of one repository are posted."""

    kind: str
    address: Address
    repository: str
    """`OWNER/NAME`."""

    @property
    def path(self) -> str:
        """Before the revision."""
        version = "" if self.kind == "github" else "api/v1/"
        base = f"/{self.address.path}/" if self.address.path else "/"
        return f"{base}{version}repos/{quote(self.repository)}/statuses/"


@dataclass(frozen=True, slots=True)
class Status:
    """What is said of a revision."""

    revision: str
    state: State
    description: str

    @property
    def short(self) -> str:
        """The description on one line, cut to what every forge takes."""
        line = printable(" ".join(self.description.split()))
        return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def api_of(gitops: Gitops) -> Api | None:
    """Where the statuses of the lab's remote go; None where nobody said it, or none are wanted."""
    if gitops.url is None or gitops.status == "none":
        return None
    remote = parse_remote(gitops.url)
    kind = gitops.status or _OF_HOST.get(remote.host)
    parts = remote.path.strip("/").removesuffix(".git").split("/")
    if kind is None or len(parts) < 2:
        return None
    if gitops.api:
        address = parse_api(gitops.api)
    elif remote.scheme == "file":
        return None
    elif kind == "github":
        at_home = remote.host == "github.com"  # else GitHub Enterprise Server
        address = Address("https", "api.github.com") if at_home else Address("https", remote.host, 0, "api/v3")
    elif remote.scheme == "ssh":
        address = Address("https", remote.host)  # the port is ssh's
    else:
        address = Address(remote.scheme, remote.host, remote.port, "/".join(parts[:-2]))
    return Api(kind, address, "/".join(parts[-2:]))


def post(api: Api, token: str, status: Status) -> None:
    """Post one. Raises Unavailable `BLU625` when it may work later, EngineError `BLU626` when it will not."""
    body = json.dumps({"state": status.state, "context": CONTEXT, "description": status.short}).encode()
    headers = {
        "Authorization": f"{'Bearer' if api.kind == 'github' else 'token'} {token}",
        "Accept": "application/vnd.github+json" if api.kind == "github" else "application/json",
        "Content-Type": "application/json",
        "User-Agent": "blumeops",
    }
    if api.kind == "github":
        headers["X-GitHub-Api-Version"] = "2022-11-28"
    connection = _connection(api.address)
    try:
        connection.request("POST", api.path + commit_id(status.revision), body, headers)
        answer = connection.getresponse()
        code = answer.status
    except (OSError, http.client.HTTPException, ValueError) as error:
        words = getattr(error, "strerror", None) or type(error).__name__
        raise Unavailable("BLU625", api.address.server, f"takes no commit status: {printable(words)}") from error
    finally:
        connection.close()
    if code == 201:
        return
    if code in {408, 425, 429} or code >= 500:
        raise Unavailable("BLU625", api.address.server, f"takes no commit status now: HTTP {code}")
    hints = {
        401: "is the token right?", 403: "may the token write to the repository?",
        404: "is the repository there, and may the token see it?",
    }  # fmt: skip
    raise EngineError("BLU626", api.address.server, f"refuses the commit status: HTTP {code}", hints.get(code, ""))


def _connection(address: Address) -> http.client.HTTPConnection:
    host, port = address.host.strip("[]"), address.port or None
    if address.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=SECONDS)
    return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
