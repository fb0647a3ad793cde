"""Durations and sizes as people write them, and the numbers that they are."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:ms|[smhdw]))+\Z")
_SIZE = re.compile(r"([0-9]{1,19})(Ki|Mi|Gi|Ti|k|M|G|T)?\Z")
MOST_BYTES = 2**60


def seconds(text: Any) -> float:
    """`90s`, `1h30m`, `30d` as seconds. Raises ValueError."""
    if not isinstance(text, str) or len(text) > 60 or not _DURATION.match(text):
        raise ValueError(f"{_shown(text)} is no duration: write a number with ms, s, m, h, d or w, like 30s or 1h30m")
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in re.findall(r"([0-9]+)(ms|[smhdw])", text)) / 1000


def size(text: Any) -> int:
    """`128Mi`, `2G` or a number of bytes as bytes. Raises ValueError."""
    match = _SIZE.match(text) if isinstance(text, str) else None
    found = int(match[1]) * _BYTES[match[2] or ""] if match else text
    if isinstance(found, bool) or not isinstance(found, int) or not 0 < found <= MOST_BYTES:
        raise ValueError(f"{_shown(text)} is no size: write a number with Ki, Mi, Gi or Ti, like 128Mi")
    return found


def size_text(amount: int) -> str:
    """Bytes in the largest binary unit that divides them: 134217728 is `128Mi`."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if amount % _BYTES[unit] == 0:
            return f"{amount // _BYTES[unit]}{unit}"
    return str(amount)


def _shown(given: Any) -> str:
    return "a list" if isinstance(given, list) else "a mapping" if isinstance(given, dict) else f"{given!r:.40}"


def _some(amount: float) -> float:
    if amount <= 0:
        raise ValueError("must be longer than 0s")
    return amount


def _whole(pattern: re.Pattern[str]) -> str:
    """The pattern for JSON Schema, whose dialect has no end of text but `$` (ECMA-262)."""
    return f"^{pattern.pattern.removesuffix(chr(92) + 'Z')}$"


Duration = Annotated[
    float, BeforeValidator(seconds), AfterValidator(_some),
    WithJsonSchema({"type": "string", "pattern": _whole(_DURATION)}),
]  # fmt: skip
Size = Annotated[
    int, BeforeValidator(size),
    WithJsonSchema({"type": ["string", "integer"], "pattern": _whole(_SIZE), "minimum": 1, "maximum": MOST_BYTES}),
]  # fmt: skip
