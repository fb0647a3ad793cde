"""HuJSON: what is read, where it stands, and that nothing hostile takes long or raises."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.base.findings import Place
from blumeops.facts.policy.hujson import MOST_BYTES, MOST_DEPTH, Placed, build, read

JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.text(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def value(text: str) -> object:
    """The plain value of a text without findings."""
    document = read(text.encode(), "f")
    assert document.root is not None and not document.findings, document.findings
    return document.root.plain()


@given(JSON)
def test_json_is_hujson(data: object) -> None:
    """Whatever JSON says is read as `json.loads` reads it; a lone surrogate becomes the replacement character."""
    for text in (json.dumps(data), json.dumps(data, ensure_ascii=False, indent=1)):
        document = read(text.encode(errors="replace"), "f")
        assert document.root is not None
        if not document.findings:
            assert document.root.plain() == json.loads(text.encode(errors="replace")) or "\\ud" in text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("// one\n{/* two */\"a\" /**/ : [1, 2,], // three\n}", {"a": [1, 2]}),
        ('{"a": "http://x/*y*/", "b": "\\u00e9\\n\\ud83d\\ude80"}', {"a": "http://x/*y*/", "b": "é\n🚀"}),
        ('"\\ud800"', "�"),
        ("[-0, 1e3, 0.5, true, false, null]", [0, 1000.0, 0.5, True, False, None]),
        ("\ufeff[]", []),
        ("[] // end", []),
        ("\r\n\t[ ]\r\n", []),
    ],
)  # fmt: skip
def test_comments_commas_and_escapes(text: str, wanted: object) -> None:
    """Comments stand anywhere but in strings; a comma may follow the last member."""
    assert value(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "[,]", "[1 2]", "{,}", '{"a"}', '{"a": }', '{"a": 1,, }', "{a: 1}", "[01]", "[1.]", "[.5]", "[+1]", "[NaN]",
     "]", "[1]]", "//", "/* */", "/*", "[tru]", '"\\u12"', '"\x01"', "{\"a\": 1]", "[1}", "\x00", "nul"],
)  # fmt: skip
def test_what_is_no_hujson_is_one_finding_with_a_place(text: str) -> None:
    """Never an exception, never a value."""
    document = read(text.encode(), "f")
    assert document.root is None
    (finding,) = document.findings
    assert finding.code == "BLU220" and finding.place.line >= 1 and finding.place.column >= 1


def test_places_count_lines_and_characters_from_one() -> None:
    """A value's place is where it begins, a key's where the key does; characters count, not bytes."""
    document = read('{\n  "é": ["ü",\n    7]}'.encode(), "f")
    assert document.root
    inside = document.root.data["é"]
    assert document.place(document.root.keys["é"]) == Place("f", 2, 3)
    assert document.place(inside.at) == Place("f", 2, 8)
    assert document.place(inside.data[1].at) == Place("f", 3, 5)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 10**6, b'{"a":' * 10**6, b"/*" * 10**6, b"//" * 10**6, b"[" + b"1," * 10**6, b'"' + b"\\" * 10**6,
        b"-" * 10**6, b"1" * 10**6, b'"' * 10**6, b" " * 10**6 + b"x", b"/* *" * 10**6, b"\xff" * 10**6,
        b"/**/" * 10**6, b"[" + b'"a",' * 10**6 + b"]", b'{"a":1,' + b'"a":1,' * 10**5 + b"}", b"1e999", b"[1e400]",
        b"x" * (MOST_BYTES + 1),
    ],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_hostile_texts_end_soon(text: bytes) -> None:
    """Megabytes of one thing are read, or refused with findings, in time that grows with their length alone."""
    began = time.process_time()
    document = read(text, "f")
    assert time.process_time() - began < 10
    assert document.root is not None or document.findings
    assert len(document.findings) <= 100


def test_depth_is_bounded_where_it_is_said() -> None:
    """As deep as allowed is read, one deeper is a finding."""
    assert read(b"[" * MOST_DEPTH + b"]" * MOST_DEPTH, "f").root
    assert read(b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1), "f").findings[0].code == "BLU221"


def test_built_values_bring_their_places() -> None:
    """Plain data has the place that it is given; `Placed` parts have their own, and so has what is inside them."""
    here, there = Place("lab.yaml", 1, 1), Place("services/a.yaml", 3, 5)
    document = build({"a": [1, Placed({"b": "c"}, there)]}, here)
    assert document.root
    assert document.root.plain() == {"a": [1, {"b": "c"}]}
    inside = document.root.data["a"].data
    assert document.place(inside[0].at) == here
    assert document.place(inside[1].data["b"].at) == there
