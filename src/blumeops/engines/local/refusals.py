"""What is remembered of a failure, and whether a form that was refused would be refused again: the same form,
given the same secrets and addresses.

What is given is kept as a keyed digest only, so a record tells a change of it and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import time

from blumeops.base.errors import BlumeError
from blumeops.engines.local import instance
from blumeops.engines.local.record import Failure, Record, Refusal, digest_of
from blumeops.engines.local.resolve import addresses_of, references_of, shares_of
from blumeops.engines.local.site import Outcome, Site
from blumeops.render.local_unit import LocalUnit


def inputs_of(site: Site, unit: LocalUnit) -> str:
    """A keyed digest of the secrets and the addresses that this form gets now; empty when they cannot be told."""
    try:
        values = [[reference, site.secrets(reference)] for reference in sorted(references_of(unit))]
        values += [[f"{other}.{port}", str(_address(site, other, port))] for other, port in sorted(addresses_of(unit))]
        shares = sorted(shares_of(unit, contained=True))
        values += [[share, str(path)] for share in shares if (path := site.folders.named(share))]
        key = instance.stamp_key(site.folders.state)
    except (BlumeError, LookupError):
        return ""
    return hashlib.blake2b(json.dumps(values).encode(), key=key, digest_size=16).hexdigest()


def still_refused(site: Site, unit: LocalUnit, refusal: Refusal | None) -> bool:
    """Whether the refusal is of this very form, and it would be given the very same now."""
    return refusal is not None and refusal.digest == digest_of(unit) and refusal.inputs == inputs_of(site, unit)


def refusal(site: Site, unit: LocalUnit, why: Failure) -> Refusal:
    """This form, with what it is given now, is not to be tried again."""
    return Refusal(**why.model_dump(), digest=digest_of(unit), inputs=inputs_of(site, unit))


def failed(site: Site, unit: LocalUnit, error: BlumeError) -> Outcome:
    """The outcome of an error, without secrets in it; remembered. That a program cannot be had here is no failure
    where none runs yet. Only that is held against the form: a port that is taken or a disk that is full today may
    be free tomorrow."""
    action = "failed"
    message = site.secrets.mask(error.message)
    error = type(error)(error.code, error.subject, message, error.hint, error.place)
    try:
        record = site.records.read(unit.unit) or Record(wanted=unit)
        why = Failure(reason=message, at=time.time(), code=error.code, hint=error.hint)
        known = record.refused if record.refused and record.refused.digest == digest_of(unit) else None
        if error.code == "BLU701":
            action = "failed" if record.serving else "unavailable"
            known = refusal(site, unit, why)
        site.records.write(record.with_(wanted=unit, refused=known, failed=why))
    except BlumeError:
        pass  # the disk is full, perhaps: the first error is the one to tell
    return Outcome(unit.unit, action, message, error)


def _address(site: Site, unit: str, port: str) -> int:
    try:
        return site.port_of(unit, port)
    except BlumeError:
        return 0
