"""One comment of ours on a pull request, made the first time and changed from then on.

What enters: a pull request's address, a token, Markdown. What leaves: a POST, or a PATCH of the comment that begins
with our mark and was written by whoever the token is of: anybody may write a comment with that mark, and theirs is
never touched. Forgejo and Gitea: `/repos/OWNER/NAME/issues/NUMBER/comments`, all at once; GitHub: the same, in pages
(https://docs.github.com/rest/issues/comments).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from blumeops.base.errors import EngineError, Unavailable, UserError
from blumeops.forge.api import Api, Away, Refused
from blumeops.forge.git import printable
from blumeops.lab.remotes import Address, parse_api

MARK = "<!-- blumeops: the plan of this pull request -->"
MOST = 65_536
"""Characters of a comment: GitHub's limit."""
_ANSWER = 32 << 20
"""Bytes of comments that are looked through."""
_PAGES = 30
_BOTS = {
    "forgejo": {"forgejo-actions", "gitea-actions"}, "github": {"github-actions[bot]"},
}  # fmt: skip
"""Who writes with the token that a forge gives to a workflow: it may not ask who it is everywhere."""
_PULL = re.compile(
    r"(?P<server>https?://.+)/(?P<owner>[^/]+)/(?P<name>[^/]+)/(?P<kind>pulls?)/(?P<number>[0-9]{1,9})/?"
)
_PART = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Of a repository, by its number."""

    api: Api
    number: int

    @classmethod
    def at(cls, url: str) -> PullRequest:
        """By its address for people: `…/OWNER/NAME/pulls/7` at Forgejo and Gitea, `…/pull/7` at GitHub. Raises
        UserError `BLU660`."""
        found = _PULL.fullmatch(url)
        try:
            if not found or not all(_PART.fullmatch(found[part]) for part in ("owner", "name")):
                raise ValueError("is no pull request's address")
            server = parse_api(found["server"])
        except ValueError as error:
            hint = "write https://forge.example.org/OWNER/NAME/pulls/7; at GitHub it is …/pull/7"
            raise UserError("BLU660", printable(url), str(error), hint) from None
        kind = "forgejo" if found["kind"] == "pulls" else "github"
        if kind == "github":
            server = Address("https", "api.github.com") if server.host == "github.com" else _enterprise(server)
        return cls(Api(kind, server, f"{found['owner']}/{found['name']}"), int(found["number"]))


def put(pull: PullRequest, token: str, text: str) -> str:
    """Let our one comment say `text`: what was done, in words.

    Raises UserError `BLU660` for a text that is empty or too long, Unavailable `BLU661` when it may work later,
    EngineError `BLU662` when it will not.
    """
    body = f"{MARK}\n{text.strip()}\n"
    if not text.strip() or len(body) > MOST:
        what = "is empty" if not text.strip() else f"is longer than {MOST:,} characters"
        raise UserError("BLU660", "the comment", what)
    api, mine = pull.api, _ours(pull, token)
    if not mine:
        _ask(api, token, "POST", api.of(f"issues/{pull.number}/comments"), {"body": body}, wanted=201)
        return "commented"
    first, *others = mine
    for each in others:  # two runs at once, each of which saw none
        _ask(api, token, "DELETE", api.of(f"issues/comments/{each}"), wanted=204)
    _ask(api, token, "PATCH", api.of(f"issues/comments/{first}"), {"body": body}, wanted=200)
    return "changed the comment"


def _ours(pull: PullRequest, token: str) -> list[int]:
    """The numbers of our comments there, the oldest first."""
    found = [each for each in _comments(pull, token) if str(each.get("body", "")).startswith(MARK)]
    if not found:
        return []
    us = _who(pull.api, token)
    return sorted(int(each["id"]) for each in found if (each.get("user") or {}).get("login") in us)


def _comments(pull: PullRequest, token: str) -> Iterator[dict[str, Any]]:
    path, left = pull.api.of(f"issues/{pull.number}/comments"), _ANSWER
    for page in range(1, _PAGES + 1):
        query = f"?per_page=100&page={page}" if pull.api.kind == "github" else ""
        data = _ask(pull.api, token, "GET", path + query, longest=left)
        left -= len(data)
        listed = _parsed(pull.api, data, list)
        yield from (each for each in listed if isinstance(each, dict))
        if pull.api.kind != "github" or len(listed) < 100:
            return


def _who(api: Api, token: str) -> set[str]:
    """The names under which the token writes."""
    try:
        code, data = api.ask(token, "GET", f"{api.root}user")
    except Away as error:
        raise Unavailable("BLU661", api.address.server, f"does not answer: {error}") from error
    login = _parsed(api, data, dict).get("login") if code == 200 else None
    return {login} if isinstance(login, str) and login else _BOTS[api.kind]


def _ask(
    api: Api, token: str, method: str, path: str, body: object = None, *, wanted: int = 200, longest: int = 1 << 20
) -> bytes:
    try:
        data = api.done(
            token, method, path, body, wanted=wanted, longest=longest, may="write to pull requests",
            about="the pull request",
        )  # fmt: skip
    except Away as error:
        raise Unavailable("BLU661", api.address.server, f"takes no comment now: {error}") from error
    except Refused as error:
        raise EngineError("BLU662", api.address.server, f"refuses {method}: {error}", error.hint) from error
    if len(data) > longest:
        raise EngineError("BLU662", api.address.server, "answers with more than can be looked through")
    return data


def _parsed(api: Api, data: bytes, kind: type[Any]) -> Any:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, kind):
        raise EngineError("BLU662", api.address.server, "answers with something else than its API does")
    return found


def _enterprise(server: Address) -> Address:
    """GitHub Enterprise Server's."""
    return Address(server.scheme, server.host, server.port, "api/v3")
