"""May this source reach that destination, at this port and by this protocol; and which rules say so.

The answer walks every rule and looks at nothing else: it is slow and plain, so that the matrix and the packet filters
can be held against it. Two ends meet by IPv4 or by IPv6. Access is what the policy permits: for an address that is no
node's, `routers` names the nodes that carry packets there, and without one they go nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blumeops.facts.policy import addresses
from blumeops.facts.policy.addresses import EXIT_ROUTES, INTERNET, NOTHING, Addresses, parse, union
from blumeops.facts.policy.model import TCP, WITH_PORTS, Rule, Selector
from blumeops.facts.policy.posture import Attribute
from blumeops.facts.policy.resolve import Mask, Resolver, meets


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection: a node by name, one address (of a node or not), a range, or a Tailscale Service."""

    text: str
    index: int | None = None
    mask: Mask = 0
    """The bits of the node, of the families that are meant."""
    found: Addresses = NOTHING
    """The addresses, where the end is no node."""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, the rules that say so in the order of the policy, and who routes there."""

    source: str
    destination: str
    port: int
    protocol: int
    because: tuple[Rule, ...]
    routers: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Denied unless a rule allows it."""
        return bool(self.because)


def end(resolver: Resolver, text: str) -> End:
    """What a text names: a node, an address or CIDR, `svc:name`, a host of the policy. LookupError for others."""
    if text in resolver.number:
        index = resolver.number[text]
        return End(text, index, resolver.bits[index])
    if text.startswith("svc:"):
        return End(text, service=text)
    try:
        found = resolver.policy.hosts[text].addresses if text in resolver.policy.hosts else parse(text)
    except ValueError:
        raise LookupError(text) from None
    mask = resolver.within(found)
    if (len(found.four) + len(found.six)) == 1 and mask:
        version = 4 if found.four else 6
        low, high = found.of(version)[0]
        if low == high:
            return End(text, resolver.spread(mask)[0], mask, found)
    return End(text, None, 0, found)


def decide(
    resolver: Resolver,
    source: End,
    destination: End,
    port: int = 0,
    protocol: int = TCP,
    attributes: Mapping[str, Attribute] | None = None,
) -> Decision:
    """Hold every rule against the connection. `attributes`: posture to use in place of the source's own."""
    because = [
        rule
        for rule in resolver.policy.rules
        if (source.index is None or resolver.named(rule) & source.mask)
        and _lets_out(resolver, rule, source, attributes)
        and any(
            any(ports.allow(port, protocol) for ports in target.ports)
            and _meet(resolver, rule, source, destination, target.selector)
            for target in rule.targets
        )
    ]
    return Decision(
        source.text, destination.text, port if protocol in WITH_PORTS else 0, protocol, tuple(because),
        routers(resolver, destination) if destination.index is None and not destination.service else (),
    )  # fmt: skip


def routers(resolver: Resolver, destination: End) -> tuple[str, ...]:
    """The nodes that route to all of an address or range: subnet routers, and exit nodes for the internet."""
    return tuple(
        node.name
        for index, node in enumerate(resolver.tailnet.nodes)
        if destination.found and not destination.found - routed(resolver, index)
    )


def routed(resolver: Resolver, index: int) -> Addresses:
    """What a node routes: its subnets, and of the internet the families that it is an exit for."""
    reached = union(map(parse, resolver.subnets[index]))
    for version, route in zip((4, 6), EXIT_ROUTES, strict=True):
        if route in resolver.exits[index]:
            reached |= Addresses(INTERNET.four, ()) if version == 4 else Addresses((), INTERNET.six)
    return reached


def _lets_out(resolver: Resolver, rule: Rule, source: End, attributes: Mapping[str, Attribute] | None) -> bool:
    """Whether the source meets a posture of the rule; an address that is no device's has no attributes."""
    if attributes is not None:
        return meets(resolver.policy, rule.postures, attributes)
    if source.index is None:
        return not rule.postures
    return meets(resolver.policy, rule.postures, resolver.tailnet.nodes[source.index].posture)


def _meet(resolver: Resolver, rule: Rule, source: End, destination: End, selector: Selector) -> bool:
    """Whether the rule lets both ends meet by one family."""
    if selector.kind == "autogroup" and selector.name == "self":
        return destination.index is not None and bool(
            _families(resolver, _out(resolver, rule, source) & resolver.self_mask(destination.index))
            & _families(resolver, destination.mask)
        )
    leaving = _leaving(resolver, rule, source)
    if destination.service:
        meant = selector.kind == "any" or (selector.kind == "service" and selector.name == destination.service)
        return bool(leaving) and meant and not rule.via
    return bool(leaving & _entering(resolver, rule, destination, selector))


def _out(resolver: Resolver, rule: Rule, source: End) -> Mask:
    """The bits of a source node that the rule's sources hold."""
    return resolver.named(rule) & source.mask


def _leaving(resolver: Resolver, rule: Rule, source: End) -> frozenset[int]:
    """The families by which a source may send."""
    if source.index is not None:
        return _families(resolver, _out(resolver, rule, source))
    held = union(resolver.elsewhere(selector) for selector in rule.sources)
    return frozenset(v for v in (4, 6) if source.found.of(v) and not _part(source.found, v) - held)


def _entering(resolver: Resolver, rule: Rule, destination: End, selector: Selector) -> frozenset[int]:
    """The families by which a destination may be reached."""
    if destination.index is not None and not rule.via and selector.kind != "addresses":
        return _families(resolver, resolver.mask(selector) & destination.mask)
    where = destination.found
    if destination.index is not None:
        own = [parse(text) for text in resolver.tailnet.nodes[destination.index].addresses]
        kept = union(each for each in own if _families(resolver, resolver.within(each) & destination.mask))
        where = where or kept
    meant = _meant(selector)
    if rule.via:
        nodes = resolver.tailnet.nodes
        carriers = [index for index, node in enumerate(nodes) if not set(node.tags).isdisjoint(rule.via)]
        meant = meant - (meant - union(routed(resolver, index) for index in carriers))
    if destination.index is not None:  # any of its addresses will do
        return frozenset(v for v in (4, 6) if _part(where, v).overlaps(meant))
    return frozenset(v for v in (4, 6) if where.of(v) and not _part(where, v) - meant)


def _meant(selector: Selector) -> Addresses:
    """The addresses of a destination that are no node's own."""
    if selector.kind == "any":
        return addresses.EVERYWHERE
    if selector.kind == "autogroup" and selector.name == "internet":
        return INTERNET
    return selector.addresses


def _part(found: Addresses, version: int) -> Addresses:
    return Addresses(found.four, ()) if version == 4 else Addresses((), found.six)


def _families(resolver: Resolver, mask: Mask) -> frozenset[int]:
    return frozenset(v for v, part in ((4, mask & resolver.low), (6, mask >> resolver.count)) if part)
