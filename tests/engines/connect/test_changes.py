"""Changes through the API: they are whole or not at all, written down, and undone by nobody else's."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from blumeops.app.cabinets import ForgeCabinet
from blumeops.base.errors import EngineError, UserError
from blumeops.forge.repository import Repository
from blumeops.secrets import sops
from blumeops.secrets.age import Key, load_or_create
from blumeops.secrets.cabinet import Contents, Edit
from blumeops.secrets.references import Reference
from tests.engines.connect.server import LAB, MINIFLUX, Server, served
from tests.engines.op.store import BLUMEOPS, SECRETS

ITEMS = f"/v1/vaults/{LAB}/items"
ITEM = f"{ITEMS}/{MINIFLUX}"
ONE, TWO = Reference.parse("op://lab/x/one"), Reference.parse("op://lab/x/two")


def test_each_change_is_written_down_before_and_after_without_its_value(server: Server) -> None:
    """Which token, item and fields; and the file is encrypted as ever."""
    with server.client(server.token("--vault", "lab", "--write", "--name", "writer")) as client:
        made = client.post(ITEMS, json={"title": "new", "fields": [{"label": "key", "value": "canary-new"}]}).json()
        client.patch(f"{ITEMS}/{made['id']}", json=[
            {"op": "replace", "path": f"/fields/{made['fields'][0]['id']}/value", "value": "canary-newer"}
        ])  # fmt: skip
        assert server.stored()["op://lab/new/key"] == "canary-newer"
        client.delete(f"{ITEMS}/{made['id']}")
    log = server.log()
    assert [(line["event"], line["method"], line["name"], line["item"]) for line in log] == [
        (event, method, "writer", "new")
        for method in ("POST", "PATCH", "DELETE")
        for event in ("changing", "changed")
    ]  # fmt: skip
    assert log[0]["fields"] == ["op://lab/new/key"]
    assert "canary" not in json.dumps(log)
    assert "canary" not in server.store.file.read_text()
    assert "canary" not in (server.state.parent / "stderr").read_text()


def test_a_change_leaves_everything_else_as_it_was(server: Server) -> None:
    """Other values keep their ciphertext, so that history shows what changed."""
    before = server.store.file.read_text()
    with server.client(server.token("--vault", "lab", "--write")) as client:
        item = client.get(ITEM).json()
        item["fields"] = [{**each, "value": "new"} if each["id"] == "username" else each for each in item["fields"]]
        after = client.put(ITEM, json=item).json()
    assert after["version"] != item["version"]
    changed = set(before.splitlines()) ^ set(server.store.file.read_text().splitlines())
    assert {line.strip().partition(":")[0] for line in changed} == {"username", "lastmodified", "mac"}


def test_two_who_change_one_item_at_once_lose_nothing(server: Server) -> None:
    """The second is told that it is based on what is no more, gets it again, and both values are there."""
    token = server.token("--vault", "lab", "--write")
    barrier = threading.Barrier(2)

    def push(name: str) -> list[int]:
        codes: list[int] = []
        with server.client(token) as client:
            while not codes or codes[-1] == 409:
                item = client.get(ITEM).json()
                item["fields"].append({"label": name, "value": name})
                if not codes:
                    barrier.wait(20)
                codes.append(client.put(ITEM, json=item).status_code)
        return codes

    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(push, ["one", "two"]))
    assert sorted(map(tuple, codes)) == [(200,), (409, 200)]
    assert server.stored() == {**SECRETS, "op://lab/miniflux/one": "one", "op://lab/miniflux/two": "two"}


def test_a_server_that_is_killed_leaves_the_file_as_it_was_or_as_it_was_to_be(tmp_path: Path) -> None:
    """At any moment of a change; the next one works on what is there."""
    outcomes = set()
    for delay in (0.0, 0.03, 0.08, 0.15):
        folder = tmp_path / str(delay)
        folder.mkdir()
        with served(folder) as server, server.client(server.token("--vault", "lab", "--write")) as client:
            killer = threading.Timer(delay, lambda pid=server.process.pid: os.kill(pid, signal.SIGKILL))
            killer.start()
            with suppress(httpx.TransportError):
                client.post(ITEMS, json={"title": "new", "fields": [{"label": "key", "value": "v"}]})
            killer.join()
            server.process.wait(20)
            found = server.stored()
            assert found in (SECRETS, {**SECRETS, "op://lab/new/key": "v"})
            outcomes.add(len(found))
            left = [path for path in folder.iterdir() if re.fullmatch(r"\.secrets\.sops\.yaml\.\w{8}", path.name)]
            assert len(left) <= 1  # what it was writing beside the file
            for path in left:
                os.utime(path, (0, 0))
        with served(folder) as server, server.client(server.token("--vault", "lab", "--write")) as client:
            client.post(ITEMS, json={"title": "newer", "fields": [{"label": "key", "value": "v"}]}).raise_for_status()
        assert not [path for path in left if path.exists()]
    assert len(SECRETS) in outcomes


def test_a_full_disk_changes_nothing_and_is_said(server: Server) -> None:
    """What cannot be written is an error of ours, and the file is whole."""
    limit = 200  # bytes of any file: less than the SOPS file has
    with server.client(server.token("--vault", "lab", "--write")) as client:
        client.get("/v1/vaults")
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        answer = client.post(ITEMS, json={"title": "new", "fields": [{"label": "key", "value": "v"}]})
    assert answer.status_code == 500
    assert set(answer.json()) == {"status", "message"}
    assert server.stored() == SECRETS


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400), (b"{", 400), (b"[" * 100_000, 400), (b'{"title": "a/b", "fields": [{"label": "x"}]}', 400),
        (b'{"title": "sops-like", "fields": [{"label": "x", "value": "\\ud800"}]}', 400), (b"x" * ((1 << 20) + 1), 413),
        (b'{"title": "miniflux", "fields": [{"label": "x"}]}', 409), (b"\xff\xfe", 400),
    ],
    ids=range(8),
)  # fmt: skip
def test_hostile_bodies_are_refused(server: Server, body: bytes, code: int) -> None:
    """With the API's own error, and nothing is changed."""
    with server.client(server.token("--vault", "lab", "--write")) as client:
        answer = client.post(ITEMS, content=body)
    assert (answer.status_code, answer.json()["status"]) == (code, code)
    assert server.stored() == SECRETS


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """A key of this test's own."""
    return load_or_create(tmp_path / "age.key")


@pytest.fixture
def repository(tmp_path: Path, key: Key) -> Repository:
    """A forge with a SOPS file on its main."""
    forge = Repository.create_or_open(tmp_path / "forge/lab.git", tmp_path / "none.sock")
    forge.commit_files({sops.NAME: sops.encrypt({ONE: "1"}, key.recipients), "lab.yaml": b"lab: lab\n"}, "First", None)
    return forge


def setting(values: dict[Reference, str], before: Callable[[], None] = lambda: None) -> Callable[[Contents], Edit]:
    """An edit that sets these, after something else has happened."""

    def edit(_: Contents) -> Edit:
        before()
        return Edit(values)

    return edit


def test_a_change_of_a_labs_store_is_a_commit(repository: Repository, key: Key) -> None:
    """On main, with nothing but the file in it; the same values again are none."""
    cabinet = ForgeCabinet(repository, key)
    assert cabinet.change(setting({TWO: "2"}), "Why\n").values == {ONE: "1", TWO: "2"}
    assert [commit.subject for commit in repository.log()] == ["Why", "First"]
    cabinet.change(setting({TWO: "2"}), "Again\n")
    cabinet.change(lambda _: Edit(gone=(("lab", "x", "one"),)), "Less\n")
    assert cabinet.read().values == {TWO: "2"}
    assert [commit.subject for commit in repository.log()] == ["Less", "Why", "First"]
    assert repository.content(repository.resolve("main"), "lab.yaml") == b"lab: lab\n"


def test_a_push_meanwhile_is_kept(repository: Repository, key: Key) -> None:
    """The edit is made anew on what was pushed; who is overtaken each time gives up with an error."""
    pushes = iter(range(1))

    def push(again: bool = False) -> None:
        for number in (0,) if again else pushes:
            repository.commit_files({f"{number}.txt": os.urandom(8)}, "Pushed", repository.head())

    cabinet = ForgeCabinet(repository, key)
    cabinet.change(setting({TWO: "2"}, push), "Why\n")
    assert [commit.subject for commit in repository.log()] == ["Why", "Pushed", "First"]
    with pytest.raises(EngineError) as caught:
        cabinet.change(setting({TWO: "3"}, lambda: push(again=True)), "Why\n")
    assert caught.value.code == "BLU602"
    assert cabinet.read().values[TWO] == "2"


def test_what_a_service_uses_stays_and_a_followed_main_is_left_alone(repository: Repository, key: Key) -> None:
    """Both are refused before anything is committed."""
    head = repository.head()
    with pytest.raises(UserError) as caught:
        ForgeCabinet(repository, key, lambda: {ONE}).change(lambda _: Edit(gone=(("lab", "x"),)), "Why\n")
    assert (caught.value.code, caught.value.subject) == ("BLU531", str(ONE))
    with pytest.raises(UserError) as caught:
        ForgeCabinet(repository, key, refusal=lambda _: "follows").change(setting({TWO: "2"}), "Why\n")
    assert caught.value.code == "BLU532"
    assert repository.head() == head


def test_serving_begins_only_with_a_store_that_opens(tmp_path: Path) -> None:
    """A key that is away is said to the person who starts it; the port is not taken."""
    (tmp_path / "secrets.sops.yaml").write_bytes(b"nonsense")
    load_or_create(tmp_path / "age.key")
    words = [str(BLUMEOPS), "connect", "serve", "--port", "0", "--state", "s", "--file", "secrets.sops.yaml"]
    for age_key, code in (("age.key", "BLU504"), ("none", "BLU502")):
        done = subprocess.run(
            [*words, "--age-key", age_key], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert code in done.stderr
