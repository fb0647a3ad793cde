"""Commit statuses: a word about a revision, posted to the forge that holds it.

What enters: the lab's `gitops:`, a token, a revision and what is to be said. What leaves: one POST, whose answer is
judged and thrown away. Forgejo and Gitea: `/api/v1/repos/OWNER/NAME/statuses/SHA`, 201; GitHub:
`/repos/OWNER/NAME/statuses/SHA` (https://docs.github.com/rest/commits/statuses), 201.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from blumeops.base.errors import EngineError, Unavailable
from blumeops.forge.api import Api, Away, Refused
from blumeops.forge.git import commit_id, printable
from blumeops.lab.remotes import Address, parse_api, parse_remote
from blumeops.lab.settings import Gitops

State = Literal["pending", "success", "failure", "error"]
CONTEXT = "blumeops"
LONGEST = 140
"""Characters of a description: GitHub refuses more."""
_OF_HOST = {"github.com": "github", "codeberg.org": "forgejo", "gitea.com": "gitea"}


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
    said = {"state": status.state, "context": CONTEXT, "description": status.short}
    try:
        api.done(token, "POST", api.of(f"statuses/{commit_id(status.revision)}"), said, wanted=201)
    except Away as error:
        raise Unavailable("BLU625", api.address.server, f"takes no commit status now: {error}") from error
    except Refused as error:
        raise EngineError("BLU626", api.address.server, f"refuses the commit status: {error}", error.hint) from error
