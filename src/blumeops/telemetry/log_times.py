"""When a line was printed, by what stands in the line itself: nobody else writes the time down.

In: a line as a program printed it. Out: seconds since 1970, or None. Known are RFC 3339 and its cousins (PostgreSQL's
`2026-11-25 10:00:00.000 UTC`, Go's `2026/11/25 10:00:00`, Python's `10:00:00,123`) at the line's start, the same or a
number of seconds behind logfmt's `time=` and `ts=`, and in a JSON line's `ts` or `time`. A time without a zone is taken
as this machine's, which programs are started with.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

_STAMP = (
    r"(?P<date>\d{4}[-/]\d\d[-/]\d\d)[T ](?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<part>\d{1,9}))?"
    r" ?(?P<zone>(?:Z|UTC|GMT)(?![A-Za-z])|[+-]\d\d(?::?\d\d)?(?!\d))?"
)
_NUMBER = r"(?P<number>\d{9,19}(?:\.\d+)?)(?![\w.-])"
_KEY = r"(?:ts|time|timestamp|@timestamp|t)"
_AT_START = re.compile(r"(?:\x1b\[[0-9;]*m)*[\[(\"]?" + _STAMP)
_LOGFMT = re.compile(rf"(?:^|[^\n]{{0,200}}?\s){_KEY}=\"?(?:{_STAMP}|{_NUMBER})")
_JSON = re.compile(rf"\{{[^\n]{{0,2000}}?\"{_KEY}\"\s*:\s*(?:\"{_STAMP}|{_NUMBER})")


def time_of(line: str) -> float | None:
    """Seconds since 1970 at which the line says that it was printed; None when it does not."""
    found = _JSON.match(line) if line.startswith("{") else _AT_START.match(line) or _LOGFMT.match(line)
    if found is None:
        return None
    parts = found.groupdict()
    with suppress(ValueError, OverflowError, OSError):
        return _seconds(parts["number"]) if parts.get("number") else _stamp(parts)
    return None


def _seconds(number: str) -> float:
    """Seconds; a number that would be thousands of years away is in milli-, micro- or nanoseconds."""
    found = float(number)
    while found > 1e11:
        found /= 1000
    return found


def _stamp(parts: dict[str, str | None]) -> float:
    moment = datetime.strptime(f"{(parts['date'] or '').replace('/', '-')} {parts['clock']}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the zone follows
    zone = parts["zone"]
    if zone and zone[0] in "+-":
        hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
        offset = timedelta(hours=hours, minutes=minutes)
        moment = moment.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset))
    elif zone:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() + float(f"0.{parts['part'] or 0}")
