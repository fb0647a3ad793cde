"""Who must be there before whom: edges with their reasons, an order, and cycles as paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from blumeops.base.findings import Place
from blumeops.lab.model import Lab


@dataclass(frozen=True, slots=True)
class Edge:
    """`user` cannot start before `used`. Clusters are nodes too: `cluster:NAME`."""

    user: str
    used: str
    why: str
    place: Place


def cluster_node(name: str) -> str:
    """A cluster's name in the graph."""
    return f"cluster:{name}"


def edges(lab: Lab) -> tuple[Edge, ...]:
    """Every edge whose two ends are described."""
    found = []
    for name, service in lab.services.items():
        if service.database:
            place = lab.service_place(name, "database")
            found.append(Edge(name, service.database, "keeps its database in", place))
        if service.cluster:
            place = lab.service_place(name, "cluster")
            found.append(Edge(name, cluster_node(service.cluster), "runs in", place))
        app = lab.app_of(name)
        if app and app.app == "argocd" and lab.settings.gitops.forge:
            place = lab.place("gitops", "forge")
            found.append(Edge(name, lab.settings.gitops.forge, "pulls from", place))
    for name, cluster in lab.settings.clusters.items():
        if cluster.registry:
            place = lab.place("clusters", name, "registry")
            found.append(Edge(cluster_node(name), cluster.registry, "pulls its images from", place))
    nodes = {*lab.services, *(cluster_node(name) for name in lab.settings.clusters)}
    return tuple(edge for edge in found if edge.user in nodes and edge.used in nodes)


def in_order(names: Iterable[str], needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """`names` so that each stands behind what it needs, else as given. Raises CycleError."""
    sorter: TopologicalSorter[str] = TopologicalSorter({name: needs.get(name, ()) for name in names})
    return tuple(sorter.static_order())


def cycle(all_edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """One cycle as the edges along it, or nothing."""
    by_user: dict[str, dict[str, Edge]] = {}
    for edge in all_edges:
        by_user.setdefault(edge.user, {})[edge.used] = edge
    try:
        in_order(by_user, {user: list(used) for user, used in by_user.items()})
    except CycleError as error:
        path: list[str] = list(reversed(error.args[1]))
        return tuple(by_user[user][used] for user, used in pairwise(path))
    return ()
