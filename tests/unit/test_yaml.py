"""Reading YAML: values by the core schema of 1.2, places of everything, and no way to hurt the reader."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from blumeops.lab import nodes, yaml

FILE = "some.yaml"


def value(text: str) -> Any:
    """The value of `a:` in a text that has nothing wrong."""
    document = yaml.read(f"a: {text}\n".encode(), FILE)
    assert document.findings == ()
    return document.data["a"]


def said(text: str | bytes) -> list[str]:
    """The findings about a text."""
    return [str(found) for found in yaml.read(text.encode() if isinstance(text, str) else text, FILE).findings]


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "n", "On", "NO", "tRUE", "nuLL", "1_000", "1:30", "=", "<<"]
)
def test_words_that_yaml_1_1_reads_as_something_else_are_text(word: str) -> None:
    """Norway, sexagesimal times, digits with underscores and merge keys are plain text in 1.2."""
    assert value(word) == word


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", 0),
        ("10", 10),
        ("010", 10),
        ("-7", -7),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0xfF", 255),
        ("0b11", "0b11"),
        ("-0o17", "-0o17"),
        ("0o8", "0o8"),
        ("0xg", "0xg"),
        ("1-2", "1-2"),
        ("+", "+"),
        (".", "."),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("1e", "1e"),
        ("e1", "e1"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.Inf", math.inf),
        ("inf", "inf"),
        ("1.2.3", "1.2.3"),
        ("9" * 400, int("9" * 400)),
        ("9" * 401, "9" * 401),
        ("1e999", math.inf),
    ],
)
def test_numbers_are_those_of_the_core_schema(text: str, wanted: object) -> None:
    """A leading zero means nothing, `0o` is octal, and a number too long to be one stays text."""
    found = value(text)
    assert found == wanted
    assert type(found) is type(wanted)


def test_not_a_number_is_read() -> None:
    """`.nan` is the one value that is not equal to itself."""
    assert math.isnan(value(".NaN"))


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL", "# only a comment"])
def test_the_forms_of_nothing(text: str) -> None:
    """Each of them is None."""
    assert value(text) is None


@pytest.mark.parametrize(("text", "wanted"), [("true", True), ("False", False), ("TRUE", True)])
def test_truth_values(text: str, wanted: bool) -> None:
    """Three spellings of each."""
    assert value(text) is wanted


@pytest.mark.parametrize("text", ["'12'", '"true"', "! 12", "|\n  12", ">\n  null", "''"])
def test_what_is_quoted_stays_text(text: str) -> None:
    """Quotes, block scalars and the tag `!` say: this is text."""
    assert isinstance(value(text), str)


def test_keys_are_text_as_written() -> None:
    """A key is a name: `010`, `on` and `1.0` are not changed."""
    assert list(yaml.read(b"010: 1\non: 2\n1.0: 3\n~: 4\n", FILE).data) == ["010", "on", "1.0", "~"]


NESTED = """\
one:   {two: [x, {three: 3}]}
block: |
  text
  text
list:
  - a
  -   b: 1
anchor: &a {deep: 1}
alias: *a
after: end
'quoted key' : 1
"""


@pytest.mark.parametrize(
    ("path", "of_value", "of_key"),
    [
        (("one",), (1, 8), (1, 1)),
        (("one", "two"), (1, 14), (1, 9)),
        (("one", "two", 0), (1, 15), (1, 15)),
        (("one", "two", 1, "three"), (1, 26), (1, 19)),
        (("block",), (2, 8), (2, 1)),
        (("list",), (6, 3), (5, 1)),
        (("list", 1, "b"), (7, 10), (7, 7)),
        (("anchor", "deep"), (8, 19), (8, 13)),
        (("alias",), (8, 9), (9, 1)),
        (("after",), (10, 8), (10, 1)),
        (("quoted key",), (11, 16), (11, 1)),
        (("one", "gone"), (1, 8), (1, 1)),
        (("list", 7), (6, 3), (5, 1)),
        ((), (1, 1), (1, 1)),
    ],
)
def test_places(path: tuple[str | int, ...], of_value: tuple[int, int], of_key: tuple[int, int]) -> None:
    """Line and column of each value and key; of what is around it, when it is not there; of the anchor for an alias."""
    document = yaml.read(NESTED.encode(), FILE)
    assert document.findings == ()
    place, key = document.place(*path), document.place(*path, of_key=True)
    assert ((place.line, place.column), (key.line, key.column)) == (of_value, of_key)


@pytest.mark.parametrize(("text", "line"), [("a: 1\r\nb: 2\r\nc: 3\r\n", 3), ("\ufeffa: 1\nb: 2\nc: 3", 3)])
def test_line_ends_and_byte_order_marks_change_no_place(text: str, line: int) -> None:
    """Files from another platform are read like any other."""
    document = yaml.read(text.encode(), FILE)
    assert document.data == {"a": 1, "b": 2, "c": 3}
    assert document.place("c", of_key=True)[1:] == (line, 1)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "\ufeff"])
def test_an_empty_file_is_nothing_and_no_mistake(text: str) -> None:
    """No value, no finding."""
    document = yaml.read(text.encode(), FILE)
    assert (document.data, document.findings) == (None, ())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: 1\na: 2\n", ["some.yaml:2:1: BLU003 a: stands here twice (first in line 1); keep one of the two"]),
        ("a: {b: 1, b: 2}", ["some.yaml:1:11: BLU003 b: stands here twice (first in line 1); keep one of the two"]),
        (
            "a: 1\n---\nb: 2",
            ["some.yaml:2:1: BLU001 some.yaml: holds more than one YAML document; split it into files"],
        ),
        ("a: !env X", ["some.yaml:1:4: BLU004 !env: YAML tags are not read; leave the tag out, or quote what is text"]),
        (
            "a: !!int '3'",
            ["some.yaml:1:4: BLU004 !!int: YAML tags are not read; leave the tag out, or quote what is text"],
        ),
        ("a: !x [1]", ["some.yaml:1:4: BLU004 !x: YAML tags are not read; leave the tag out, or quote what is text"]),
        ("!x a: 1", ["some.yaml:1:1: BLU004 !x: YAML tags are not read; leave the tag out, or quote what is text"]),
        (
            "a:\n\tb: 1",
            [
                (
                    "some.yaml:2:1: BLU001 some.yaml: is not YAML: while scanning for the next token, found "
                    "character that cannot start any token; indent with spaces, not tabs"
                )
            ],
        ),
        (
            "a: @x",
            [
                (
                    "some.yaml:1:4: BLU001 some.yaml: is not YAML: while scanning for the next token, found character "
                    "that cannot start any token; quote a text that begins with `@`"
                )
            ],
        ),
        (
            "a: b: c",
            [
                (
                    "some.yaml:1:5: BLU001 some.yaml: is not YAML: mapping values are not allowed in this context; "
                    "quote a text that holds `: `"
                )
            ],
        ),
        (
            "a: {{ secrets.x }}",
            [
                (
                    "some.yaml:1:5: BLU001 some.yaml: has a key that is not a plain word; quote a text that "
                    "begins with `{`, `[` or `*`"
                )
            ],
        ),
        (
            "a: *b",
            [
                (
                    "some.yaml:1:4: BLU001 some.yaml: uses the anchor `b` inside itself or before it is set; "
                    "quote a text "
                    "that begins with `*`"
                )
            ],
        ),
        (
            "a: &a [*a]",
            [
                (
                    "some.yaml:1:8: BLU001 some.yaml: uses the anchor `a` inside itself or before it is set; quote a "
                    "text that begins with `*`"
                )
            ],
        ),
        ("a: b\0c", ["some.yaml:1:5: BLU002 some.yaml: holds the control character U+0000"]),
        (
            "é: 1\né: \x07",
            ['some.yaml:2:4: BLU002 some.yaml: holds the control character U+0007; write "\\u0007", in double quotes'],
        ),
        ('a: "b\\0c"', ["some.yaml:1:4: BLU002 some.yaml: holds a NUL character, which no program can be given"]),
        (
            "a: 1\nb: x\u2028y",
            ['some.yaml:2:5: BLU002 some.yaml: holds the control character U+2028; write "\\u2028", in double quotes'],
        ),
        (b"a: 1\nb: \xe9", ["some.yaml:2:4: BLU002 some.yaml: is not UTF-8 text"]),
        ("a: 1".encode("utf-16"), ["some.yaml:1:1: BLU002 some.yaml: is not UTF-8 text"]),
        (
            'a: "\\ud800"',
            [
                (
                    "some.yaml:1:7: BLU001 some.yaml: is not YAML: while parsing a quoted scalar, found invalid "
                    "Unicode character escape code"
                )
            ],
        ),
        (
            "a: 1\na: 2\nb: [",
            [
                "some.yaml:2:1: BLU003 a: stands here twice (first in line 1); keep one of the two",
                (
                    "some.yaml:4:1: BLU001 some.yaml: is not YAML: while parsing a flow node, did not find "
                    "expected node content"
                ),
            ],
        ),
    ],
)
def test_mistakes(text: str | bytes, wanted: list[str]) -> None:
    """Each is told at its place, in a person's words, with what was found before it."""
    assert said(text) == wanted


def test_an_unfinished_bracket_is_told() -> None:
    """A hint says what may be missing."""
    assert said("a: {b: [1, 2\n")[0].endswith("close the bracket, or quote a text that holds brackets or commas")


def test_no_message_has_a_control_character() -> None:
    """A key with escapes would otherwise forge lines of output or drive the terminal."""
    (finding,) = said('"\\e[31m\\nx": 1\n"\\e[31m\\nx": 1\n')
    assert finding.isprintable()
    assert "\\x1b[31m\\nx" in finding


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(20)
)
LADDER = b"a: &a0 []\n" + b"".join(b"k%d: &a%d %s*a%d%s\n" % (i, i, b"[" * 30, i - 1, b"]" * 30) for i in range(1, 300))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(BOMB, "BLU002", id="billion laughs"),
        pytest.param(LADDER, "BLU002", id="deep by aliases"),
        pytest.param(b"[" * 10_000, "BLU002", id="10,000 brackets"),
        pytest.param(b"{a: " * 10_000, "BLU002", id="10,000 braces"),
        pytest.param(b"- " * 10_000, "BLU002", id="10,000 dashes"),
        pytest.param(b"".join(b" " * i + b"a:\n" for i in range(2_000)), "BLU002", id="2,000 indents"),
        pytest.param(b"? " * 10_000, "BLU001", id="10,000 keys of keys"),
        pytest.param(b"a: " + b"x" * 20_000_000, "BLU002", id="20 MB"),
        pytest.param(b"a: 1\n" * 3_000_000, "BLU002", id="15 MB of one key"),
        pytest.param(b"- !x 1\n" * 600_000, "BLU002", id="600,000 tags"),
        pytest.param(b"[" + b"&a " * 100_000, "BLU001", id="100,000 anchors of nothing"),
    ],
)
def test_hostile_files_end_soon_in_a_finding(text: bytes, code: str) -> None:
    """Size, depth, aliases and the number of mistakes are bounded; the last finding says which bound it was."""
    started = time.process_time()
    document = yaml.read(text, FILE)
    assert time.process_time() - started < 2
    assert document.data is None
    assert document.findings[-1].code == code
    assert len(document.findings) <= nodes.MOST_FINDINGS + 1


def test_aliases_are_read_as_what_they_stand_for() -> None:
    """An anchor may be set anew, and may stand at a key."""
    document = yaml.read(b"a: &x {k: 1}\nb: *x\nc: &x 2\nd: *x\n&y e: *y\n", FILE)
    assert document.data == {"a": {"k": 1}, "b": {"k": 1}, "c": 2, "d": 2, "e": "e"}


@given(st.one_of(st.text(), st.text("{}[]&*!|>'\"%@`#:-,?<~ \n\tab0.")))
def test_no_text_makes_it_raise(text: str) -> None:
    """Whatever is in a file, there is a value or a finding, and a place that can be asked for."""
    document = yaml.read(text.encode(errors="surrogatepass"), FILE)
    assert document.data is None or not any(found.code == "BLU002" for found in document.findings)
    assert document.place("a", 0, "b").line >= 1


@given(st.binary())
def test_no_bytes_make_it_raise(text: bytes) -> None:
    """Nor do bytes that are no text."""
    yaml.read(text, FILE)


def _texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufffe\uffff\ufeff"))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts(),
    lambda inner: st.lists(inner) | st.dictionaries(_texts(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_as_itself(data: Any) -> None:
    """YAML 1.2 reads JSON, and so do we; only pairs of surrogate escapes the parser knows not."""
    document = yaml.read(json.dumps(data, ensure_ascii=False).encode(), FILE)
    assert document.findings == ()
    assert document.data == data


class _Quoting(pyyaml.SafeDumper):
    """PyYAML writes 1.1: text is quoted, since the two versions disagree about which plain words are text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@given(VALUES)
def test_what_pyyaml_writes_is_read_back(data: Any) -> None:
    """Flow style with quoted text means the same to both, wherever a line is folded."""
    text = pyyaml.dump(data, Dumper=_Quoting, default_flow_style=True, allow_unicode=True)
    assert yaml.read(text.encode(), FILE).data == data
