"""The packet filter of one node: who may send it what, as the control plane would tell it.

Each rule of the policy contributes what concerns the node: its own addresses where it is a destination; the ranges of
a destination that overlap its own addresses or its routes, as they are written; the internet where it is an exit node;
the addresses of a Tailscale Service that it serves; and capabilities for its own addresses. A rule with `via`
concerns only routers with such a tag, and only what they route. Two nodes never share work that grows with a third.
Shape: https://pkg.go.dev/tailscale.com/tailcfg#FilterRule.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blumeops.facts.policy.addresses import INTERNET, NOTHING, TAILNET, Addresses, parse, union
from blumeops.facts.policy.model import USUAL, Rule, Selector, Target
from blumeops.facts.policy.resolve import Resolver

COMPANIONS = {
    "tailscale.com/cap/drive": "tailscale.com/cap/drive-sharer",
    "tailscale.com/cap/relay": "tailscale.com/cap/relay-target",
}
"""What a source learns of its destinations: a capability that goes the other way beside one that was granted."""


@dataclass(frozen=True, slots=True)
class FilterRule:
    """Sources, and either destinations with ports, or capabilities for destinations."""

    sources: tuple[str, ...]
    destinations: tuple[tuple[str, int, int], ...] = ()
    protocols: tuple[int, ...] = USUAL
    capability_destinations: tuple[str, ...] = ()
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As a node is told."""
        told: dict[str, Any] = {"SrcIPs": list(self.sources)}
        if self.capabilities:
            told["CapGrant"] = [{"Dsts": list(self.capability_destinations), "CapMap": dict(self.capabilities)}]
            return told
        told["DstPorts"] = [
            {"IP": address, "Ports": {"First": first, "Last": last}} for address, first, last in self.destinations
        ]
        if self.protocols != USUAL:
            told["IPProto"] = list(self.protocols)
        return told


class Filters:
    """The packet filters of a tailnet, one node at a time."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self._texts: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, ...]] = {}
        self._routes = [union(map(parse, routes)) for routes in resolver.subnets]

    def of(self, name: str) -> list[FilterRule]:
        """The filter of the node of this name; rules with the same sources and protocols are one."""
        index = self.resolver.number[name]
        opened: dict[tuple[tuple[str, ...], tuple[int, ...]], dict[tuple[str, int, int], None]] = {}
        granted: list[FilterRule] = []
        for rule in self.resolver.policy.rules:
            tagged = not rule.via or not set(rule.via).isdisjoint(self.resolver.tailnet.nodes[index].tags)
            for target in rule.targets if tagged else ():
                self._open(rule, target, index, opened)
            if rule.capabilities and not rule.via:
                granted += self._grant(rule, index)
        packets = [FilterRule(sources, tuple(found), protocols) for (sources, protocols), found in opened.items()]
        return packets + granted

    def _open(
        self,
        rule: Rule,
        target: Target,
        index: int,
        opened: dict[tuple[tuple[str, ...], tuple[int, ...]], dict[tuple[str, int, int], None]],
    ) -> None:
        places = self._destinations(rule, target.selector, index)
        if not places or not target.ports:
            return
        sources = self._sources_of(rule, target.selector, index)
        if not sources:
            return
        for ports in target.ports:
            inside = opened.setdefault((sources, ports.protocols), {})
            inside.update(dict.fromkeys((place, ports.first, ports.last) for place in places))

    def _destinations(self, rule: Rule, selector: Selector, index: int) -> list[str]:
        """What of a destination is at this node."""
        resolver = self.resolver
        routes, exits = self._routes[index], resolver.exits[index]
        if selector.kind == "autogroup" and selector.name == "internet":
            reached = Addresses(
                INTERNET.four if "0.0.0.0/0" in exits else (), INTERNET.six if "::/0" in exits else ()
            )  # fmt: skip
            return list(reached.texts())
        if selector.kind == "addresses":
            behind = routes | (INTERNET if exits else NOTHING)
            near = behind if rule.via else behind | self._own(index)
            return [piece for piece in selector.pieces if parse(piece).overlaps(near)]
        if rule.via:
            return list(resolver.subnets[index]) if selector.kind == "any" else []
        if selector.kind == "any":
            return ["*"]
        if selector.kind == "service":
            node = resolver.tailnet.nodes[index].name
            serving = [one for one in resolver.tailnet.services if one.name == selector.name and node in one.hosts]
            return [address for one in serving for address in one.addresses]
        if selector.kind == "autogroup" and selector.name == "self":
            reached_at = resolver.self_mask(index)
        else:
            reached_at = resolver.mask(selector)
        return list(resolver.tailnet.nodes[index].addresses) if reached_at & resolver.bits[index] else []

    def _sources_of(self, rule: Rule, selector: Selector, index: int) -> tuple[str, ...]:
        if selector.kind == "autogroup" and selector.name == "self":
            return self.resolver.texts(self.resolver.sources(rule) & self.resolver.self_mask(index))
        return self._texts_of(rule)

    def _texts_of(self, rule: Rule) -> tuple[str, ...]:
        """The sources of a rule. With a posture only devices are left: what is no device has no attributes."""
        key = (tuple(selector.text for selector in rule.sources), rule.postures)
        if key not in self._texts:
            resolver = self.resolver
            if rule.postures:
                found: Iterable[str] = self.resolver.texts(resolver.sources(rule))
            else:
                found = [text for selector in rule.sources for text in self._selected(selector)]
            self._texts[key] = tuple(sorted(dict.fromkeys(found)))
        return self._texts[key]

    def _selected(self, selector: Selector) -> tuple[str, ...]:
        if selector.kind == "addresses":
            return selector.pieces
        if selector.kind == "any":
            shared = self.resolver.texts(self.resolver.sharees & ~self.resolver.within(TAILNET))
            return (*TAILNET.texts(), *self.resolver.routed, *shared)
        if selector.name == "danger-all":
            return ("*",)
        return self.resolver.texts(self.resolver.mask(selector))

    def _own(self, index: int) -> Addresses:
        return union(map(parse, self.resolver.tailnet.nodes[index].addresses))

    def _grant(self, rule: Rule, index: int) -> list[FilterRule]:
        """The capabilities of a grant at this node, and those of its companions."""
        found = []
        own = self.resolver.tailnet.nodes[index].addresses
        backwards = {COMPANIONS[name]: None for name in rule.capabilities if name in COMPANIONS}
        for target in rule.targets:
            sources = self._sources_of(rule, target.selector, index)
            here = self._granted(target.selector, index)
            if here and sources:
                found.append(
                    FilterRule(sources, capability_destinations=_hosts(here), capabilities=rule.capabilities)
                )  # fmt: skip
            if backwards and own and self.resolver.sources(rule) & self.resolver.bits[index]:
                others = self._others(target.selector, index)
                if others:
                    found.append(FilterRule(others, capability_destinations=_hosts(own), capabilities=backwards))
        return found

    def _granted(self, selector: Selector, index: int) -> list[str]:
        """The node's own addresses that are destinations of a capability."""
        own = self.resolver.tailnet.nodes[index].addresses
        if selector.kind == "addresses":
            return [address for address in own if parse(address).overlaps(selector.addresses)]
        if selector.kind == "any":
            return list(own)
        is_self = selector.kind == "autogroup" and selector.name == "self"
        mask = self.resolver.self_mask(index) if is_self else self.resolver.mask(selector)
        return list(own) if mask & self.resolver.bits[index] else []

    def _others(self, selector: Selector, index: int) -> tuple[str, ...]:
        """The destinations of a grant, seen from one of its sources."""
        if selector.kind == "autogroup" and selector.name == "self":
            return self.resolver.texts(self.resolver.self_mask(index))
        return self._selected(selector)


def _hosts(texts: Iterable[str]) -> tuple[str, ...]:
    """Each address as the CIDR of itself alone."""
    return tuple(f"{text}/{ipaddress.ip_address(text).max_prefixlen}" for text in texts)
