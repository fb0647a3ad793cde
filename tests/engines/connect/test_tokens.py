"""Who is refused, and that it is written down: no token, a wrong one, one that ended, one for another vault."""

from __future__ import annotations

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from blumeops.connect.described import description
from tests.engines.connect.server import LAB, MINIFLUX, PEOPLE, Server

ITEM = f"/v1/vaults/{LAB}/items/{MINIFLUX}"
OPERATIONS = [
    (method.upper(), path.format(vault=LAB, item=MINIFLUX, file=MINIFLUX))
    for path, methods in description("").get("paths", {}).items()
    for method, operation in methods.items()
    if operation.get("security") != []
]


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_without_a_token_nothing_is_told(shared: Server, token: str) -> None:
    """Every operation that is described: 401 with a challenge, whatever the address; and one line each in the log."""
    assert len(OPERATIONS) == 12
    before = len(shared.log())
    with shared.client(token) as client:
        answers = [client.request(method, path) for method, path in OPERATIONS]
    barred = 10 if token else len(OPERATIONS)  # wrong ones are counted
    assert [answer.status_code for answer in answers] == [401] * barred + [429] * (len(OPERATIONS) - barred)
    assert {answer.text for answer in answers[:barred]} == {'{"status":401,"message":"Invalid bearer token"}'}
    assert {answer.headers["www-authenticate"] for answer in answers[:barred]} == {"Bearer"}
    why = "no token of ours" if token else "no bearer token"
    found = [(line["method"], line["path"], line["why"]) for line in shared.log()[before:]]
    assert found == [(*operation, why) for operation in OPERATIONS[:barred]]


def test_wrong_tokens_are_told_apart_in_the_log_alone(server: Server) -> None:
    """A client hears the same of a token that is none, has a wrong secret, ended or was revoked."""
    good = server.token("--vault", "lab", "--name", "good")
    short = server.token("--vault", "lab", "--name", "short", "--expires", "1ms")
    gone = server.token("--vault", "lab", "--name", "gone")
    time.sleep(0.01)
    with server.client(gone) as client:
        assert client.get("/v1/vaults").status_code == 200
    server.says("token", "revoke", "gone")
    wrong = good[:-4] + "AAAA"
    tokens = {"nonsense": "no token of ours", wrong: "wrong secret", short: "expired", gone: "no token of ours"}
    said = set()
    for token in tokens:
        with server.client(token) as client:
            answer = client.get("/v1/vaults")
        said.add((answer.status_code, answer.text))
    assert len(said) == 1
    assert next(iter(said))[0] == 401
    log = server.log()
    assert [line["why"] for line in log] == list(tokens.values())
    assert log[1]["token"] == good.split("_")[1]
    text = json.dumps(log)
    assert not [token for token in [*tokens, good] if token.split("_", 2)[-1] in text]


def test_a_token_is_for_its_vaults(server: Server) -> None:
    """Another vault is 403, whether there is one or not; in lists it is absent."""
    with server.client(server.token("--vault", "lab", "--name", "lab only")) as client:
        assert [vault["name"] for vault in client.get("/v1/vaults").json()] == ["lab"]
        for vault in (PEOPLE, "a" * 26):
            for path in ("", "/items", f"/items/{MINIFLUX}"):
                answer = client.get(f"/v1/vaults/{vault}{path}")
                assert answer.json() == {"status": 403, "message": "this token has no access to that vault"}
        assert client.get("/v1/vaults", params={"filter": 'name eq "people"'}).json() == []
    log = server.log()
    assert [(line["status"], line["name"]) for line in log] == [(403, "lab only")] * 6


def test_a_token_that_reads_changes_nothing(server: Server) -> None:
    """Each way to change is 403, is written down, and leaves the file as it was."""
    before = server.store.file.read_bytes()
    with server.client(server.token("--vault", "lab")) as client:
        answers = [
            client.post(f"/v1/vaults/{LAB}/items", json={"title": "x", "fields": [{"label": "a", "value": "b"}]}),
            client.put(ITEM, json={"title": "miniflux", "fields": []}),
            client.patch(ITEM, json=[]),
            client.delete(ITEM),
        ]
    assert {answer.status_code for answer in answers} == {403}
    assert [line["method"] for line in server.log()] == ["POST", "PUT", "PATCH", "DELETE"]
    assert server.store.file.read_bytes() == before


def test_a_guesser_has_to_wait_and_bars_nobody_else(server: Server) -> None:
    """After ten wrong secrets of a token that one is refused, though right; others are answered."""
    good, other = server.token("--vault", "lab", "--name", "good"), server.token("--vault", "lab", "--name", "other")
    with server.client(good[:-4] + "AAAA") as guesser:
        codes = [guesser.get("/v1/vaults").status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2
    with server.client(good) as client:
        answer = client.get("/v1/vaults")
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    with server.client(other) as client:
        assert client.get("/v1/vaults").status_code == 200
    log = server.log()
    assert len(log) == 10
    assert log[-1]["then"] == "barred"


def test_a_token_is_kept_as_a_hash_in_a_private_file(server: Server) -> None:
    """Lists show who may do what until when; the secret is nowhere, and files are their owner's alone."""
    token = server.token("--vault", "lab", "--vault", "people", "--write", "--name", "all", "--expires", "30d")
    (listed,) = json.loads(server.says("token", "list", "--json"))["tokens"]
    assert (listed["name"], listed["vaults"], listed["write"]) == ("all", ["lab", "people"], True)
    secret = token.split("_", 2)[2]
    for path in (server.state / "connect").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert secret not in path.read_text()
    assert secret not in server.says("token", "list")


def test_two_who_make_tokens_at_once_both_get_one(server: Server) -> None:
    """None is lost."""
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda name: server.token("--vault", "lab", "--name", name), ["a", "b"]))
    assert len(set(made)) == 2
    assert len(json.loads(server.says("token", "list", "--json"))["tokens"]) == 2


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403), ({"Host": "localhost"}, 200)],
)
def test_a_foreign_page_is_refused(server: Server, headers: dict[str, str], code: int) -> None:
    """On loopback only names of this machine are answered, even with a token."""
    with server.client(server.token("--vault", "lab")) as client:
        assert client.get("/v1/vaults", headers=headers).status_code == code
    assert [line["status"] for line in server.log()] == ([code] if code != 200 else [])
