"""Who reaches what of the revision that is being applied, kept for whoever asks for the status."""

from __future__ import annotations

import logging
from pathlib import Path

from blumeops.base.errors import BlumeError
from blumeops.facts.access.audience import audiences
from blumeops.loop.revision import Revision
from blumeops.status import audience

log = logging.getLogger(__name__)


def keep(state: Path, revision: Revision) -> None:
    """Write it below the state folder. Nothing that runs needs it: what cannot be written is only told in the log."""
    assert revision.checked is not None
    try:
        audience.write(state, audiences(revision.checked.access))
    except BlumeError as error:
        log.warning("%s", error)
