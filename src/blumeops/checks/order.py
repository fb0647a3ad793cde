"""BLU301: everything can start; a cycle is shown as a path with the edge to break."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
from blumeops.facts.graph import cycle
from blumeops.lab.model import Lab

MOST = 20
"""Cycles that are told at once: each is looked for anew."""
LONGEST = 12
KINDS = {"keeps its database in": "database", "pulls its images from": "registry", "pulls from": "forge"}


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """No cycle among services and clusters. Cycles are broken at their most changeable edge and searched again."""
    left = facts.edges
    for _ in range(MOST):
        path = cycle(left)
        if not path:
            return
        # A placement is a decision of many reasons, a registry or database is one line: that is the edge to name.
        worst = next((edge for edge in path if edge.why != "runs in"), path[0])
        start = path.index(worst)
        ring = (*path[start:], *path[:start])
        steps = [f"{edge.why} {_shown(edge.used)}" for edge in ring]
        if len(steps) > LONGEST:
            steps[LONGEST // 2 : -LONGEST // 2] = ["…"]
        message = f"{', which '.join(steps)}: nothing could start first"
        used, user = _shown(worst.used), _shown(worst.user)
        hint = f"give {user} another {KINDS.get(worst.why, 'place')}"
        hint = f"place {used} elsewhere, or {hint}" if used != user else hint
        yield Finding("BLU301", worst.place, _shown(worst.user), message, hint)
        left = tuple(edge for edge in left if edge is not worst)


def _shown(node: str) -> str:
    return node.removeprefix("cluster:")
