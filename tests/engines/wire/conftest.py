"""The example lab on the wire, once for all tests that look at it."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from blumeops.checks.check import CheckedLab, check_folder
from tests.engines.caddy.built import caddy

from .namespaces import missing
from .probe import FILES, Call, Outcome
from .wire import Wire, wire

LABS = Path(__file__).parents[3] / "labs"


@dataclass(frozen=True)
class Seen:
    """A lab on the wire, and what was seen there: what became of each call, and by source who answered."""

    wire: Wire
    packets: Mapping[Call, Outcome]
    answers: Mapping[str, Mapping[tuple[str, int], str]]


@contextmanager
def seen(checked: CheckedLab) -> Iterator[Seen]:
    """Bring it up, call everything, and take it down after the tests."""
    if reason := refused():
        pytest.skip(reason)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FILES:
        pytest.skip(f"needs {FILES} open files: ulimit -Hn is {hard}")
    program = caddy()
    folder = Path(tempfile.mkdtemp(prefix="bw-", dir="/tmp"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
        with wire(checked, folder, program) as found:
            packets = found.scan()
            yield Seen(found, packets, found.ask(packets))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        shutil.rmtree(folder)


@cache
def refused() -> str:
    """Why nothing of this can be tried here."""
    return missing()


@pytest.fixture(scope="module")
def example(own_place: Path) -> Iterator[Seen]:
    """labs/blumeops."""
    checked = check_folder(LABS / "blumeops")
    assert checked.passed
    with seen(checked.passed) as found:
        yield found
