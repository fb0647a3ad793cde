"""Prometheus and promtool from Debian's archive, as the lab itself gets them."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from blumeops.engines.local.programs import Program, Programs, cache_folder
from blumeops.render.local_unit import Source

PROMETHEUS = Source(kind="deb", name="prometheus", suite="bookworm", version="2.42.0")


@cache
def prometheus() -> Program:
    """The folder of both programs."""
    if not shutil.which("apt-get"):
        pytest.skip("Prometheus comes from Debian's archive")
    return Programs(cache_folder()).obtain([PROMETHEUS], "2.42.0", lambda line: None)


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    command = [str(Path(prometheus().folder) / "promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
