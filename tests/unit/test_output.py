"""What is printed, and how wide."""

from __future__ import annotations

import io
import sys
import time

import pytest

from blumeops.cli import output
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


LINES = ("tool: downloading", "tool: 10 % of 9.0 MB\r", "tool: 20 % of 9.0 MB\r", "tool: unpacking")


def test_a_line_that_passes_is_written_over_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so the terminal keeps the lines that stay."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    for line in LINES:
        output.progress(line)
    clear = "\r\x1b[2K"
    assert isinstance(sys.stderr, Terminal)
    assert sys.stderr.getvalue() == (
        f"tool: downloading\n{clear}tool: 10 % of 9.0 MB{clear}tool: 20 % of 9.0 MB{clear}tool: unpacking\n"
    )


def test_a_line_that_passes_is_seldom_told_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first, and then not before ten seconds are over; without a sign that a terminal would obey."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(output, "_passing", output._Passing())
    for line in LINES:
        output.progress(line)
    now[0] += 11
    output.progress("tool: 99 % of 9.0 MB\r")
    said = capsys.readouterr().err
    assert said.splitlines() == ["tool: downloading", "tool: 10 % of 9.0 MB", "tool: unpacking", "tool: 99 % of 9.0 MB"]
    assert "\r" not in said
