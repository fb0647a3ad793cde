"""Numbers of ports for servers of the tests."""

from __future__ import annotations

import os
import random
from itertools import chain

from blumeops.engines.local.ports import RANGE, is_free

FIRST, EACH, WORKERS = 13000, 800, 8
"""Below what the kernel gives to connections and our engine to services: what is free stays free until its server
starts. Each worker of a run has numbers of its own."""
BESIDE = 200
"""At the end of a worker's numbers, for previews of labs: they stand some way above the lab's own."""

_given: set[int] = set()


def free_port() -> int:
    """One of 127.0.0.1 on which nobody listens, by TCP or UDP, and which no test of this run was given yet."""
    first = FIRST + _worker() * EACH
    end = first + EACH - BESIDE
    begin = random.randrange(first, end)  # another run may be going on
    for number in chain(range(begin, end), range(first, begin)):
        if number not in _given and is_free(number) and is_free(number, "udp"):
            _given.add(number)
            return number
    raise AssertionError(f"no port is free from {first} to {end}")


def for_services() -> str:
    """Of our engine's range, those of this worker's labs: `BLUMEOPS_PORTS`."""
    each = (RANGE[1] - RANGE[0]) // WORKERS
    first = RANGE[0] + _worker() * each
    return f"{first}-{first + each - 1}"


def _worker() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
