"""Alloy's own validator, built once from its source with the components that our configurations name.

`alloy validate` of the whole program would do the same, but takes far longer to build, and needs modules that not every
proxy has. So four files that only other components need are left out. `python -m tests.engines.telemetry.validator`
builds it (half an hour on two busy cores, cold); the tests that want it say so where it is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "validator"
ALLOY = "github.com/grafana/alloy@v1.18.1"
LEFT_OUT = (
    "internal/util/otel_feature_gate.go",
    "internal/component/otelcol/config_controller.go",
    "internal/component/otelcol/config_scrape.go",
    "internal/component/otelcol/config_stanza_receivers.go",
)
PYROSCOPE = re.compile(r'\n\t"[^"]*/component/pyroscope"|\n\tpyroscopeAppendableType := .*|, pyroscopeAppendableType')
LOADER = "internal/runtime/internal/controller/loader.go"
EDITS = (
    "-dropreplace=github.com/grafana/alloy/syntax",  # it points to a folder that a module does not have
    "-replace=github.com/prometheus/common=github.com/prometheus/common@v0.67.5",
)


def validator() -> Path:
    """Where it is, once built."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = os.environ.get("BLUMEOPS_TEST_CACHE") or Path(caches) / "blumeops-tests"
    parts = [ALLOY, *LEFT_OUT, *EDITS, *(path.read_text() for path in sorted(HERE.iterdir()))]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return Path(cache) / "validator" / digest / "alloy-validate"


def build() -> None:
    """Build it from a copy of the module. Raises CalledProcessError with Go's words."""
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    with tempfile.TemporaryDirectory() as folder:
        got = subprocess.run(["go", "mod", "download", "-json", ALLOY], env=env, capture_output=True, check=True)
        source = Path(folder) / "alloy"
        shutil.copytree(json.loads(got.stdout)["Dir"], source, copy_function=shutil.copyfile)
        for path in (source, *source.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        for name in LEFT_OUT:
            (source / name).unlink()
        loader = (source / LOADER).read_text()
        loader = re.sub(
            r'\n\t"[^"]*/component/pyroscope"|\n\tpyroscopeAppendableType := .*|, pyroscopeA\w+', "", loader
        )
        (source / LOADER).write_text(loader)
        (source / "internal/component/all/all.go").write_text((HERE / "all.go.txt").read_text())
        (source / "validate").mkdir()
        (source / "validate" / "main.go").write_text((HERE / "main.go.txt").read_text())
        subprocess.run(["go", "mod", "edit", *EDITS], cwd=source, env=env, check=True)
        part = validator().with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        command = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", str(part), "./validate"]
        subprocess.run(command, cwd=source, env=env, check=True)
        part.rename(validator())


if __name__ == "__main__":
    build()
