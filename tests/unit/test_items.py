"""Secrets as 1Password shows them: identifiers, categories, and what a name means."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.base.errors import UserError
from blumeops.connect.command import comma_separated, selected
from blumeops.connect.inject import inject
from blumeops.secrets.items import fields, is_identifier, named, vaults
from blumeops.secrets.references import Reference

NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,6}(?: [A-Za-z0-9._-]{1,6})?", fullmatch=True)
REFERENCES = st.builds(Reference, NAMES, NAMES, NAMES | st.just(""), NAMES)


def values(*references: str) -> Mapping[Reference, str]:
    """A value for each."""
    return {Reference.parse(text): f"value of {text}" for text in references}


@given(st.dictionaries(REFERENCES, st.text(max_size=5), max_size=6))
def test_nothing_is_lost_and_identifiers_tell_all_apart(store: dict[Reference, str]) -> None:
    """Every value is in one field of one item; no two vaults, items or fields share an identifier that clients see."""
    found = vaults(store)
    items = [item for vault in found for item in vault.items]
    assert {field.reference: field.value for item in items for field in item.fields} == store
    for ids in ([each.id for each in found], [each.id for each in items], *([f.id for f in i.fields] for i in items)):
        assert len(set(ids)) == len(ids)
    assert all(is_identifier(each) for each in [*(each.id for each in found), *(each.id for each in items)])


def test_identifiers_stay_what_they_are() -> None:
    """Clients keep them: the same on every machine and in every version of ours."""
    (vault,) = vaults(values("op://lab/gandi/api/pat"))
    (item,) = vault.items
    assert (vault.id, item.id) == ("s7gkrudnbpjqs62tr7ozctyjzu", "p7vpwqad572nor6gq74rmwghrk")
    assert (item.fields[0].id, item.fields[0].section_id) == (
        "klcrjrsgewx453lxzqwwac2tgi",
        "nwafj3a5lkh65v5xsz6mujuxf2",
    )


@pytest.mark.parametrize(
    ("names", "category"),
    [
        (["username", "password"], "LOGIN"), (["password", "x"], "PASSWORD"), (["notesPlain"], "SECURE_NOTE"),
        (["document"], "DOCUMENT"), (["document", "x"], "API_CREDENTIAL"), (["s/password"], "API_CREDENTIAL"),
        (["s/document"], "API_CREDENTIAL"),
    ],
)  # fmt: skip
def test_a_category_follows_from_the_fields(names: list[str], category: str) -> None:
    """Fields inside of sections do not count: 1Password's own stand outside."""
    (vault,) = vaults(values(*(f"op://v/i/{name}" for name in names)))
    assert vault.items[0].category == category


def test_a_name_that_fits_is_taken_before_one_that_differs_in_case() -> None:
    """Two that differ in case alone are both found by a third spelling: the caller must tell them apart."""
    (vault,) = vaults(values("op://v/Item/a", "op://v/item/a"))
    assert [each.name for each in named(vault.items, "item")] == ["item"]
    assert [each.name for each in named(vault.items, "ITEM")] == ["Item", "item"]
    assert named(vault.items, "none") == []


def test_a_field_outside_of_sections_comes_first() -> None:
    """Without a section, those inside are looked at last; with one, only those in it."""
    (vault,) = vaults(values("op://v/i/key", "op://v/i/a/key", "op://v/i/a/only", "op://v/i/b/other"))
    (item,) = vault.items
    assert [str(each.reference) for each in fields(item, "", "key")] == ["op://v/i/key"]
    assert [str(each.reference) for each in fields(item, "", "ONLY")] == ["op://v/i/a/only"]
    assert [str(each.reference) for each in fields(item, "A", "key")] == ["op://v/i/a/key"]
    assert fields(item, "b", "key") == []
    assert [str(each.reference) for each in selected(item, "a.key,label=key")] == ["op://v/i/a/key", "op://v/i/key"]


def test_a_value_is_in_no_representation() -> None:
    """What a log or a traceback prints of a field is where it lies."""
    assert "value of" not in repr(vaults(values("op://v/i/f")))


def test_several_fields_on_a_line_are_quoted() -> None:
    """So that a comma or a line's end in a value does not make two of it."""
    assert comma_separated(["a", 'b,"c', "d\n"]) == 'a,"b,""c","d\n"'


TEMPLATES = {
    "a {{op://v/i/f}} b": "a <op://v/i/f> b",
    "{{  op://v/my item/s/f  }}": "<op://v/my item/s/f>",
    "k: op://v/i/f\nx": "k: <op://v/i/f>\nx",
    'k="op://v/i/f", y': 'k="<op://v/i/f>", y',
    "xop://v/i/f -op://v/i/f": "xop://v/i/f -op://v/i/f",
    "op://${ENV}/i/$f": "<op://prod/i/ef>",
    "op://${NONE:-dev}/i/f ${NONE:-a b}": "<op://dev/i/f> a b",
    "$env ${ Env } $ $5 ${": "prod prod $ $5 ${",
    '{{ "{{ op://v/i/f }} $ENV \\" " }}': '{{ op://v/i/f }} $ENV " ',
    "{{ other }} {% x %}": "{{ other }} {% x %}",
    "$TRICK": "op://v/i/f {{ op://v/i/f }} $ENV",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_read_once_from_left_to_right(template: str) -> None:
    """Neither a value nor a variable is read again."""
    env = {"ENV": "prod", "F": "ef", "TRICK": "op://v/i/f {{ op://v/i/f }} $ENV"}
    assert inject(template, lambda reference: f"<{reference}>", env) == TEMPLATES[template]


def test_values_of_a_template_are_never_read_again() -> None:
    """A secret that looks like a reference or a variable stays what it is."""
    assert inject("op://v/i/f", lambda _: "{{ op://x/y/z }} $HOME", {"HOME": "/root"}) == "{{ op://x/y/z }} $HOME"


def test_a_variable_that_is_not_there_is_said() -> None:
    """Instead of an empty text in a configuration."""
    with pytest.raises(UserError, match="not in the environment"):
        inject("${NONE}", str, {})


@given(st.text(alphabet='op:/{}$"\\ aV-_.\n', max_size=60))
def test_any_template_ends(template: str) -> None:
    """Nothing hangs, and nothing fails but for a variable that is missing."""
    with suppress(UserError):
        inject(template, lambda _: "x", {"a": "y"})
