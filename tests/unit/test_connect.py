"""The Connect API's parts: tokens, how often somebody may be wrong, filters, and what a change means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.base.errors import BlumeError, UserError
from blumeops.connect import edits
from blumeops.connect.audit import Attempts, Audit
from blumeops.connect.shapes import matches, whole
from blumeops.connect.tokens import Token, Tokens, Wrong
from blumeops.secrets.cabinet import Edit
from blumeops.secrets.items import Item, vault_id, vaults
from blumeops.secrets.references import Reference

WORDS = st.sampled_from(["id", "title", "fields", "label", "value", "section", "sections", "op", "path", "vault"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner),
    max_leaves=12,
)


def an_item(*names: str) -> Item:
    """An item of vault `lab`, with a value for each name of a field."""
    values = {Reference.parse(f"op://lab/thing/{name}"): f"old {name}" for name in names}
    (vault,) = vaults(values)
    return vault.items[0]


def shown(item: Item, **values: str) -> dict[str, Any]:
    """The item as a client got it, with other values."""
    got = whole(item, "")
    got["fields"] = [{**field, "value": values.get(field["label"], field["value"])} for field in got["fields"]]
    return got


def told(edit: Edit) -> tuple[dict[str, str], list[str]]:
    """Values by name of their field, and what goes."""
    return (
        {"/".join(reference.path[2:]): value for reference, value in edit.values.items()},
        ["/".join(path) for path in edit.gone],
    )


@pytest.mark.parametrize("named", ["lab", vault_id("lab")])
def test_an_item_says_its_vault_by_name_or_identifier(named: str) -> None:
    """The SDKs write the one, External Secrets what its store names; another vault is refused."""
    new = {"title": "new", "vault": {"id": named}, "fields": [{"label": "key", "value": "x"}]}
    assert edits.created(new, "lab", vault_id("lab"), [])[0] == "new"
    with pytest.raises(UserError, match="another vault"):
        edits.created(new, "people", vault_id("people"), [])


def test_a_token_is_found_until_it_ends(tmp_path: Path) -> None:
    """By its whole text alone; after its end it is known, and refused."""
    tokens = Tokens(tmp_path / "c/tokens.json")
    token, text = tokens.create("a", ["lab"], write=False, seconds=60, now=100.0)
    assert tokens.find(text, 159.9) == token
    assert tokens.find(text, 160.0) == Wrong("expired", token.id)
    assert tokens.find(text[:-1], 100.0) == Wrong("no token of ours")
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert tokens.find(wrong, 100.0) == Wrong("wrong secret", token.id)
    assert text.split("_", 2)[2] not in tokens.path.read_text()


def test_a_token_that_is_revoked_is_gone_at_once_for_others_too(tmp_path: Path) -> None:
    """A server that has read the file sees the change of another process; the same name may be used again."""
    server, command = Tokens(tmp_path / "tokens.json"), Tokens(tmp_path / "tokens.json")
    _, text = command.create("a", ["lab"], write=True, seconds=None, now=0.0)
    assert isinstance(server.find(text, 1e9), Token)
    with pytest.raises(UserError, match="is the name of a token already"):
        command.create("a", ["lab"], write=True, seconds=None, now=0.0)
    command.revoke("a")
    assert isinstance(server.find(text, 0.0), Wrong)
    command.create("a", ["lab"], write=True, seconds=None, now=0.0)
    with pytest.raises(UserError, match="neither the name nor the identifier"):
        command.revoke("b")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tokens": [{}]}', '{"tokens": 1}', "\0"])
def test_a_damaged_file_of_tokens_lets_nobody_in(tmp_path: Path, text: str) -> None:
    """It is an error, and not an empty list."""
    (tmp_path / "tokens.json").write_text(text)
    with pytest.raises(BlumeError):
        Tokens(tmp_path / "tokens.json").find(f"bco_000000000000_{'x' * 43}", 0.0)


def test_a_key_that_fails_too_often_waits() -> None:
    """Ten in a minute; other keys do not; as time goes by it may again. There is an end to what is remembered."""
    now = [0.0]
    attempts = Attempts(lambda: now[0], keys=2)
    for second in range(10):
        assert attempts.wait("a") == 0
        now[0] = float(second)
        attempts.failed("a")
    assert (attempts.wait("a"), attempts.wait("b")) == (51, 0)
    now[0] = 60.5
    assert attempts.wait("a") == 0
    for key in "bcd":
        attempts.failed(key)
    assert len(attempts._failed) == 2


def test_the_log_does_not_grow_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files at most; a line is JSON, whatever a client wrote, and short."""
    monkeypatch.setattr("blumeops.connect.audit.LARGEST", 1000)
    said: list[str] = []
    audit = Audit(tmp_path / "audit.log", said.append, lambda: 0.0)
    for _ in range(40):
        audit(path="/\n{}\x1b" + "x" * 500, status=401)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.1.log", "audit.log"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3000
    assert all(json.loads(line)["time"] == "1970-01-01T00:00:00Z" and "\x1b" not in line for line in said)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, True), ('title eq "my item"', True), ('name eq "my item"', True), ('Name EQ "my item" ', True),
        ('title eq "My Item"', False), ('id eq "x1"', True), ('tag eq "my item"', False), ('title eq ""', False),
    ],
)  # fmt: skip
def test_both_forms_of_a_filter_are_understood(wanted: str | None, found: bool) -> None:
    """Of the Go SDK and of Python's; names are compared exactly."""
    assert matches(wanted, "my item", "x1") == found


@pytest.mark.parametrize("wanted", ["", "title", 'title co "x"', "title eq x", 'a eq "b"', 'title eq "x'])
def test_another_filter_is_refused(wanted: str) -> None:
    """Rather than to answer with everything."""
    with pytest.raises(UserError):
        matches(wanted, "x", "y")


def test_a_client_that_sends_back_what_it_got_changes_nothing() -> None:
    """Sections, purposes, all that we show: understood as the same."""
    for item in (an_item("password", "username", "a/key", "b/key"), an_item("document")):
        assert edits.replaced(shown(item), item) == Edit()
        assert edits.patched([], item) == Edit()


def test_an_item_is_replaced_as_a_whole() -> None:
    """A new value, a field without identifier, as PushSecret adds it, a new section; what is not sent goes."""
    item = an_item("password", "old", "a/key")
    body = shown(item, password="new")
    body["fields"] = [field for field in body["fields"] if field["label"] != "old"]
    body["fields"] += [
        {"label": "more", "type": "CONCEALED", "value": "1"}, {"label": "x", "section": {"id": "s"}, "value": "2"},
        {"id": "notesPlain", "purpose": "NOTES", "value": "3"},
    ]  # fmt: skip
    body["sections"].append({"id": "s", "label": "second"})
    expected = {"password": "new", "more": "1", "second/x": "2", "notesPlain": "3"}
    assert told(edits.replaced(body, item)) == (expected, ["lab/thing/old"])


def test_a_field_is_renamed_by_its_identifier() -> None:
    """The value stands under the new label, and no longer under the old one."""
    item = an_item("a", "b")
    body = shown(item)
    body["fields"][0]["label"] = "c"
    assert told(edits.replaced(body, item)) == ({"c": "old a"}, ["lab/thing/a"])


def test_without_its_last_field_an_item_is_gone() -> None:
    """A store of values keeps no empty items."""
    item = an_item("a", "s/b")
    assert edits.replaced({"title": "thing", "fields": []}, item).gone == (("lab", "thing"),)


def test_single_fields_are_patched() -> None:
    """By JSON Patch: a value, a label, one more, one less."""
    item = an_item("a", "b", "c", "s/d")
    ids = {field.label: field.id for field in item.fields}
    operations = [
        {"op": "replace", "path": f"/fields/{ids['a']}/value", "value": "new"},
        {"op": "replace", "path": f"/fields/{ids['d']}/label", "value": "e"},
        {"op": "remove", "path": f"/fields/{ids['b']}"},
        {"op": "add", "path": "/fields", "value": {"label": "more", "value": "1"}},
    ]
    expected = {"a": "new", "s/e": "old s/d", "more": "1"}
    assert told(edits.patched(operations, item)) == (expected, ["lab/thing/b", "lab/thing/s/d"])


def test_fields_that_are_added_do_not_replace_each_other() -> None:
    """Whatever is removed between them."""
    item = an_item("a", "b")
    operations: list[object] = [
        {"op": "add", "path": "/fields", "value": {"label": "x", "value": "1"}},
        {"op": "remove", "path": f"/fields/{item.fields[0].id}"},
        {"op": "add", "path": "/fields/-", "value": {"label": "y", "value": "2"}},
    ]
    assert told(edits.patched(operations, item)) == ({"x": "1", "y": "2"}, ["lab/thing/a"])


def test_a_value_is_generated_where_a_client_asks_for_it() -> None:
    """By its recipe; one that can be guessed is refused."""
    field: dict[str, Any] = {"label": "a", "generate": True, "recipe": {"length": 40, "characterSets": ["DIGITS"]}}
    _, edit = edits.created({"title": "x", "fields": [field]}, "lab", vault_id("lab"), [])
    (value,) = edit.values.values()
    assert len(value) == 40
    assert value.isdigit()
    field["recipe"]["length"] = 4
    with pytest.raises(UserError, match="can be guessed"):
        edits.created({"title": "x", "fields": [field]}, "lab", vault_id("lab"), [])


def test_what_lost_a_race_is_refused() -> None:
    """An item based on another version, of another identifier or title; a title that is taken."""
    item = an_item("a")
    for wrong in ({"version": 7}, {"id": "a" * 26}, {"title": "other"}):
        with pytest.raises(UserError) as caught:
            edits.replaced({**shown(item), **wrong}, item)
        assert caught.value.code == "BLU535"
    with pytest.raises(UserError, match="already"):
        edits.created(shown(item), "lab", vault_id("lab"), [item])


WRONG: list[object] = [
    None, [], {}, "x", {"title": "a/b", "fields": [{"label": "x"}]}, {"title": "a", "fields": [{"label": "x/y"}]},
    {"title": "a", "fields": []}, {"title": "a", "fields": [{"value": "canary"}]}, {"title": "a", "fields": {}},
    {"title": "a", "fields": [{"label": "x", "value": 1}]}, {"title": "a", "fields": [{"label": "x"}] * 2},
    {"title": "a", "fields": [{"label": "x", "section": {"id": "none"}}]},
    {"title": "a", "fields": [{"label": "x", "value": {"canary": "canary"}}]},
]  # fmt: skip


@pytest.mark.parametrize("body", WRONG, ids=str)
def test_a_malformed_item_is_refused_without_being_repeated(body: object) -> None:
    """What was sent may be a secret: the error says where, not what."""
    with pytest.raises(UserError) as caught:
        edits.created(body, "lab", vault_id("lab"), [])
    assert caught.value.code == "BLU534"
    assert "canary" not in f"{caught.value}{caught.value.__cause__}"


@given(JSON)
def test_any_json_is_an_edit_or_an_error(body: object) -> None:
    """Nothing that a client sends is a bug of ours."""
    item = an_item("a", "s/b")
    for made in (
        lambda: edits.created(body, "lab", vault_id("lab"), [item]),
        lambda: edits.replaced(body, item),
        lambda: edits.patched(body, item),
    ):
        try:
            made()
        except BlumeError as error:
            assert "\n" not in str(error)  # noqa: PT017  # most bodies raise, some do not: both are right
