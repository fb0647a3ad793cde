"""From pydantic's reasons to words: one finding a value, at its place, with the nearest name."""

from __future__ import annotations

from typing import Any

import pytest

from blumeops.lab import yaml
from blumeops.lab.fields import PATTERNS, Count, Name, Scalar, Strict, Truth
from blumeops.lab.marks import Document, Mark
from blumeops.lab.validate import MOST_DETAILS, meant, validate, validate_what_fits


class Inner(Strict):
    """A part."""

    name: Name
    count: Count = 1


class Model(Strict):
    """A whole."""

    inner: dict[Name, Inner] = {}
    any: Scalar | tuple[Scalar, ...] | None = None
    truth: Truth = False
    secrets: dict[str, str] = {}
    names: tuple[Name, ...] = ()


def said(text: str) -> list[str]:
    """What is wrong with a model, which stands at `m:`."""
    document = yaml.read(f"m: {text}\n".encode(), "f")
    return [str(found)[2:] for found in validate(Model, document.data["m"], document, ("m",))[1]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{}", []),
        ("{any: 1.5, truth: true, names: [a]}", []),
        ("[]", ["1:4: BLU103 m: must be a mapping (`key: value` lines), not a list"]),
        ("{inner: {a: {}}}", ["1:13: BLU102 m.inner.a.name: is missing"]),
        (
            "{inner: {a: {name: b, cuont: 2}}}",
            ["1:26: BLU101 m.inner.a.cuont: there is no such field; did you mean `count`?"],
        ),
        ("{x: 1}", ["1:5: BLU101 m.x: there is no such field; known: any, inner, names, secrets, truth"]),
        ("{inner: {A: {name: b}}}", [f"1:13: BLU103 m.inner.A: must be {next(iter(PATTERNS.values()))}, not 'A'"]),
        ("{inner: {a: {name: b, count: 1.5}}}", ["1:33: BLU103 m.inner.a.count: must be a whole number, not 1.5"]),
        ("{inner: {a: {name: b, count: 0}}}", ["1:33: BLU103 m.inner.a.count: must be at least 1, not 0"]),
        ("{inner: {a: {name: b, count: .inf}}}", ["1:33: BLU103 m.inner.a.count: must be a whole number, not inf"]),
        ("{truth: yes}", ["1:12: BLU103 m.truth: must be true or false, not 'yes'"]),
        ("{any: {a: b}}", ["1:10: BLU103 m.any: must be true or false, a number, text or a list, not a mapping"]),
        ("{any: [1, [2]]}", ["1:14: BLU103 m.any.1: must be true or false, a number or text, not a list"]),
        (
            "{names: [a, 1, B]}",
            [
                "1:16: BLU103 m.names.1: must be text, not 1",
                f"1:19: BLU103 m.names.2: must be {next(iter(PATTERNS.values()))}, not 'B'",
            ],
        ),
        ("{secrets: {a: [hunter2]}}", ["1:18: BLU103 m.secrets.a: must be text"]),
        ("{secrets: hunter2}", ["1:14: BLU103 m.secrets: must be a mapping (`key: value` lines)"]),
        (
            '{"a\\n\\e": 1}',
            ["1:5: BLU101 m.a\\n\\x1b: there is no such field; known: any, inner, names, secrets, truth"],
        ),
        (
            f"{{names: [{'x' * 200}]}}",
            [f"1:13: BLU103 m.names.0: must be {next(iter(PATTERNS.values()))}, not '{'x' * 58}…"],
        ),
    ],
)
def test_words_and_places(text: str, wanted: list[str]) -> None:
    """A person sees the path that was written, not the types that were tried."""
    assert said(text) == wanted


def test_a_flood_is_one_finding() -> None:
    """Each mistake costs memory; nobody reads ten thousand."""
    assert said(f"{{names: [{'1, ' * (MOST_DETAILS + 1)}]}}") == [
        f"1:4: BLU103 m: has {MOST_DETAILS + 1} mistakes, too many to tell"
    ]


@pytest.mark.parametrize(
    ("data", "right", "wrong"),
    [
        ({"any": 1}, {"any": 1}, set()),
        ({"any": 1, "truth": 7}, {"any": 1}, {"truth"}),
        ({"any": 1, "a.b": 7, "": 8}, {"any": 1}, {"a.b", ""}),
        ({"inner": {"a": {}}, "truth": True}, {"truth": True}, {"inner"}),
        ([], None, set()),
    ],
)
def test_what_is_right_is_kept(data: Any, right: dict[str, Any] | None, wrong: set[str]) -> None:
    """The fields that are wrong are left out, whatever their names."""
    document = Document("f", data, Mark(1, 1))
    found, findings, fields = validate_what_fits(Model, data, document, ())
    assert (found.model_dump(exclude_unset=True) if found else None) == right
    assert fields == wrong
    assert bool(findings) == bool(wrong or right is None)


@pytest.mark.parametrize(
    ("given", "known", "wanted"),
    [
        ("grafanna", ["grafana", "loki"], "did you mean `grafana`?"),
        ("x", ["loki", "grafana"], "known: grafana, loki"),
        ("x", [], "there are none"),
        ("a100", [f"a{number:03}" for number in range(300)], "known: a000, a001, "),
    ],
)
def test_the_nearest_name(given: str, known: list[str], wanted: str) -> None:
    """Or what there is; among very many none is looked for, since each comparison takes time."""
    assert meant(given, known).startswith(wanted)
