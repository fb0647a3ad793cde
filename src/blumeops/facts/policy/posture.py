"""Assertions about a device: `node:os == 'macos'` is parsed, and asked of a device's attributes.

An attribute that is not set never matches, not even `!=`; only `NOT SET` does. Versions compare number by number, so
'1.9' < '1.10'. Malformed assertions raise ValueError with what is wrong.
Source: https://tailscale.com/kb/1288/device-posture
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

Attribute = str | int | float | bool

_NAME = r"(?P<name>[A-Za-z][\w.-]*:[A-Za-z][\w.-]*)"
_COMPARISON = re.compile(rf"\s*{_NAME}\s*(?:(?P<operator>==|!=|>=|<=|>|<)\s*(?P<value>\S(?:.*\S)?)\s*)?\Z")
_SET = re.compile(rf"\s*{_NAME}\s+(?P<operator>IS\s+SET|NOT\s+SET)\s*\Z", re.IGNORECASE)
_IN = re.compile(rf"\s*{_NAME}\s+(?P<operator>IN|NOT\s+IN)\s*\[(?P<values>[^\]]*)\]\s*\Z", re.IGNORECASE)
_STRING = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|(-?\d+(?:\.\d+)?)|(true|false))\s*(,|\Z)""")
_ORDERINGS = frozenset({">", ">=", "<", "<="})


@dataclass(frozen=True, slots=True)
class Assertion:
    """One condition: attribute, operator (`==`, `IN`, `IS SET` …) and the values that it is held against."""

    name: str
    operator: str
    values: tuple[Attribute, ...]

    def holds(self, attributes: Mapping[str, Attribute]) -> bool:
        """Whether a device with these attributes meets it."""
        found = attributes.get(self.name)
        if self.operator == "NOT SET":
            return found is None
        if found is None:
            return False
        if self.operator == "IS SET":
            return True
        if self.operator in _ORDERINGS:
            order = _compare(found, self.values[0])
            return (
                order is not None
                and {">": order > 0, ">=": order >= 0, "<": order < 0, "<=": order <= 0}[self.operator]
            )
        equal = any(_same(found, value) for value in self.values)
        return equal == (self.operator in ("==", "IN"))


def parse(text: str) -> Assertion:
    """Read one assertion; a name alone asks for `true`. ValueError says what is wrong."""
    if found := _SET.match(text):
        return Assertion(found["name"], " ".join(found["operator"].upper().split()), ())
    if found := _IN.match(text):
        return Assertion(found["name"], " ".join(found["operator"].upper().split()), _values(found["values"]))
    if not (found := _COMPARISON.match(text)):
        raise ValueError("is no assertion")
    if found["operator"] is None:
        return Assertion(found["name"], "==", (True,))
    values = _values(found["value"])
    if len(values) != 1:
        raise ValueError("compares with more than one value")
    if found["operator"] in _ORDERINGS and isinstance(values[0], bool):
        raise ValueError("orders a value that is true or false")
    return Assertion(found["name"], found["operator"], values)


def _values(text: str) -> tuple[Attribute, ...]:
    values: list[Attribute] = []
    at = 0
    while at < len(text) or not values:
        if not (found := _STRING.match(text, at)):
            raise ValueError("has a value that is neither 'text', a number, true nor false")
        single, double, number, word, comma = found.groups()
        if number is not None:
            values.append(float(number) if "." in number else int(number))
        else:
            values.append(word == "true" if word else single if single is not None else double)
        at = found.end()
        if not comma:
            break
    return tuple(values)


def _same(one: Attribute, two: Attribute) -> bool:
    if isinstance(one, bool) or isinstance(two, bool):
        return str(one).lower() == str(two).lower()
    return one == two or str(one) == str(two)


def _compare(one: Attribute, two: Attribute) -> int | None:
    """Below, at or above zero as `one` is smaller, the same or larger; None when the two cannot be ordered."""
    if isinstance(one, bool) or isinstance(two, bool):
        return None
    left, right = (re.findall(r"\d+|[A-Za-z]+", str(value)) for value in (one, two))
    if isinstance(one, int | float) and isinstance(two, int | float):
        return (one > two) - (one < two)
    for a, b in zip_longest(left, right, fillvalue="0"):
        if a != b:
            if a.isdecimal() and b.isdecimal():
                if len(a.lstrip("0")) != len(b.lstrip("0")):
                    return 1 if len(a.lstrip("0")) > len(b.lstrip("0")) else -1
                if a.lstrip("0") == b.lstrip("0"):
                    continue
                return 1 if a.lstrip("0") > b.lstrip("0") else -1
            return 1 if a > b else -1
    return 0
