"""Durations and sizes as people write them, and the numbers that they are."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdw]))+\Z")
_SIZE = re.compile(r"(\d+)(Ki|Mi|Gi|Ti|k|M|G|T)?\Z")


def seconds(text: Any) -> float:
    """`90s`, `1h30m`, `30d` as seconds. Raises ValueError."""
    if isinstance(text, bool) or not isinstance(text, str) or not _DURATION.match(text):
        raise ValueError(f"{text!r} is no duration: write a number with ms, s, m, h, d or w, like 30s or 1h30m")
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdw])", text))


def size(text: Any) -> int:
    """`128Mi`, `2G` or a number of bytes as bytes. Raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    match = _SIZE.match(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"{text!r} is no size: write a number with Ki, Mi, Gi or Ti, like 128Mi")
    return int(match[1]) * _BYTES[match[2] or ""]


def size_text(amount: int) -> str:
    """Bytes in the largest binary unit that divides them: 134217728 is `128Mi`."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if amount % _BYTES[unit] == 0:
            return f"{amount // _BYTES[unit]}{unit}"
    return str(amount)


Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema({"type": "string", "pattern": _DURATION.pattern})]
Size = Annotated[int, BeforeValidator(size), WithJsonSchema({"type": ["string", "integer"]})]
