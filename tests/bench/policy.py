"""The policy engine: a large tailnet's whole matrix, its filters, and a long policy file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from blumeops.facts import policy as engine

NODES, SERVICES, RULES = 1_000, 1_000, 10_000


def tailnet(nodes: int) -> engine.Tailnet:
    """Half of the nodes are people's, half are tagged; some route."""
    made = []
    for number in range(nodes):
        address = (f"100.64.{number >> 8}.{number & 255}", f"fd7a:115c:a1e0::{number + 1:x}")
        if number % 2:
            made.append(engine.Node(f"n{number}", f"user{number % 400}@example.com", addresses=address))
        else:
            routes = (f"10.{number >> 8}.{number & 255}.0/24",) if number % 10 == 0 else ()
            made.append(engine.Node(f"n{number}", tags=(f"tag:t{number % 300}",), addresses=address, routes=routes))
    return engine.Tailnet(tuple(made))


def text(rules: int) -> bytes:
    """A policy of as many grants: groups, users, tags, addresses, everything; single ports, ranges, protocols."""
    groups = {f"group:g{g}": [f"user{(g * 7 + u) % 400}@example.com" for u in range(20)] for g in range(100)}
    grants = [
        {
            "src": [f"group:g{r % 100}", f"tag:t{r * 3 % 300}", f"user{r % 400}@example.com"],
            "dst": [f"tag:t{r * 11 % 300}", f"100.64.{r % 4}.{r * 13 % 256}", "*" if r % 1000 == 0 else "10.1.0.0/16"],
            "ip": [f"tcp:{1 + r * 17 % 60000}", f"udp:{1 + r % 2000}-{2001 + r % 2000}"],
        }
        for r in range(rules)
    ]
    tags = {f"tag:t{t}": ["autogroup:admin"] for t in range(300)}
    return json.dumps({"groups": groups, "tagOwners": tags, "grants": grants}, indent=1).encode()


def columns(nodes: int, services: int) -> list[engine.Column]:
    """As many services, spread over the nodes, each at a port of its own."""
    return [engine.Column(f"n{s * 7 % nodes}", 1 + s * 17 % 60000, 17 if s % 5 == 0 else 6) for s in range(services)]


def policy(row: Callable[..., None]) -> None:
    """Print the rows: what, seconds, bar, a remark."""
    written = text(RULES)
    began = time.perf_counter()
    read = engine.read(written, "policy.hujson")
    row(f"policy: {len(written) / 1e6:.1f} MB, {RULES:,} rules, read and checked", time.perf_counter() - began, 5)
    assert read.policy, read.findings[:3]
    took = {}
    for nodes in (NODES, 10 * NODES):
        began = time.perf_counter()
        found = engine.Engine(read.policy, tailnet(nodes)).matrix(columns(nodes, SERVICES))
        took[nodes] = time.perf_counter() - began
        assert found.count()
    row(f"policy: matrix, {NODES:,} nodes by {SERVICES:,} services", took[NODES], 1, f"{RULES:,} rules")
    row(f"policy: matrix, {10 * NODES:,} nodes by {SERVICES:,} services", took[10 * NODES], 10,
        f"a node costs {took[10 * NODES] / took[NODES] / 10:.2f} of what it did")  # fmt: skip
    large = engine.Engine(read.policy, tailnet(NODES))
    began = time.perf_counter()
    for number in range(20):
        large.filter(f"n{number}")
    row("policy: the packet filter of a node", (time.perf_counter() - began) / 20, 0.2)
