"""What `secret set` takes for a value: from a pipe, a terminal, or nobody."""

from __future__ import annotations

import getpass
import io
import sys

import pytest

from blumeops.base.errors import UserError
from blumeops.cli.secret import _value
from blumeops.secrets.references import Reference

REFERENCE = Reference.parse("op://lab/thing/key")


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """This comes on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"word", "word"),
        (b"word\n", "word"),
        (b"word\r\n", "word"),
        (b"word\n\n", "word\n\n"),
        (b"-----BEGIN\nkey\n-----END\n", "-----BEGIN\nkey\n-----END\n"),
        (b"two\nlines", "two\nlines"),
    ],
)
def test_a_line_is_given_without_its_end(monkeypatch: pytest.MonkeyPatch, data: bytes, value: str) -> None:
    """A text of several lines stays as it is: a private key without its last end of line is read by no program."""
    piped(monkeypatch, data)
    assert _value(REFERENCE) == value


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff", b"x" * 70_000])
def test_what_is_no_value_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Nothing, what is no text, too much: and none of it is repeated."""
    piped(monkeypatch, data)
    with pytest.raises(UserError, match="BLU519"):
        _value(REFERENCE)


def test_nobody_gives_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is closed; at a terminal somebody presses Ctrl-D, or Enter alone."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match="no value came"):
        _value(REFERENCE)
    piped(monkeypatch, b"")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)

    def leaves(*_: object) -> str:
        raise EOFError

    for act in (leaves, lambda *_: ""):
        monkeypatch.setattr(getpass, "getpass", act)
        with pytest.raises(UserError, match="no value came"):
            _value(REFERENCE)
    monkeypatch.setattr(getpass, "getpass", lambda *_: "typed")
    assert _value(REFERENCE) == "typed"
