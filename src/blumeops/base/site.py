"""Where a site's state lies, and the names of what is in it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs


@dataclass(frozen=True, slots=True)
class SiteFolder:
    """The state folder of one lab at site `here`."""

    path: Path

    @property
    def repository(self) -> Path:
        """The folder of the forge's bare repository; its name is part of the clone's address."""
        return self.path / "forge"

    @property
    def previews(self) -> Path:
        """The state folders of branches that stand beside the lab."""
        return self.path.with_name(f"{self.path.name}.previews")

    @property
    def work(self) -> Path:
        """Checkouts of revisions while they are looked at."""
        return self.path / "work"

    @property
    def age_key(self) -> Path:
        """The key of the SOPS file, unless another is named."""
        return self.path / "age.key"

    @property
    def controller_log(self) -> Path:
        """What the controller prints."""
        return self.path / "logs" / "controller.log"

    @property
    def lock(self) -> Path:
        """Held by `up` and `down`."""
        return self.path / "lock"

    @property
    def lab_name(self) -> Path:
        """A file with the name of the lab that this state belongs to."""
        return self.path / "lab"


def default_state(lab: str) -> Path:
    """The platform's state folder for a lab: `/var/lib/blumeops/LAB` for root, else the user's own.

    root's is the machine's, since services of root run as another user and must be able to get there.
    """
    if os.geteuid() == 0 and sys.platform != "darwin":
        return Path("/var/lib/blumeops") / lab
    return Path(platformdirs.user_state_dir("blumeops")) / lab
