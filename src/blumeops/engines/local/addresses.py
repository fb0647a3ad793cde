"""The files by which others learn where an instance listens: one a port for the proxy, one for Prometheus.

Each is replaced whole when another instance takes over; neither reader has to be told
(https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config).
"""

from __future__ import annotations

import json
from pathlib import Path

from blumeops.base.files import write_whole
from blumeops.engines.local.folders import Folders
from blumeops.engines.local.record import Instance


def tell(folders: Folders, at: Instance) -> None:
    """Let the next request, and the next scrape, go to this instance."""
    for path in differing(folders, at):
        write_whole(path, _wanted(folders, at)[path])
    if at.unit.metrics is None:
        _targets(folders, at.unit.unit).unlink(missing_ok=True)


def differing(folders: Folders, at: Instance) -> list[Path]:
    """Those files that do not say that it is this instance."""
    return [path for path, text in _wanted(folders, at).items() if not path.exists() or path.read_text() != text]


def forget(folders: Folders, unit: str) -> None:
    """Nothing of this unit listens any more."""
    for file in (*folders.upstreams.glob(f"{unit}.*"), _targets(folders, unit)):
        file.unlink(missing_ok=True)


def _wanted(folders: Folders, at: Instance) -> dict[Path, str]:
    unit = at.unit
    found = {folders.upstreams / f"{unit.unit}.{name}": f"127.0.0.1:{number}" for name, number in at.ports.items()}
    if unit.metrics and unit.metrics.port in at.ports:
        labels = {"service": unit.unit, **unit.metrics.labels, "__metrics_path__": unit.metrics.path}
        group = {"targets": [f"127.0.0.1:{at.ports[unit.metrics.port]}"], "labels": labels}
        found[_targets(folders, unit.unit)] = json.dumps([group]) + "\n"
    return found


def _targets(folders: Folders, unit: str) -> Path:
    return folders.targets / f"{unit}.json"
