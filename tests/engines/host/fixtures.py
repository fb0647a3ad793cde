"""Hosts as fixtures: `linux_host`, shared by a module's tests, and `fresh_host`, for a test that changes its host.

A conftest takes them by name: `from tests.engines.host.fixtures import fresh_host, linux_host`. A module whose
tests use one says `pytestmark = fixtures.MARKS`. For a host with a role already applied, shared by tests that look
at it, wrap `TestHost` in a fixture of wider scope, after `skip_without_means()`: what a single test starts on
a shared host is taken for something that the test left behind.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .machine import TestHost
from .programs import obstacle

MARKS = [pytest.mark.host, pytest.mark.timeout(600)]
"""For tests on hosts. The first of them makes the image, which may take minutes."""


@pytest.fixture(scope="module")
def linux_host() -> Iterator[TestHost]:
    """A Debian host with systemd and sshd, shared by the tests of a module."""
    skip_without_means()
    with TestHost() as host:
        yield host


@pytest.fixture
def fresh_host() -> Iterator[TestHost]:
    """A Debian host that nobody has touched, for one test."""
    skip_without_means()
    with TestHost("fresh") as host:
        yield host


def skip_without_means() -> None:
    """Skip the test, with the reason, where no host can be made: without root, not on Linux, without the tools."""
    if reason := obstacle():
        pytest.skip(reason)
