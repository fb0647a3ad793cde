"""What services that are gone have left at a site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from blumeops.app.running import folders_of
from blumeops.base.site import SiteFolder
from blumeops.engines.local import remains

if TYPE_CHECKING:
    from blumeops.engines.local.kept import Kept


def kept(folder: SiteFolder) -> Mapping[str, Kept]:
    """By service; nothing where the site was never up."""
    if not remains.of_gone_units(folders_of(folder).state):
        return {}
    from blumeops.app.site import engine_of  # `status` asks each time, and there seldom is anything
    from blumeops.loop.sync import no_secrets

    return engine_of(folder)(no_secrets).kept()
