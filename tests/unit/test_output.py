"""What is printed, and how wide."""

from __future__ import annotations

import io

import pytest

from blumeops.cli.output import fit


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self) -> bool:
        """It does."""
        return True


def test_a_long_line_is_cut_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """To its very width, with a sign that there is more; a file or a pipe gets all of it."""
    monkeypatch.setenv("COLUMNS", "20")
    line = "miniflux  running  healthy"
    assert fit(line, io.StringIO()) == line
    assert fit(line, Terminal()) == "miniflux  running  …"
    assert fit(line[:20], Terminal()) == line[:20]
