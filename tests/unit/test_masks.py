"""Secrets are taken out of what is copied, in whatever form programs print them."""

from __future__ import annotations

import base64
import string

import pytest

from blumeops.secrets.masks import MASK, Masks
from tests.leaks import forms
from tests.unit.test_leaks import FORMS

VALUES = {
    "generated": "x7Gq2LmZ0pRw9TtYb4Kd",
    "quotes": "pa'ss\"w\\ord $HOME `x` %s &<b> ä\ttab",
    "lines": "-----BEGIN KEY-----\nfirst-line+of/it\nsecond/line+of=it\n-----END KEY-----\n",
    "base64": base64.b64encode(bytes(range(200, 240))).decode(),
    "short": "s3cr3t+/",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", VALUES)
def test_no_form_is_left(name: str, form: str) -> None:
    """Between other words, which stay."""
    masks = Masks()
    masks.add(VALUES[name])
    shown = masks.mask(f"before {FORMS[form](VALUES[name])} after")
    assert MASK in shown
    assert not [each for each in forms(VALUES[name]) if each in shown.encode()]
    assert VALUES[name].splitlines()[0] not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


def test_a_header_shows_nothing_of_the_password() -> None:
    """Not even by the characters of base64 that it shares with the name before it."""
    masks = Masks()
    masks.add(VALUES["generated"])
    header = base64.b64encode(f"user:{VALUES['generated']}".encode()).decode()
    assert masks.mask(f"Authorization: Basic {header}\n") == f"Authorization: Basic {MASK}\n"


def test_the_longest_goes_first() -> None:
    """A value within another one leaves nothing of that; an empty one changes nothing."""
    masks = Masks()
    for value in ("", "word-word", "word-word-word"):
        masks.add(value)
    assert masks.mask("word-word-word word-word word") == f"{MASK} {MASK} word"


def test_what_is_no_secret_stays() -> None:
    """Short lines and words of a value are in every text."""
    masks = Masks()
    for value in VALUES.values():
        masks.add(value)
    text = f"{string.ascii_letters} }} --- BEGIN KEY and END of first line, dXNlcjpub3RoaW5n 0123456789abcdef"
    assert masks.mask(text) == text
