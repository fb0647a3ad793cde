"""Consent to what a push opens: when it is asked for, what gives it, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from blumeops.base.findings import Finding
from blumeops.checks.check import CheckedLab
from blumeops.plan.consent import names_opened, refusal
from tests.unit.test_exposure import GRAFANA, LAB, SERVICES, made

ASKS = LAB.replace("lab: l\n", "lab: l\ngitops: {exposure: refuse}\n")
OPEN = SERVICES.replace(GRAFANA, "grafana: {cluster: pods, allow: [members]}\nkiwix: {host: box}")


def labs(folder: Path, old: tuple[str, str], new: tuple[str, str]) -> tuple[CheckedLab, CheckedLab]:
    """Two labs, by the texts of lab.yaml and of their services."""
    for name in ("a", "b"):
        (folder / name).mkdir()
    return made(folder / "a", *old), made(folder / "b", *new)


def test_what_is_opened_needs_to_be_named(tmp_path: Path) -> None:
    """The finding stands at the rule, names what is opened, and says the line that is missing."""
    before, after = labs(tmp_path, (ASKS, SERVICES), (ASKS, OPEN))
    assert names_opened(before, after) == ("grafana", "kiwix")
    found = refusal(before, after, [])
    assert isinstance(found, Finding)
    assert str(found) == (
        "lab.yaml:2:20: BLU641 exposure: somebody can now reach grafana, kiwix, and no commit of this push says so; "
        "if it is meant, end the message of a commit with the line `Exposure: grafana, kiwix`"
    )


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (["grafana, kiwix"], ""),
        (["grafana", "something else", " Kiwix "], ""),
        (["all"], ""),
        (["grafana"], "kiwix"),
        (["accepted"], "grafana, kiwix"),
        ([""], "grafana, kiwix"),
        (["grafan"], "grafana, kiwix"),
    ],
)
def test_every_name_must_be_said(tmp_path: Path, said: list[str], left: str) -> None:
    """In one line or several, of one commit or several; what is not opened may be named too."""
    found = refusal(*labs(tmp_path, (ASKS, SERVICES), (ASKS, OPEN)), said)
    assert (f"reach {left}, and" in found.message) if found else left == ""


def test_closing_needs_no_consent_and_neither_does_a_lab_that_does_not_ask(tmp_path: Path) -> None:
    """The way back, and the same change without the rule."""
    opened, closed = labs(tmp_path, (ASKS, OPEN), (ASKS, SERVICES))
    assert refusal(opened, closed, []) is None
    (tmp_path / "more").mkdir()
    assert refusal(*labs(tmp_path / "more", (LAB, SERVICES), (LAB, OPEN)), []) is None


@pytest.mark.parametrize(("opens", "names"), [(SERVICES, "gitops"), (OPEN, "grafana, kiwix, gitops")])
def test_who_takes_the_rule_away_needs_consent_to_that(tmp_path: Path, opens: str, names: str) -> None:
    """Otherwise one push could do both."""
    before, after = labs(tmp_path, (ASKS, SERVICES), (LAB, opens))
    found = refusal(before, after, [])
    assert found
    assert f"`Exposure: {names}`" in found.hint
    assert refusal(before, after, [names]) is None


def test_the_rule_counts_from_the_push_that_brings_it(tmp_path: Path) -> None:
    """Written and gone past in one push is no rule."""
    before, after = labs(tmp_path, (LAB, SERVICES), (ASKS, OPEN))
    assert refusal(before, after, [])
    (tmp_path / "more").mkdir()
    assert refusal(*labs(tmp_path / "more", (LAB, SERVICES), (ASKS, SERVICES)), []) is None


def test_a_new_admin_is_everything(tmp_path: Path) -> None:
    """Said by that word, whatever there is."""
    admin = ASKS.replace("household@l.org}", "household@l.org, role: admin}")
    before, after = labs(tmp_path, (ASKS, SERVICES), (admin, SERVICES))
    found = refusal(before, after, ["grafana"])
    assert found
    assert "`Exposure: everything`" in found.hint


def test_what_cannot_be_compared_needs_consent_to_all(tmp_path: Path) -> None:
    """The revision before does not pass the checks: names would mean nothing."""
    _, after = labs(tmp_path, (LAB, SERVICES), (ASKS, SERVICES))
    found = refusal(None, after, ["grafana"])
    assert found
    assert "cannot be compared" in found.message
    assert refusal(None, after, ["all"]) is None
