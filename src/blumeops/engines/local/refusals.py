"""Whether a form that was refused would be refused again: the same form, given the same secrets and addresses.

What is given is kept as a keyed digest only, so a record tells a change of it and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from blumeops.base.errors import BlumeError
from blumeops.engines.local import instance
from blumeops.engines.local.record import Refusal, digest_of
from blumeops.engines.local.resolve import addresses_of, references_of
from blumeops.render.local_unit import LocalUnit

if TYPE_CHECKING:
    from blumeops.engines.local.change import Site


def inputs_of(site: Site, unit: LocalUnit) -> str:
    """A keyed digest of the secrets and the addresses that this form gets now; empty when they cannot be told."""
    try:
        values = [[reference, site.secrets(reference)] for reference in sorted(references_of(unit))]
        values += [[f"{other}.{port}", str(_address(site, other, port))] for other, port in sorted(addresses_of(unit))]
        key = instance.stamp_key(site.folders.state)
    except (BlumeError, LookupError):
        return ""
    return hashlib.blake2b(json.dumps(values).encode(), key=key, digest_size=16).hexdigest()


def still_refused(site: Site, unit: LocalUnit, refusal: Refusal | None) -> bool:
    """Whether the refusal is of this very form, and it would be given the very same now."""
    return refusal is not None and refusal.digest == digest_of(unit) and refusal.inputs == inputs_of(site, unit)


def _address(site: Site, unit: str, port: str) -> int:
    try:
        return site.port_of(unit, port)
    except BlumeError:
        return 0
