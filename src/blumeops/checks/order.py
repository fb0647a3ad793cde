"""BLU301: everything can start; a cycle is shown as a path with the edge to break."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
from blumeops.facts.graph import cycle
from blumeops.lab.model import Lab


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """No cycle among services and clusters. Cycles are broken at their most changeable edge and searched again."""
    left = facts.edges
    while path := cycle(left):
        # A placement is a decision of many reasons, a registry or database is one line: that is the edge to name.
        worst = next((edge for edge in path if edge.why != "runs in"), path[0])
        start = path.index(worst)
        ring = (*path[start:], *path[:start])
        steps = "; ".join(f"{_shown(e.user)} {e.why} {_shown(e.used)}" for e in ring)
        used = _shown(worst.used)
        hint = f"break it here: place {used} elsewhere, or give {_shown(worst.user)} another"
        message = f"{steps}: nothing could start first"
        yield Finding("BLU301", worst.place, _shown(worst.user), message, hint)
        left = tuple(edge for edge in left if edge != worst)


def _shown(node: str) -> str:
    return node.removeprefix("cluster:")
