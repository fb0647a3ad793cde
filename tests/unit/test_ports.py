"""The numbers that services get."""

from __future__ import annotations

import pytest

from blumeops.base.errors import EngineError
from blumeops.engines.local import ports


def test_services_get_the_numbers_that_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends are among them; when all are had there is an error that names them."""
    monkeypatch.setenv("BLUMEOPS_PORTS", "12990-12992")
    monkeypatch.setattr(ports, "is_free", lambda number, protocol="tcp": True)
    had: set[int] = set()
    for _ in range(3):
        had.add(ports.choose((), had, ()))
    assert had == {12990, 12991, 12992}
    with pytest.raises(EngineError, match="none is free from 12990 to 12992"):
        ports.choose((), had, ())


def test_a_number_that_a_unit_had_stays_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is offered to new ones."""
    monkeypatch.setenv("BLUMEOPS_PORTS", "12990-12992")
    monkeypatch.setattr(ports, "is_free", lambda number, protocol="tcp": True)
    assert ports.choose((20007,), (), ()) == 20007


@pytest.mark.parametrize(
    "said", ["20000", "30000-20000", "80-90", "20000-70000", "a-b", "20000-30000 ", "-", "²000-3000"]
)
def test_what_is_no_range_is_said(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an example."""
    monkeypatch.setenv("BLUMEOPS_PORTS", said)
    with pytest.raises(EngineError, match=r"BLUMEOPS_PORTS: .* is no range of ports") as caught:
        ports.offered()
    assert (caught.value.code, caught.value.hint) == ("BLU704", "for example 20000-31999")


def test_without_a_word_it_is_the_usual_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below what kernels give to connections."""
    monkeypatch.delenv("BLUMEOPS_PORTS", raising=False)
    assert (ports.offered()[0], ports.offered()[-1]) == (20000, 31999)
