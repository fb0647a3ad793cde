"""What an API server makes of a custom resource: the cases of Kubernetes' documentation, and those beside them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.definitions import differences, kept


def of(**properties: Any) -> dict[str, Any]:
    """The schema of an object with these fields."""
    return {"type": "object", "properties": properties}


TEXT = {"type": "string"}
SIZE = {"type": "integer", "default": 3}


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        (of(a=SIZE), {}, {"a": 3}),
        (of(a=SIZE), {"a": 0}, {"a": 0}),
        (of(a=SIZE), {"a": None}, {"a": 3}),
        (of(a={**SIZE, "nullable": True}), {"a": None}, {"a": None}),
        (of(a=TEXT), {"a": None}, {}),
        (of(a={**TEXT, "nullable": True}), {"a": None}, {"a": None}),
        (of(a=of(b=SIZE)), {}, {}),
        (of(a=of(b=SIZE)), {"a": {}}, {"a": {"b": 3}}),
        (of(a={**of(b=SIZE), "default": {}}), {}, {"a": {"b": 3}}),
        (of(a={"type": "array", "items": of(b=SIZE)}), {"a": [{}, {"b": 1}]}, {"a": [{"b": 3}, {"b": 1}]}),
        (of(a={"type": "array", "items": SIZE}), {"a": [None, 1]}, {"a": [3, 1]}),
        ({"type": "object", "additionalProperties": of(b=SIZE)}, {"x": {}}, {"x": {"b": 3}}),
        (of(a=TEXT), {"a": "x", "b": 1}, {"a": "x"}),
        (of(a={"type": "array", "items": of(b=TEXT)}), {"a": [{"b": "x", "c": 1}]}, {"a": [{"b": "x"}]}),
        ({"type": "object", "additionalProperties": of(b=TEXT)}, {"x": {"c": 1}}, {"x": {}}),
        (of(a={"type": "object"}), {"a": {"b": 1}}, {"a": {}}),
        (of(a={"x-kubernetes-preserve-unknown-fields": True}), {"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 1}]}}),
        (
            of(a={**of(b=of(c=TEXT)), "x-kubernetes-preserve-unknown-fields": True}),
            {"a": {"b": {"d": 1}, "e": 1}},
            {"a": {"b": {}, "e": 1}},
        ),
        (
            of(a={**of(spec=of(b=TEXT)), "x-kubernetes-embedded-resource": True}),
            {"a": {"kind": "Pod", "metadata": {"labels": {"x": "y"}}, "more": 1, "spec": {"c": 1}}},
            {"a": {"kind": "Pod", "metadata": {"labels": {"x": "y"}}, "spec": {}}},
        ),
    ],
)
def test_defaults_and_unknown_fields(schema: dict[str, Any], value: Any, wanted: Any) -> None:
    """Filled in where the schema says so, also in lists and maps and below defaults; dropped where nobody said so."""
    before = repr(value)
    assert kept(value, schema) == wanted
    assert repr(value) == before, "what enters is left alone"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}, []),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, ["+ a[0].c: 2"]),
        ({"a": {"b": 1}}, {"a": {}}, ["- a.b: 1"]),
        ({"a": 1}, {"a": True}, ["! a: 1 -> True"]),
        ({"a": [1]}, {"a": [1, 2]}, ["! a: [1] -> [1, 2]"]),
    ],
)
def test_differences(before: Any, after: Any, said: list[str]) -> None:
    """Each by its path and what it is."""
    assert differences(before, after) == said
