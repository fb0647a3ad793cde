"""Numbers of ports for servers of the tests."""

from __future__ import annotations

import os
import random
from itertools import chain

from blumeops.engines.local.ports import is_free

FIRST, EACH, WORKERS = 13000, 800, 8
"""Below what the kernel gives to connections and our engine to services: what is free stays free until its server
starts. Each worker of a run has numbers of its own."""

_given: set[int] = set()


def free_port() -> int:
    """One of 127.0.0.1 on which nobody listens, by TCP or UDP, and which no test of this run was given yet."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    first = FIRST + worker * EACH
    begin = random.randrange(first, first + EACH)  # another run may be going on
    for number in chain(range(begin, first + EACH), range(first, begin)):
        if number not in _given and is_free(number) and is_free(number, "udp"):
            _given.add(number)
            return number
    raise AssertionError(f"no port is free from {first} to {first + EACH}")
