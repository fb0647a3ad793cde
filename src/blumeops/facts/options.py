"""An option's value as the text that a program is given: by its type, in the unit that is asked for."""

from __future__ import annotations

from blumeops.lab.app import Option
from blumeops.lab.fields import Scalar
from blumeops.lab.quantities import seconds, size

_KIND = {
    "string": "text (in quotes, if it looks like a number)", "integer": "a whole number", "boolean": "true or false",
    "duration": "a duration", "size": "a size",
}  # fmt: skip


def option_text(option: Option, value: Scalar | tuple[Scalar, ...], unit: str) -> str | None:
    """An option's value as text, in `unit` when one is asked for; None when its type has no such unit.

    Raises ValueError, in a person's words, for a value that is not of the option's type.
    """
    if option.type == "list":
        if not isinstance(value, tuple):
            raise ValueError(f"must be a list, not {value!r:.40}")
        if any(isinstance(item, str) and "," in item for item in value):
            raise ValueError("has an item with a comma, which separates items")
        return ",".join(map(_scalar_text, value)) if not unit else None
    if isinstance(value, tuple):
        if value:
            raise ValueError(f"must be {_KIND[option.type]}, not a list")
        return ""
    if option.type == "duration":
        amount = seconds(value)
        divisor = {"": 0, "seconds": 1, "minutes": 60, "hours": 3600}.get(unit)
        if divisor is None:
            return None
        if divisor and amount % divisor:
            raise ValueError(f"{value} is not a whole number of {unit}")
        return str(int(amount) // divisor) if divisor else str(value)
    if option.type == "size":
        amount_of_bytes = size(value)
        return {"": str(value), "bytes": str(amount_of_bytes)}.get(unit)
    wanted = {"integer": int, "boolean": bool, "string": str}[option.type]
    if not isinstance(value, wanted) or (option.type == "integer" and isinstance(value, bool)):
        raise ValueError(f"must be {_KIND[option.type]}, not {_scalar_text(value):.40}")
    return _scalar_text(value) if not unit else None


def _scalar_text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
