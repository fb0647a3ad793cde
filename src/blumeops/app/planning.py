"""What `plan` asks of a site beside what runs there: which secrets have another value than those that are applied."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from blumeops.base.site import SiteFolder
from blumeops.forge.repository import Repository
from blumeops.loop.admission import rotated
from blumeops.loop.revision import Revision
from blumeops.render.local_unit import LocalUnit
from blumeops.secrets import sops
from blumeops.secrets.age import find_key
from blumeops.secrets.stores import Stores
from blumeops.status import records
from blumeops.status.database import read_database


def new_secrets(
    folder: SiteFolder, lab: str, units: Mapping[str, LocalUnit], secrets: bytes | None, age_key: Path | None
) -> dict[str, list[str]]:
    """By unit, the references whose value in the SOPS file `secrets` differs from that at the revision that is applied.

    Nothing where the site was never up, or the files are the same. Raises UserError `BLU502`, `BLU503`, `BLU504`.
    """
    database = read_database(folder.path)
    applied = records.site(database).revision if database else ""
    repository = Repository(folder.repository / f"{lab}.git")
    if secrets is None or not applied or not repository.has(applied):
        return {}
    before = repository.content(applied, sops.NAME)
    if before is None or before == secrets:
        return {}
    key = find_key(age_key, os.environ, folder.age_key, create=False)
    return rotated(
        Revision(applied, (), None, {}, before), Revision("", (), None, units, secrets), Stores(key, folder.path)
    )
