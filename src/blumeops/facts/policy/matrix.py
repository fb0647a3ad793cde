"""Who reaches what: all nodes of a tailnet against all destinations, at once.

Rules are filed under what they mean a destination by (its tag, its user, each group, an address range …), below that
by protocol, below that in a tree of ports; each entry holds its sources as one integer. A column of the matrix is
the union of the few entries that its destination has, so its cost grows with neither rules nor nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blumeops.facts.policy import addresses
from blumeops.facts.policy.addresses import EVERYWHERE, INTERNET, Addresses, union
from blumeops.facts.policy.decide import end, routed
from blumeops.facts.policy.model import LAST_PORT, WITH_PORTS, Ports, Rule, Selector
from blumeops.facts.policy.resolve import Mask, Resolver

_Label = tuple[str | int, ...]
_SPAN = LAST_PORT + 1


@dataclass(frozen=True, slots=True)
class Column:
    """A destination: the name of a node, an address, or `svc:name`; with port and protocol."""

    destination: str
    port: int
    protocol: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Which nodes reach which columns. Bit i of `masks[j]`: whether node i reaches column j."""

    sources: tuple[str, ...]
    columns: tuple[Column, ...]
    masks: tuple[int, ...]

    def reaches(self, row: int, column: int) -> bool:
        """Whether one node reaches one column."""
        return bool(self.masks[column] >> row & 1)

    def count(self) -> int:
        """How many cells are open."""
        return sum(mask.bit_count() for mask in self.masks)

    def rows(self) -> Iterator[tuple[str, tuple[bool, ...]]]:
        """Each node with its cells."""
        for row, name in enumerate(self.sources):
            yield name, tuple(bool(mask >> row & 1) for mask in self.masks)


class Tree:
    """A set of sources for every port: a segment tree, in which a range is at most 32 entries."""

    __slots__ = ("entries", "whole")

    def __init__(self) -> None:
        self.entries: dict[int, Mask] = {}
        self.whole: Mask = 0
        """All sources, of whatever port: what protocols without ports ask for."""

    def add(self, first: int, last: int, mask: Mask) -> None:
        """Let the sources in at a range of ports."""
        self.whole |= mask
        entries = self.entries
        low, high = first + _SPAN, last + _SPAN + 1
        while low < high:
            if low & 1:
                entries[low] = entries.get(low, 0) | mask
                low += 1
            if high & 1:
                high -= 1
                entries[high] = entries.get(high, 0) | mask
            low >>= 1
            high >>= 1

    def at(self, port: int) -> Mask:
        """The sources that are let in at a port."""
        found: Mask = 0
        place = port + _SPAN
        while place:
            found |= self.entries.get(place, 0)
            place >>= 1
        return found


class Index:
    """The rules of a policy in one tailnet, filed by destination."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.trees: dict[_Label, dict[tuple[int, ...], Tree]] = {}
        self.opened: dict[_Label, dict[Ports, Mask]] = {}
        """The same, not added up: which sources each span of ports was written for."""
        self.lengths: dict[int, list[int]] = {4: [], 6: []}
        self._groups: dict[str, list[str]] = {}
        for group, users in resolver.policy.groups.items():
            for user in users:
                self._groups.setdefault(user, []).append(group)
        self._routed: dict[tuple[str, ...], Addresses] = {}
        for rule in resolver.policy.rules:
            mask = resolver.sources(rule)
            for target in rule.targets if mask else ():
                for label in self._labels(rule, target.selector):
                    self._file(label, target.ports, mask)
        nets = {label[1:3] for label in self.trees if label[0] == "net"}
        for version in (4, 6):
            self.lengths[version] = sorted(int(length) for family, length in nets if family == version)

    def column(self, column: Column) -> int:
        """The nodes that reach a column, one bit each. LookupError for a destination that is none."""
        reached: Mask = 0
        for label, keep in self._filed(column.destination):
            for protocols, tree in self.trees.get(label, {}).items():
                if column.protocol in protocols:
                    found = tree.at(column.port) if column.protocol in WITH_PORTS else tree.whole
                    reached |= found & keep
        return self._fold(reached)

    def spans(self, destination: str) -> dict[Ports, int]:
        """The spans of ports that are open at a destination, each with the nodes that they are open for."""
        found: dict[Ports, Mask] = {}
        for label, keep in self._filed(destination):
            for ports, mask in self.opened.get(label, {}).items():
                found[ports] = found.get(ports, 0) | mask & keep
        return {ports: folded for ports, mask in found.items() if (folded := self._fold(mask))}

    def _file(self, label: _Label, opened: Sequence[Ports], mask: Mask) -> None:
        trees = self.trees.setdefault(label, {})
        spans = self.opened.setdefault(label, {})
        for ports in opened:
            known = spans.get(ports, 0)
            if known | mask == known:
                continue
            spans[ports] = known | mask
            tree = trees.get(ports.protocols)
            if tree is None:
                tree = trees[ports.protocols] = Tree()
            tree.add(ports.first, ports.last, mask)

    def _labels(self, rule: Rule, selector: Selector) -> Iterator[_Label]:
        """What a destination is filed under."""
        if rule.via:
            meant = selector.addresses
            if selector.kind == "any":
                meant = EVERYWHERE
            elif selector.kind == "autogroup" and selector.name == "internet":
                meant = INTERNET
            yield from _nets(meant - (meant - self._carried(rule.via)))
        elif selector.kind == "addresses":
            yield from _nets(selector.addresses)
        elif selector.kind == "any":
            yield ("any",)
        elif selector.kind == "autogroup" and selector.name == "internet":
            yield from _nets(INTERNET)
        else:
            yield (selector.kind, selector.name)

    def _carried(self, via: tuple[str, ...]) -> Addresses:
        """What the routers with one of these tags route."""
        if via not in self._routed:
            mask = 0
            for tag in via:
                mask |= self.resolver.by_tag.get(tag, 0)
            self._routed[via] = union(routed(self.resolver, index) for index in self.resolver.spread(mask))
        return self._routed[via]

    def _filed(self, destination: str) -> list[tuple[_Label, Mask]]:
        """What a destination is filed under, each with the sources that can use it: those of a common family."""
        resolver = self.resolver
        if destination in resolver.number:
            index = resolver.number[destination]
            return self._of_node(index, resolver.bits[index])
        if destination.startswith("svc:"):
            both = self._families(-1)
            return [(("any",), both), (("service", destination), both)]
        found = end(resolver, destination)
        if found.index is not None:
            return self._of_node(found.index, found.mask)
        return self._of_range(found.found)

    def _of_node(self, index: int, mask: Mask) -> list[tuple[_Label, Mask]]:
        """A node by its names and addresses; `mask` says by which families."""
        resolver = self.resolver
        node = resolver.tailnet.nodes[index]
        labels: list[_Label] = [("any",)]
        if node.tags:
            labels += [("tag", tag) for tag in node.tags]
            labels.append(("autogroup", "tagged"))
        else:
            labels.append(("user", node.user))
            labels += [("group", group) for group in self._groups.get(node.user, ())]
            if node.shared:
                labels.append(("autogroup", "shared"))
            elif node.user:
                role = resolver.tailnet.roles.get(node.user, "")
                labels += [("autogroup", "member"), ("autogroup", role), ("domain", node.user.rpartition("@")[2])]
        keep = self._families(mask)
        found = [(label, keep) for label in labels]
        found.append((("autogroup", "self"), resolver.self_mask(index) & keep))
        for version, number in resolver.own[index]:
            if self._families(mask) & self._family(version):
                found += self._nets_of(version, number, 32 if version == 4 else 128)
        return found

    def _of_range(self, found: Addresses) -> list[tuple[_Label, Mask]]:
        """Addresses that are no node's: a rule must mean all of one CIDR. Of more than one, the first is asked for."""
        labels: list[tuple[_Label, Mask]] = []
        for version in (4, 6):
            for pair in found.of(version)[:1]:
                length, network = next(addresses.prefixes(pair, version))
                labels += [(("any",), self._family(version)), *self._nets_of(version, network, length)]
        return labels

    def _nets_of(self, version: int, number: int, longest: int) -> list[tuple[_Label, Mask]]:
        """The address ranges that hold an address, or all of a CIDR."""
        bits = 32 if version == 4 else 128
        keep = self._family(version)
        return [
            (("net", version, length, number >> (bits - length) << (bits - length)), keep)
            for length in self.lengths[version]
            if length <= longest
        ]

    def _fold(self, mask: Mask) -> int:
        """A node reaches by one family or the other."""
        return (mask | mask >> self.resolver.count) & self.resolver.low

    def _family(self, version: int) -> Mask:
        return self.resolver.low if version == 4 else self.resolver.low << self.resolver.count

    def _families(self, mask: Mask) -> Mask:
        """All nodes, by the families that a mask has."""
        four = self.resolver.low if mask & self.resolver.low else 0
        return four | (self._family(6) if mask >> self.resolver.count else 0)


def matrix(resolver: Resolver, columns: Sequence[Column]) -> Matrix:
    """The whole matrix: every node of the tailnet against the columns."""
    index = Index(resolver)
    names = tuple(node.name for node in resolver.tailnet.nodes)
    return Matrix(names, tuple(columns), tuple(index.column(column) for column in columns))


def _nets(found: Addresses) -> Iterator[_Label]:
    for version in (4, 6):
        for pair in found.of(version):
            for length, network in addresses.prefixes(pair, version):
                yield ("net", version, length, network)
