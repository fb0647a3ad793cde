"""The comment on a pull request: one, ours, and nobody else's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from blumeops.base.errors import BlumeError, EngineError, Unavailable, UserError
from blumeops.forge.api import Api
from blumeops.forge.comments import MARK, PullRequest, put
from blumeops.lab.remotes import Address
from tests.e2e.site import BLUMEOPS
from tests.engines.remote.fake_forge import FakeForge


def pull(forge: FakeForge, number: int = 7) -> PullRequest:
    """A pull request there, of the kind that the fake is."""
    return PullRequest(Api(forge.kind, Address("http", "localhost", forge.port), "erich/lab"), number)


def test_a_comment_is_made_once_and_changed_from_then_on(forge: FakeForge) -> None:
    """However often it is said, there is one; it begins with a mark that nobody sees."""
    assert put(pull(forge), forge.token, "### Plan: 1") == "commented"
    assert put(pull(forge), forge.token, "### Plan: 2") == "changed the comment"
    assert forge.comments.bodies() == [f"{MARK}\n### Plan: 2\n"]
    assert MARK.startswith("<!--") and MARK.endswith("-->")


@pytest.mark.parametrize("tells_who", [True, False])
def test_the_comment_of_somebody_else_is_not_touched(forge: FakeForge, tells_who: bool) -> None:
    """Anybody may write our mark: theirs stays, whether or not the token may ask whose it is."""
    forge.comments.tells_who = tells_who
    forge.comments.write("mallory", f"{MARK}\nmine")
    forge.comments.write("forgejo-actions", f"about {MARK}")
    put(pull(forge), forge.token, "ours")
    put(pull(forge), forge.token, "ours, again")
    assert forge.comments.bodies() == [f"{MARK}\nmine", f"about {MARK}", f"{MARK}\nours, again\n"]


def test_a_token_of_a_person_changes_that_persons_comment(forge: FakeForge) -> None:
    """And not the one that the forge's own made before."""
    put(pull(forge), forge.token, "by the workflow")
    forge.comments.login = "erich"
    put(pull(forge), forge.token, "by erich")
    put(pull(forge), forge.token, "by erich again")
    assert forge.comments.bodies() == [f"{MARK}\nby the workflow\n", f"{MARK}\nby erich again\n"]


def test_two_that_were_made_at_once_become_one(forge: FakeForge) -> None:
    """The next one takes the newer away."""
    first = forge.comments.write("forgejo-actions", f"{MARK}\na")
    forge.comments.write("forgejo-actions", f"{MARK}\nb")
    put(pull(forge), forge.token, "c")
    assert [(each["id"], each["body"]) for each in forge.comments.kept] == [(first, f"{MARK}\nc\n")]


def test_at_github_ours_is_found_behind_many_others(forge: FakeForge) -> None:
    """It lists them in pages."""
    forge.kind, forge.comments.login, forge.comments.tells_who = "github", "github-actions[bot]", False
    for number in range(250):
        forge.comments.write("somebody", f"word {number}")
    put(pull(forge), forge.token, "a")
    put(pull(forge), forge.token, "b")
    assert forge.comments.bodies()[250:] == [f"{MARK}\nb\n"]


@pytest.mark.parametrize(
    ("status", "error"), [(500, Unavailable), (429, Unavailable), (403, EngineError), (200, EngineError)]
)
def test_what_the_forge_says_instead_is_told(forge: FakeForge, status: int, error: type[BlumeError]) -> None:
    """What may pass is away; what will not is refused; what is no list is no list. The token is in no message."""
    forge.comments.answers = [status]
    with pytest.raises(error) as caught:
        put(pull(forge), forge.token, "a")
    assert forge.token not in str(caught.value)
    assert not forge.comments.kept


def test_a_wrong_token_a_wrong_number_and_nobody_there(forge: FakeForge) -> None:
    """Each with its hint."""
    with pytest.raises(EngineError, match="HTTP 401"):
        put(pull(forge), "wrong", "a")
    with pytest.raises(EngineError, match="HTTP 404"):
        put(pull(forge, 8), forge.token, "a")
    with pytest.raises(Unavailable, match="takes no comment now: Connection refused"):
        put(PullRequest(Api("forgejo", Address("http", "localhost", 9), "erich/lab"), 7), "t", "a")


@pytest.mark.parametrize("text", ["", " \n", "x" * 65_536])
def test_a_comment_says_something_that_a_forge_takes(forge: FakeForge, text: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(UserError, match=r"empty|longer"):
        put(pull(forge), forge.token, text)
    assert not forge.requests


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://forge.example.org/erich/lab/pulls/7", "https forge.example.org:0 /api/v1/"),
        ("https://example.org:3000/git/erich/lab/pulls/7/", "https example.org:3000 /git/api/v1/"),
        ("https://github.com/erich/lab/pull/7", "https api.github.com:0 /"),
        ("https://github.example.org/erich/lab/pull/7", "https github.example.org:0 /api/v3/"),
    ],
)
def test_the_api_follows_from_the_address(url: str, root: str) -> None:
    """As people see it in their browser."""
    found = PullRequest.at(url)
    address = found.api.address
    assert f"{address.scheme} {address.host}:{address.port} {found.api.root}" == root
    assert (found.api.repository, found.number) == ("erich/lab", 7)


@pytest.mark.parametrize(
    "url",
    [
        "http://forge.example.org/erich/lab/pulls/7", "https://me:secret@forge.example.org/erich/lab/pulls/7",
        "https://forge.example.org/erich/lab/issues/7", "https://forge.example.org/lab/pulls/7/files", "--help", "",
        "https://forge.example.org/erich/a%2fb/pulls/7", "file:///erich/lab/pulls/7", "https://x/../erich/lab/pulls/7",
    ],
)  # fmt: skip
def test_what_is_no_pull_requests_address_is_refused(url: str) -> None:
    """Plain HTTP beyond loopback too: the token would be read on the way."""
    with pytest.raises(UserError, match=r"."):
        PullRequest.at(url)


def test_the_command_takes_the_token_from_the_environment(forge: FakeForge, tmp_path: Path) -> None:
    """From a file or standard input; without a token nothing is asked."""
    (tmp_path / "plan.md").write_text("### Plan")
    url = f"http://localhost:{forge.port}/erich/lab/pulls/7"
    assert "BLU660" in _comment(url, tmp_path / "plan.md", token="", code=1)
    assert not forge.requests
    assert _comment(url, tmp_path / "plan.md", token=forge.token) == f"commented: {url}\n"
    assert _comment(url, token=forge.token, stdin="### Other") == f"changed the comment: {url}\n"
    assert forge.comments.bodies() == [f"{MARK}\n### Other\n"]
    assert "BLU662" in _comment(url, tmp_path / "plan.md", token="wrong", code=1)


def _comment(*words: object, token: str, stdin: str = "", code: int = 0) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "BLUMEOPS_FORGE_TOKEN": token}
    argv = [str(BLUMEOPS), "comment", *map(str, words)]
    done = subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr
