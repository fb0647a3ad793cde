"""Selectors become sets of nodes and addresses of one tailnet.

A set of nodes is an integer: bit i for node i by IPv4, bit i + N by IPv6, so that unions, intersections and whole
columns of a matrix are single operations, whatever the number of nodes. A node without addresses has both bits, and
no address is its own. Addresses are held against all nodes at once: nodes are sorted by address, and a range is the
difference of two running unions.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping

from blumeops.facts.policy import addresses
from blumeops.facts.policy.addresses import EVERYWHERE, EXIT_ROUTES, NOTHING, TAILNET, Addresses
from blumeops.facts.policy.model import Policy, Rule, Selector
from blumeops.facts.policy.posture import Attribute
from blumeops.facts.policy.tailnet import Tailnet

Mask = int


class Resolver:
    """One policy in one tailnet. Answers are remembered; nothing changes once it is made."""

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self.policy = policy
        self.tailnet = tailnet
        self.count = len(tailnet.nodes)
        self.low = (1 << self.count) - 1
        self.number = {node.name: index for index, node in enumerate(tailnet.nodes)}
        self.own: list[tuple[tuple[int, int], ...]] = [
            tuple(addresses.number(text) for text in node.addresses) for node in tailnet.nodes
        ]
        self.bits = [self._bits(index) for index in range(self.count)]
        self.everyone: Mask = 0
        self.tagged: Mask = 0
        self.members: Mask = 0
        self.sharees: Mask = 0
        self.by_tag: dict[str, Mask] = {}
        self.by_user: dict[str, Mask] = {}
        self._sort_nodes()
        self._runs = {version: self._run(version) for version in (4, 6)}
        self.subnets = [self._routes(index) for index in range(self.count)]
        self.exits = [frozenset(node.routes) & frozenset(EXIT_ROUTES) for node in tailnet.nodes]
        self.routed = tuple(sorted({route for routes in self.subnets for route in routes}))
        self._masks: dict[tuple[str, str], Mask] = {}
        self._sources: dict[tuple[str, int], Mask] = {}
        self._unposed: dict[tuple[str, int], Mask] = {}
        self._postures: dict[str, Mask] = {}

    def mask(self, selector: Selector) -> Mask:
        """The nodes that a selector stands for; address selectors by the family of the address that is in them."""
        key = (selector.kind, selector.name)
        if key not in self._masks:
            self._masks[key] = self._mask(selector)
        return self._masks[key]

    def sources(self, rule: Rule) -> Mask:
        """The nodes that a rule lets out: its sources, as far as they meet one of its postures."""
        key = (rule.section, rule.number)
        if key not in self._sources:
            self._sources[key] = self.select(rule.sources, rule.postures)
        return self._sources[key]

    def named(self, rule: Rule) -> Mask:
        """The nodes that a rule names as its sources, whatever their posture."""
        key = (rule.section, rule.number)
        if key not in self._unposed:
            self._unposed[key] = self.select(rule.sources)
        return self._unposed[key]

    def select(self, selectors: Iterable[Selector], postures: tuple[str, ...] = ()) -> Mask:
        """The nodes of any of the selectors that meet any of the postures."""
        found: Mask = 0
        for selector in selectors:
            found |= self.mask(selector)
        return found & self.fit(postures) if postures else found

    def fit(self, postures: tuple[str, ...]) -> Mask:
        """The nodes that meet one of the postures."""
        fit: Mask = 0
        for name in postures:
            if name not in self._postures:
                self._postures[name] = self._union(
                    index for index, node in enumerate(self.tailnet.nodes) if meets(self.policy, (name,), node.posture)
                )
            fit |= self._postures[name]
        return fit

    def spread(self, mask: Mask) -> list[int]:
        """The numbers of the nodes in a mask, in order."""
        both = (mask | mask >> self.count) & self.low
        found = []
        while both:
            last = both & -both
            found.append(last.bit_length() - 1)
            both ^= last
        return found

    def texts(self, mask: Mask) -> tuple[str, ...]:
        """The addresses of the nodes in a mask, of the families that are in it."""
        return tuple(
            text
            for index in self.spread(mask)
            for text, (version, _) in zip(self.tailnet.nodes[index].addresses, self.own[index], strict=True)
            if mask >> (index if version == 4 else index + self.count) & 1
        )

    def within(self, found: Addresses) -> Mask:
        """The nodes that have an address of a set."""
        mask: Mask = 0
        for version in (4, 6):
            numbers, unions = self._runs[version]
            for low, high in found.of(version):
                mask |= unions[bisect.bisect_right(numbers, high)] ^ unions[bisect.bisect_left(numbers, low)]
        return mask

    def elsewhere(self, selector: Selector) -> Addresses:
        """The addresses that a source stands for besides those of nodes: subnets, and what is not in the tailnet."""
        if selector.kind == "addresses":
            return selector.addresses
        if selector.kind == "any":
            return TAILNET | addresses.union(map(addresses.parse, self.routed))
        return EVERYWHERE if selector.name == "danger-all" else NOTHING

    def self_mask(self, index: int) -> Mask:
        """The devices of the person whose device this is; nothing for a tagged one."""
        node = self.tailnet.nodes[index]
        return 0 if node.tags or node.shared else self.by_user.get(node.user, 0)

    def _bits(self, index: int) -> Mask:
        versions = {version for version, _ in self.own[index]} or {4, 6}
        return sum(1 << (index if version == 4 else index + self.count) for version in versions)

    def _sort_nodes(self) -> None:
        for index, node in enumerate(self.tailnet.nodes):
            bits = self.bits[index]
            self.everyone |= bits
            if node.tags:
                self.tagged |= bits
                for tag in node.tags:
                    self.by_tag[tag] = self.by_tag.get(tag, 0) | bits
            else:
                self.by_user[node.user] = self.by_user.get(node.user, 0) | bits
                if node.shared:
                    self.sharees |= bits
                elif node.user:
                    self.members |= bits

    def _run(self, version: int) -> tuple[list[int], list[Mask]]:
        """The addresses of one family in order, and the union of the first k nodes for every k."""
        pairs = sorted(
            (number, index) for index in range(self.count) for family, number in self.own[index] if family == version
        )
        unions: list[Mask] = [0]
        for _, index in pairs:
            unions.append(unions[-1] ^ (1 << (index if version == 4 else index + self.count)))
        return [number for number, _ in pairs], unions

    def _routes(self, index: int) -> tuple[str, ...]:
        return tuple(route for route in self.tailnet.nodes[index].routes if route not in EXIT_ROUTES)

    def _union(self, indices: Iterable[int]) -> Mask:
        mask: Mask = 0
        for index in indices:
            mask |= self.bits[index]
        return mask

    def _mask(self, selector: Selector) -> Mask:
        name = selector.name
        match selector.kind:
            case "any":
                return self.everyone
            case "user":
                return self.by_user.get(name, 0)
            case "domain":
                logins = [login for login in self.by_user if login.endswith(f"@{name}")]
                return self._users(logins) & self.members
            case "group":
                return self._users(self.policy.groups.get(name, ()))
            case "tag":
                return self.by_tag.get(name, 0)
            case "addresses":
                return self.within(selector.addresses)
            case "service":
                return 0
        named = {
            "member": self.members, "tagged": self.tagged, "shared": self.sharees, "danger-all": self.everyone,
        }  # fmt: skip
        if name in named:
            return named[name]
        return self._users(login for login, role in self.tailnet.roles.items() if role == name) & self.members

    def _users(self, logins: Iterable[str]) -> Mask:
        mask: Mask = 0
        for login in logins:
            mask |= self.by_user.get(login, 0)
        return mask


def meets(policy: Policy, postures: tuple[str, ...], attributes: Mapping[str, Attribute]) -> bool:
    """Whether a device with these attributes meets one of the postures; without any there is nothing to meet."""
    if not postures:
        return True
    return any(all(each.holds(attributes) for each in policy.postures.get(name, ())) for name in postures)
