"""Durations and sizes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.lab.quantities import seconds, size, size_text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("30s", 30),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("2d", 172800),
        ("1w", 604800),
        ("0s", 0),
        ("1s100ms", 1.1),
        ("1m1m", 120),
    ],
)
def test_durations(text: str, wanted: float) -> None:
    """Numbers with units, added up."""
    assert seconds(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-1s", "1.5h", "1 h", "1H", "٣s", "1s\n", "9999999999s", "1s" * 40, 30, True, None, ["1s"]]
)
def test_what_is_no_duration(text: Any) -> None:
    """A number without a unit is not guessed at, other digits and huge numbers are refused, in one short line."""
    with pytest.raises(ValueError, match="is no duration") as error:
        seconds(text)
    assert len(str(error.value)) < 160


@pytest.mark.parametrize(
    ("text", "wanted"), [("128Mi", 2**27), ("2G", 2 * 10**9), ("1k", 1000), ("1Ti", 2**40), ("7", 7), (7, 7)]
)
def test_sizes(text: Any, wanted: int) -> None:
    """Kubernetes' units, and plain numbers of bytes."""
    assert size(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "Mi", "1MB", "1.5Gi", "-1Mi", "٣Mi", "0Mi", 0, -1, True, 1.5, None, 10**40, "9" * 5000, "1Mi\n"]
)
def test_what_is_no_size(text: Any) -> None:
    """Nothing, less than nothing, more than any machine has, and other units."""
    with pytest.raises(ValueError, match="is no size") as error:
        size(text)
    assert len(str(error.value)) < 160


@given(st.integers(1, 2**60))
def test_a_size_is_read_back_as_written(amount: int) -> None:
    """The text of a size has the same number of bytes."""
    assert size(size_text(amount)) == amount


@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "m", "h"]))
def test_a_duration_is_exact_to_the_millisecond(number: int, unit: str) -> None:
    """No sum of binary fractions creeps in: whole minutes stay whole."""
    factor = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[unit]
    assert seconds(f"{number}{unit}") * 1000 == pytest.approx(number * factor, abs=1e-6)
    assert seconds(f"{number}m") % 60 == 0
