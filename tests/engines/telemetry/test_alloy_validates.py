"""Alloy's own validator takes every argument of every component that is derived."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.engines.telemetry.test_alloy import LINUX, example, here, in_cluster, on_host
from tests.engines.telemetry.validator import validator
from tests.written import passed

pytestmark = pytest.mark.skipif(
    not validator().exists(), reason="not built yet: python -m tests.engines.telemetry.validator"
)


def said(text: str, folder: Path) -> str:
    """What the validator complains of; nothing when all is well."""
    (folder / "config.alloy").write_text(text)
    done = subprocess.run(
        [validator(), "validate", folder / "config.alloy"], capture_output=True, text=True, check=False
    )
    assert bool(done.returncode) is bool(done.stderr)
    return done.stderr


def test_it_takes_every_configuration(tmp_path: Path) -> None:
    """A Mac's, a Linux host's, a cluster's, and that of site `here`."""
    lab = example()
    linux = passed(tmp_path / "lab", LINUX)
    for text in (on_host(lab), on_host(linux), in_cluster(lab), here(lab)):
        assert said(text, tmp_path) == ""


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("scrape_interval", "scrape_intervall", "unrecognized attribute name"),
        ('"30s"', '"soon"', "duration"),
        ("loki.write.lab.receiver", "loki.write.lap.receiver", "does not exist"),
        ('prometheus.exporter.unix "', 'prometheus.exporter.unicks "', "cannot find the definition"),
    ],
)
def test_it_refuses_what_alloy_does_not_have(before: str, after: str, complaint: str, tmp_path: Path) -> None:
    """A misspelt argument, a value of another type, a component that is not there or that Alloy does not know."""
    assert complaint in said(on_host(example()).replace(before, after), tmp_path)
