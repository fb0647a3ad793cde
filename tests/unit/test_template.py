"""Lookups in texts: found wherever they stand, and nothing else has a meaning."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.lab.template import Lookup, TemplateError, parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("{{ a.b }}", (Lookup(("a", "b")),)),
        ("{{a}}{{ b }}", (Lookup(("a",)), Lookup(("b",)))),
        ("x{{ files.app.ini }}y", ("x", Lookup(("files", "app", "ini")), "y")),
        ("{{\n  a-b.c_d\n}}", (Lookup(("a-b", "c_d")),)),
        ("{{{ a }}}", ("{", Lookup(("a",)), "}")),
        ("}} { } {a}", ("}} { } {a}",)),
        ("{{ options.0 }}", (Lookup(("options", "0")),)),
    ],
)
def test_pieces(text: str, wanted: tuple[str | Lookup, ...]) -> None:
    """Literal text and lookups, in order."""
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("{{", 0), ("a {{ b", 2), ("{{ }}", 0), ("{{ a b }}", 0), ("{{ a | upper }}", 0), ("{{ a. }}", 0),
        ("{{ .a }}", 0),
        ("{{ 1a }}", 0), ("{{ a() }}", 0), ("{{ a }} {{%x%}}", 8), ("{{{{ a }}", 0), ("{{ a\0 }}", 0),
    ],
)  # fmt: skip
def test_braces_that_are_no_lookup_are_a_mistake(text: str, start: int) -> None:
    """A template with logic is refused where it stands: it is never passed on half read."""
    with pytest.raises(TemplateError, match="is no lookup") as error:
        parse(text)
    assert error.value.start == start


def test_a_lookup_knows_where_it_stands() -> None:
    """Its place is told when it means nothing."""
    assert [piece.start for piece in parse("a {{ b }} {{ c }}") if isinstance(piece, Lookup)] == [2, 10]


@given(st.text())
def test_text_without_braces_is_itself(text: str) -> None:
    """Nothing but `{{` has a meaning."""
    text = text.replace("{{", "")
    if "{{" not in text:
        assert "".join(str(piece) for piece in parse(text)) == text


@pytest.mark.parametrize(
    "text", ["{{" * 200_000, "{{ " * 200_000, "{{" + " " * 500_000, "{{ a" + ".a" * 200_000, "{{ a }}" * 50_000]
)
def test_hostile_texts_end_soon(text: str) -> None:
    """No text takes more than a moment."""
    started = time.process_time()
    try:
        parse(text)
    except TemplateError as error:
        said = str(error)
    else:
        said = ""
    assert len(said) < 120
    assert time.process_time() - started < 1
