"""Sets of IP addresses as sorted ranges of integers, and the ranges that Tailscale gives a meaning.

What enters are texts (`100.64.0.7`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`); malformed ones raise ValueError. What leaves
are immutable sets: union, difference, overlap and membership cost no more than their ranges.
"""

from __future__ import annotations

import bisect
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

Range = tuple[int, int]
"""First and last address, both in it."""
_LAST = {4: 2**32 - 1, 6: 2**128 - 1}


@dataclass(frozen=True, slots=True)
class Addresses:
    """A set of addresses: ranges in order, none touching the next, of each family."""

    four: tuple[Range, ...] = ()
    six: tuple[Range, ...] = ()

    def of(self, version: int) -> tuple[Range, ...]:
        """The ranges of one family."""
        return self.four if version == 4 else self.six

    def holds(self, version: int, number: int) -> bool:
        """Whether one address is in the set."""
        ranges = self.of(version)
        at = bisect.bisect_right(ranges, (number, _LAST[6])) - 1
        return at >= 0 and ranges[at][1] >= number

    def overlaps(self, other: Addresses) -> bool:
        """Whether any address is in both."""
        return any(_overlap(self.of(version), other.of(version)) for version in (4, 6))

    def __or__(self, other: Addresses) -> Addresses:
        return Addresses(_merged((*self.four, *other.four)), _merged((*self.six, *other.six)))

    def __sub__(self, other: Addresses) -> Addresses:
        return Addresses(_without(self.four, other.four), _without(self.six, other.six))

    def __bool__(self) -> bool:
        return bool(self.four or self.six)

    def texts(self) -> tuple[str, ...]:
        """Each range as a client reads it: an address, a CIDR where it is one, else `first-last`."""
        return tuple(_text(version, pair) for version in (4, 6) for pair in self.of(version))


def union(sets: Iterable[Addresses]) -> Addresses:
    """All of them as one set."""
    sets = list(sets)
    return Addresses(_merged(r for one in sets for r in one.four), _merged(r for one in sets for r in one.six))


@lru_cache(maxsize=65536)
def parse(text: str) -> Addresses:
    """An address, a CIDR (host bits are dropped) or a range; ValueError when it is none."""
    if "%" in text:
        raise ValueError("has a zone")
    first, dash, last = text.partition("-")
    if dash:
        low, high = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
        if low.version != high.version or int(low) > int(high):
            raise ValueError("ends before it begins")
        return _one(low.version, (int(low), int(high)))
    if "/" in text:
        if not text.rpartition("/")[2].isdecimal():
            raise ValueError("has no prefix length")
        network = ipaddress.ip_network(text, strict=False)
        return _one(network.version, (int(network.network_address), int(network.broadcast_address)))
    address = ipaddress.ip_address(text)
    return _one(address.version, (int(address), int(address)))


@lru_cache(maxsize=65536)
def number(text: str) -> tuple[int, int]:
    """Family and integer of one address; ValueError when it is none."""
    if "%" in text:
        raise ValueError("has a zone")
    address = ipaddress.ip_address(text)
    return address.version, int(address)


def has_host_bits(text: str) -> bool:
    """Whether a CIDR names an address inside its network, such as 10.0.0.1/8."""
    return "/" in text and int(ipaddress.ip_interface(text).ip) != parse(text).of(4 if "." in text else 6)[0][0]


def prefixes(pair: Range, version: int) -> Iterator[tuple[int, int]]:
    """Prefix length and network of the fewest CIDRs that make up a range."""
    low, high = pair
    bits = 32 if version == 4 else 128
    while low <= high:
        size = min((low & -low).bit_length() - 1 if low else bits, (high - low + 1).bit_length() - 1)
        yield bits - size, low
        low += 1 << size


def _one(version: int, pair: Range) -> Addresses:
    return Addresses((pair,), ()) if version == 4 else Addresses((), (pair,))


def _merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _without(ranges: tuple[Range, ...], taken: tuple[Range, ...]) -> tuple[Range, ...]:
    left: list[Range] = []
    at = 0
    for first, high in ranges:
        low = first
        while at < len(taken) and taken[at][1] < low:
            at += 1
        here = at
        while here < len(taken) and taken[here][0] <= high:
            if taken[here][0] > low:
                left.append((low, taken[here][0] - 1))
            low = max(low, taken[here][1] + 1)
            here += 1
        if low <= high:
            left.append((low, high))
    return tuple(left)


def _overlap(one: tuple[Range, ...], two: tuple[Range, ...]) -> bool:
    short, long = sorted((one, two), key=len)
    for low, high in short:
        at = bisect.bisect_right(long, (high, _LAST[6])) - 1
        if at >= 0 and long[at][1] >= low:
            return True
    return False


def _text(version: int, pair: Range) -> str:
    address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    low, high = pair
    if low == high:
        return str(address(low))
    length, _ = next(prefixes(pair, version))
    whole = high - low + 1 == 1 << ((32 if version == 4 else 128) - length)
    return f"{address(low)}/{length}" if whole else f"{address(low)}-{address(high)}"


NOTHING = Addresses()
EVERYWHERE = parse("0.0.0.0/0") | parse("::/0")
TAILNET = (parse("100.64.0.0/10") - parse("100.115.92.0/23")) | parse("fd7a:115c:a1e0::/48")
"""Where Tailscale's own addresses lie; the hole is ChromeOS's own network (https://tailscale.com/kb/1015/100.x-addresses)."""
INTERNET = (
    parse("0.0.0.0/0")
    - union(map(parse, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")))
) | parse("2000::/3")
"""autogroup:internet: what an exit node is for."""
EXIT_ROUTES = ("0.0.0.0/0", "::/0")
