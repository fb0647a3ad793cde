"""The files by which others learn where an instance listens: a name's folder for the proxy, one file for Prometheus.

The proxy looks for `upstreams/NAME/8123` at each request: NAME is a link to the folder of the instance that serves, and
in that is one empty file, whose name is the port. The link is replaced by a rename, so that every request finds one
instance or the other; the folder of the other one stays until that starts anew. Prometheus' file is replaced whole.
Neither reader has to be told
(https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config).
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from blumeops.base.files import cannot_write, write_whole
from blumeops.engines.local.folders import SLOTS, Folders
from blumeops.engines.local.record import Instance


def tell(folders: Folders, at: Instance) -> None:
    """Let the next request, and the next scrape, go to this instance. Raises EngineError `BLU903`."""
    wrong, name, targets = differing(folders, at), _name(folders, at), _targets(folders, at.unit.unit)
    if targets in wrong:
        write_whole(targets, _groups(at))
    if at.unit.metrics is None:
        targets.unlink(missing_ok=True)
    if name in wrong:
        _lead(folders, at, name)
    if name is None or name in wrong:  # it had another name, perhaps
        _forget_names(folders, at.unit.unit, name)


def differing(folders: Folders, at: Instance) -> list[Path]:
    """Those files that do not say that it is this instance."""
    name, targets = _name(folders, at), _targets(folders, at.unit.unit)
    found = [name] if name and not _leads(folders, at, name) else []
    if at.unit.metrics and at.unit.metrics.port in at.ports and not _says(targets, _groups(at)):
        found.append(targets)
    return found


def number(folders: Folders, label: str) -> int:
    """To which port of this machine the name leads; 0: to none."""
    with suppress(OSError, ValueError):
        return int(min(os.listdir(folders.upstreams / label)))
    return 0


def forget(folders: Folders, unit: str) -> None:
    """Nothing of this unit listens any more."""
    _forget_names(folders, unit, None)
    for slot in SLOTS:
        shutil.rmtree(folders.upstreams / _folder(unit, slot), ignore_errors=True)
    _targets(folders, unit).unlink(missing_ok=True)


def _name(folders: Folders, at: Instance) -> Path | None:
    """The link for the proxy; None: there is no way to it."""
    route = at.unit.route
    return folders.upstreams / route.label if route and route.port in at.ports else None


def _folder(unit: str, slot: str) -> str:
    return f".{unit}.{slot}"  # no name of the proxy begins so


def _leads(folders: Folders, at: Instance, name: Path) -> bool:
    with suppress(OSError):
        leads = str(name.readlink()) == _folder(at.unit.unit, at.slot)
        return leads and number(folders, name.name) == _wanted(at) and len(os.listdir(name)) == 1
    return False


def _wanted(at: Instance) -> int:
    assert at.unit.route
    return at.ports[at.unit.route.port]


def _lead(folders: Folders, at: Instance, name: Path) -> None:
    inside, new = _folder(at.unit.unit, at.slot), name.with_name(f".new.{name.name}")
    folder, file = folders.upstreams / inside, str(_wanted(at))
    try:
        folders.for_service(folder)
        (folder / file).touch()
        for stray in folder.iterdir():
            if stray.name != file:
                stray.unlink()
        new.unlink(missing_ok=True)
        new.symlink_to(inside)
        if name.is_dir() and not name.is_symlink():  # by hand: nothing can be renamed over it
            shutil.rmtree(name)
        new.replace(name)
    except OSError as error:
        raise cannot_write(name, error) from error


def _forget_names(folders: Folders, unit: str, but: Path | None) -> None:
    """Take away the names that lead to this unit. One that leads to another by now is that one's."""
    ours = {_folder(unit, slot) for slot in SLOTS}
    for path in folders.upstreams.iterdir():
        if path != but and path.is_symlink() and str(path.readlink()) in ours:
            path.unlink()


def _says(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def _groups(at: Instance) -> str:
    unit = at.unit
    assert unit.metrics
    labels = {"service": unit.unit, **unit.metrics.labels, "__metrics_path__": unit.metrics.path}
    return json.dumps([{"targets": [f"127.0.0.1:{at.ports[unit.metrics.port]}"], "labels": labels}]) + "\n"


def _targets(folders: Folders, unit: str) -> Path:
    return folders.targets / f"{unit}.json"
