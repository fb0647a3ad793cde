"""A lab's own dashboards: what is passed on, and what is refused in a bounded way."""

from __future__ import annotations

import json

import pytest

from blumeops.lab.dashboards import read


def test_a_dashboard_is_passed_on() -> None:
    """Nothing of it changes, and it is ASCII: no reader can take it otherwise."""
    saved = {"title": "Tea", "odd": ["\u2028", "\ud800", "é", 1e3, None]}
    text = read(json.dumps(saved).encode())
    assert text.isascii()
    assert json.loads(text) == saved


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"title": "Tea"', "not JSON"),
        (b'\xff{"title": "Tea"}', "not JSON"),
        (b'{"title": 1}', "no title"),
        (b"[]", "no title"),
    ],
)
def test_what_is_none_is_refused(text: bytes, why: str) -> None:
    """In a word, whatever it is: a bomb, half a file, other bytes, another document."""
    with pytest.raises(ValueError, match=why):
        read(text)
