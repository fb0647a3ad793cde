"""Two small programs in Go (`readers/`): Alloy's own parser, and Grafana's own model of a dashboard."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).parent / "readers"


@cache
def _built() -> Path:
    """The folder of both; Go's own cache makes the second build a matter of a second."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: the readers cannot be built")
    folder = Path(os.environ["BLUMEOPS_TEST_CACHE"]) / "readers"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", f"{folder}/", "./..."]
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(command, cwd=MODULE, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def read_dashboards(files: Sequence[Path]) -> list[str]:
    """What is wrong with these dashboards, a line each."""
    done = subprocess.run([_built() / "grafana", *files], capture_output=True, text=True, check=False)
    assert bool(done.returncode) is bool(done.stderr)
    return done.stderr.splitlines()


def read_alloy(file: Path) -> Any:
    """The blocks of a configuration, and how `alloy fmt` would write it. Raises ValueError with what it says."""
    done = subprocess.run([_built() / "alloy", file], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr)
    (found,) = json.loads(done.stdout)
    return found
