"""One policy in one tailnet: everything that can be asked of the two together.

Made once for many questions. Decisions walk all rules; the matrix and the filters are indexed.
"""

from __future__ import annotations

from collections.abc import Sequence

from blumeops.facts.policy.addresses import EXIT_ROUTES, parse
from blumeops.facts.policy.decide import Decision, decide, end
from blumeops.facts.policy.filters import FilterRule, Filters
from blumeops.facts.policy.logins import Login, logins
from blumeops.facts.policy.matrix import Column, Matrix, matrix
from blumeops.facts.policy.model import TCP, Policy
from blumeops.facts.policy.resolve import Resolver
from blumeops.facts.policy.tailnet import Tailnet


class Engine:
    """Answers about a policy in a tailnet."""

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self.policy = policy
        self.tailnet = tailnet
        self._resolver = Resolver(policy, tailnet)
        self._filters = Filters(self._resolver)

    def decide(self, source: str, destination: str, port: int = 0, protocol: int = TCP) -> Decision:
        """Whether a node or address reaches a node, an address or a Tailscale Service. LookupError for other names."""
        return decide(self._resolver, end(self._resolver, source), end(self._resolver, destination), port, protocol)

    def matrix(self, columns: Sequence[Column]) -> Matrix:
        """All nodes against the columns. LookupError for a destination that is none."""
        return matrix(self._resolver, columns)

    def filter(self, node: str) -> list[FilterRule]:
        """The packet filter of a node."""
        return self._filters.of(node)

    def ssh(self, node: str) -> list[Login]:
        """The SSH rules of a node, in the order in which they are tried."""
        return logins(self._resolver, self._resolver.number[node])

    def attributes(self, node: str) -> tuple[str, ...]:
        """What `nodeAttrs` gives a node, each once."""
        bits = self._resolver.bits[self._resolver.number[node]]
        found = [
            attribute
            for entry in self.policy.node_attributes
            if self._resolver.select(entry.targets) & bits
            for attribute in entry.attributes
        ]
        return tuple(dict.fromkeys(found))

    def approves(self, node: str, route: str) -> bool:
        """Whether a node may route what it advertises without asking: a route and its subnets, or an exit node.

        Exit nodes are approved by `exitNode` alone: 0.0.0.0/0 among the routes approves none.
        """
        bits = self._resolver.bits[self._resolver.number[node]]
        if route in EXIT_ROUTES:
            return bool(self._resolver.select(self.policy.approvers.exit_node) & bits)
        wanted = parse(route)
        return any(
            not wanted - parse(text) and self._resolver.select(who) & bits
            for text, who in self.policy.approvers.routes
            if text not in EXIT_ROUTES
        )
