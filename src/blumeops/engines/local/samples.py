"""What an empty state folder begins with, so that a new service has something to show: files of the catalogue.

Once, before the first start; what a person puts there, or takes away later, is never touched.
"""

from __future__ import annotations

from pathlib import Path

from blumeops.base.files import PRIVATE, write_whole
from blumeops.engines.local.folders import Folders
from blumeops.lab.files import CATALOGUE
from blumeops.render.local_unit import LocalUnit


def put(folders: Folders, unit: LocalUnit) -> None:
    """Copy each sample into its folder, if that is empty. Raises EngineError `BLU903`."""
    for name, file in unit.samples.items():
        folder = folders.data(unit.unit, name)
        if not any(folder.iterdir()):
            source = CATALOGUE / file
            write_whole(folder / Path(file).name, source.read_bytes(), PRIVATE, folders.owner)
