"""The end of what services that are gone have left at a site."""

from __future__ import annotations

import os
from pathlib import Path

from blumeops.app.site import engine_of, existing_repository
from blumeops.base.site import SiteFolder
from blumeops.engines.local.engine import LocalEngine
from blumeops.loop.revision import read_revision
from blumeops.loop.vault import reader
from blumeops.secrets.age import find_key
from blumeops.secrets.stores import Stores


class Pruner:
    """Deletes what is kept of services that main does not describe. Raises UserError `BLU790` where no site is, and
    what reading main's secrets raises."""

    def __init__(self, folder: SiteFolder, lab: str, age_key: Path | None) -> None:
        repository = existing_repository(folder, lab)
        revision = read_revision(repository, folder.work, repository.resolve("main"))
        key = find_key(age_key, os.environ, folder.age_key, create=False)
        self._engine: LocalEngine = engine_of(folder)(reader(revision, Stores(key, folder.path)))
        # One that was never applied yet may have its data waiting, from before.
        self.kept = {name: each for name, each in self._engine.kept().items() if name not in revision.units}

    def prune(self, service: str) -> None:
        """Delete it for good. Raises EngineError `BLU750`, `BLU751`, Unavailable `BLU709`; it may be called again."""
        self._engine.prune(service)
