"""What is known of the remote that a lab follows: a small file in the state folder, written whole.

The controller writes it; `status` reads it, also when no controller runs. A file that is missing or damaged is an empty
record: all of it is seen again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from blumeops.base.files import PRIVATE, write_whole

FILE = "remote.json"


@dataclass(frozen=True, slots=True)
class Followed:
    """Times are seconds since 1970, 0 for never. Revisions are empty where there is none."""

    url: str = ""
    """Empty: nothing is followed."""
    branch: str = ""
    token: str = ""
    """The reference of its token."""
    seen: str = ""
    """What the branch was at when it was asked last; empty until it answers for the first time."""
    looked: float = 0.0
    problem: str = ""
    """Why it cannot be followed now."""
    since: float = 0.0
    """Since when there is the problem."""
    refused: str = ""
    """The revision of the branch that was not let in."""
    findings: tuple[str, ...] = ()
    """Why."""
    note: str = ""
    """What a person should know of the revision that was taken last."""
    reported: tuple[str, ...] = ()
    """The commit statuses that were posted last, newest last, one a revision: REVISION STATE."""


def read(folder: Path) -> Followed:
    """The record below the state folder `folder`."""
    try:
        found = json.loads((folder / FILE).read_text())
        kinds = {field.name: field for field in fields(Followed)}
        known = {name: value for name, value in found.items() if name in kinds}
        lists = {name: tuple(map(str, known.get(name, ()))) for name in ("findings", "reported")}
        return Followed(**{**known, **lists})
    except (OSError, ValueError, TypeError, AttributeError):
        return Followed()


def write(folder: Path, record: Followed) -> None:
    """Keep the record. Raises EngineError `BLU903`."""
    write_whole(folder / FILE, json.dumps(asdict(record), indent=2) + "\n", PRIVATE)


def as_json(record: Followed) -> Mapping[str, object] | None:
    """The object `remote` of `status --json`; None where nothing is followed."""
    if not record.url:
        return None
    names = ("url", "branch", "seen", "looked", "problem", "since", "refused", "findings", "note")
    found = {name: getattr(record, name) for name in names}
    times = {name: _time(found[name]) for name in ("looked", "since")}
    return {**found, **times, "findings": list(record.findings)}


def in_words(record: Followed, now: float) -> list[str]:
    """Lines for a person: what is followed, and what is wrong with it; none where nothing is followed."""
    if not record.url:
        return []
    where = f"follows {record.url}, branch {record.branch}"
    if record.problem:
        return [f"{where}: since {ago(now - record.since)}: {record.problem}"]
    if record.refused:
        return [
            f"{where}: {record.refused[:8]} is refused, and not applied:",
            *(f"  {each}" for each in record.findings),
        ]
    note = [f"  note: {record.note}"] if record.note else []
    return [f"{where}: at {record.seen[:8]}, looked {ago(now - record.looked)} ago", *note]


def ago(seconds: float) -> str:
    """A length of time in one number and one unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _time(seconds: float) -> str | None:
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
