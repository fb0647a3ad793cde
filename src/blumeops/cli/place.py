"""Which lab and which site a command is about: from its arguments and the folder that it is called in."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blumeops.base.errors import UserError
from blumeops.lab.files import find_lab
from blumeops.lab.yaml import read

if TYPE_CHECKING:
    from blumeops.base.site import SiteFolder


@dataclass(frozen=True, slots=True)
class Place:
    """`lab`: its name; `folder`: where it is described, if that is known; `site`: its state."""

    lab: str
    folder: Path | None
    site: SiteFolder


def lab_folder(arguments: argparse.Namespace) -> Path:
    """The folder named by --lab, or the nearest one with a lab.yaml. Raises UserError `BLU005`."""
    if arguments.lab and not (arguments.lab / "lab.yaml").is_file():
        raise UserError("BLU005", str(arguments.lab), "is no lab: there is no lab.yaml in it")
    return find_lab(arguments.lab or Path.cwd())


def place(arguments: argparse.Namespace) -> Place:
    """The site of the lab; with --state alone, the lab whose state that is."""
    from blumeops.base.site import SiteFolder, default_state  # most commands are about the description alone

    if arguments.state and not arguments.lab:
        site = SiteFolder(arguments.state.absolute())
        if site.lab_name.is_file():
            name = site.lab_name.read_text().strip()
            return Place(name, _folder_here(name), site)
    folder = lab_folder(arguments)
    name = _name(folder)
    return Place(name, folder, SiteFolder((arguments.state or default_state(name)).absolute()))


def _folder_here(lab: str) -> Path | None:
    """The folder that we are in, if it describes that lab."""
    try:
        folder = find_lab(Path.cwd())
        return folder if _name(folder) == lab else None
    except (UserError, OSError):
        return None


def _name(folder: Path) -> str:
    data = read((folder / "lab.yaml").read_bytes(), "lab.yaml").data
    name = data.get("lab") if isinstance(data, dict) else None
    if not isinstance(name, str) or not re.fullmatch("[a-z][a-z0-9-]*", name):
        raise UserError("BLU102", str(folder / "lab.yaml"), "does not name the lab", "write `lab: NAME`")
    return name
