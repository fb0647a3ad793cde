"""What is open between any two ends, in the words of the policy: for a table that a person reads.

Without a tailnet, the policy's own names stand in: a device of each user, of somebody in each group and with each role,
with each tag, and each host that is one address. Such a row says what being that alone gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from blumeops.facts.policy.matrix import Index
from blumeops.facts.policy.model import LAST_PORT, ROLES, USUAL, Policy, Ports, Selector, ports_text
from blumeops.facts.policy.resolve import Resolver
from blumeops.facts.policy.tailnet import Node, Tailnet


@dataclass(frozen=True, slots=True)
class Survey:
    """Sources against destinations; each cell holds the spans of ports that are open, such as `443` and `udp:53`."""

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    cells: tuple[tuple[tuple[str, ...], ...], ...]
    """By source, then by destination."""


def survey(policy: Policy, tailnet: Tailnet | None = None) -> Survey:
    """The nodes of the tailnet against each other, its services and the policy's hosts; else the policy's own names."""
    if tailnet is None:
        policy, tailnet = stand_ins(policy)
    index = Index(Resolver(policy, tailnet))
    sources = tuple(node.name for node in tailnet.nodes)
    services = sorted({s.name for s in _selectors(policy) if s.kind == "service"} | {s.name for s in tailnet.services})
    hosts = [name for name in policy.hosts if name not in sources]
    destinations = tuple(dict.fromkeys((*sources, *services, *hosts)))
    columns = [_texts(index.spans(destination), len(sources)) for destination in destinations]
    return Survey(sources, destinations, tuple(zip(*columns, strict=True)) if columns else ())


def stand_ins(policy: Policy) -> tuple[Policy, Tailnet]:
    """A tailnet of the policy's own names, and the policy with those people in its groups."""
    groups = {name: (*users, name) for name, users in policy.groups.items()}
    roles: dict[str, str] = {}
    nodes = [Node(name, user=name) for name in policy.groups]
    for selector in _selectors(policy):
        name = selector.name
        match selector.kind:
            case "user":
                nodes.append(Node(selector.text, user=name))
            case "group" if name not in groups:
                groups[name] = (name,)
                nodes.append(Node(name, user=name))
            case "autogroup" if name in ROLES or name == "member":
                roles[f"autogroup:{name}"] = name
                nodes.append(Node(f"autogroup:{name}", user=f"autogroup:{name}"))
            case "autogroup" if name == "tagged":
                nodes.append(Node("autogroup:tagged", tags=("tag:",)))
            case _:
                pass
    nodes += [Node(tag, tags=(tag,)) for tag in policy.tag_owners]
    for name, host in policy.hosts.items():
        if len(host.pieces) == 1 and "/" not in host.pieces[0]:
            nodes.append(Node(name, addresses=host.pieces))
    unique = {node.name: node for node in reversed(nodes)}
    return replace(policy, groups=groups), Tailnet(tuple(unique[name] for name in sorted(unique)), roles)


def _selectors(policy: Policy) -> Iterator[Selector]:
    for rule in policy.rules:
        yield from rule.sources
        yield from (target.selector for target in rule.targets)


def _texts(spans: dict[Ports, int], count: int) -> list[tuple[str, ...]]:
    """The open spans for each source; those inside another of the same protocols are left out."""
    ordered = sorted(spans.items(), key=lambda pair: (pair[0].protocols != USUAL, pair[0].protocols, pair[0].first))
    cells = []
    for row in range(count):
        found = [ports for ports, mask in ordered if mask >> row & 1]
        cells.append(tuple(ports_text(ports) for ports in found if not _inside(ports, found)))
    return cells


def _inside(ports: Ports, others: Iterable[Ports]) -> bool:
    return any(
        other != ports
        and set(ports.protocols) <= set(other.protocols)
        and other.first <= ports.first
        and ports.last <= other.last
        for other in others
        if (other.first, other.last) == (0, LAST_PORT) or other.protocols == ports.protocols
    )
