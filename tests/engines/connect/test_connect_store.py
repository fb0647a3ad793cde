"""Our store for a Connect server, through 1Password's SDK, against a server that speaks its API."""

from __future__ import annotations

from pathlib import Path

import pytest

from blumeops.base.errors import Unavailable, UserError
from blumeops.secrets.connect_store import ConnectStore
from blumeops.secrets.references import Reference
from tests.engines.connect.server import Server


def store(server: Server, folder: Path, *words: str) -> ConnectStore:
    """With a token of its own."""
    (folder / "connect-token").write_text(server.token(*words) + "\n")
    return ConnectStore(server.url, folder / "connect-token")


def test_what_is_there_is_read_and_the_rest_is_absent(shared: Server, tmp_path: Path) -> None:
    """Every value of a vault as the SOPS file has it, in sections too."""
    ours = {Reference.parse(name): value for name, value in shared.stored().items() if name.startswith("op://lab/")}
    missing = [Reference.parse(f"op://{each}") for each in ("lab/miniflux/none", "lab/none/x", "away/x/y")]
    found = store(shared, tmp_path, "--vault", "lab").read([*ours, *missing])
    assert {each: found.get(each) for each in ours} == ours
    assert found.keys() == ours.keys()


def test_new_values_are_kept_there(server: Server, tmp_path: Path) -> None:
    """In items that are there and in new ones, with and without a section; what else is in an item stays."""
    news = {
        Reference.parse(f"op://lab/{path}"): f"new {path}"
        for path in ("miniflux/admin-password", "miniflux/deep/key", "fresh/one", "fresh/deep/two")
    }
    before = server.stored()
    writing = store(server, tmp_path, "--vault", "lab", "--write")
    writing.write(news)
    assert server.stored() == before | {str(reference): value for reference, value in news.items()}
    assert writing.read(news) == news


def test_who_may_not_or_cannot_is_told_without_a_value(server: Server, tmp_path: Path) -> None:
    """A token that only reads, a vault that it does not open, a server that is gone, no token at all."""
    reference = Reference.parse("op://lab/miniflux/admin-password")
    reading = store(server, tmp_path, "--vault", "lab")
    with pytest.raises(Unavailable) as refused:
        reading.write({reference: "s3cret"})
    assert "s3cret" not in str(refused.value)
    with pytest.raises(UserError) as unknown:
        store(server, tmp_path, "--vault", "lab", "--write").write({Reference.parse("op://none/x/y"): "s3cret"})
    assert (unknown.value.code, unknown.value.subject) == ("BLU525", "none")
    (tmp_path / "connect-token").write_text("wrong")
    with pytest.raises(Unavailable):
        reading.read([reference])
    with pytest.raises(Unavailable, match="no token"):
        ConnectStore(server.url, tmp_path / "nothing").read([reference])
    with pytest.raises(Unavailable):
        ConnectStore("http://127.0.0.1:1", tmp_path / "connect-token").read([reference])
