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
    there = parts(lab)
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
        found += _in_cluster(lab, name, there)
        member = lab.members.get(name)
        found += [Edge(name, other, "depends on", place) for other, place in (member.needs if member else ())]
    for name, cluster in lab.settings.clusters.items():
        if cluster.registry:
            place = lab.place("clusters", name, "registry")
            found.append(Edge(cluster_node(name), cluster.registry, "pulls its images from", place))
    nodes = {*lab.services, *(cluster_node(name) for name in lab.settings.clusters)}
    return tuple(edge for edge in found if edge.user in nodes and edge.used in nodes)


def wants(lab: Lab, name: str) -> dict[str, str]:
    """The parts of its cluster that a service cannot do without, by app, each with what it does for the service.

    A part of the cluster itself brings its own secrets: what delivers secrets has to start without being delivered any.
    """
    service, app = lab.services[name], lab.app_of(name)
    if not service.cluster or app is None:
        return {}
    if app.kind == "platform":
        stored = app.app == "external-secrets" and lab.settings.secrets.store == "1password"
        return {"onepassword-connect": "fetches secrets from"} if stored else {}
    found = {}
    brought = lab.brought.get(name)
    own = brought is not None and any(secret.how == "remoteRef" for secret in brought.secrets)
    if app.secrets or service.secrets or service.database or own:
        found["external-secrets"] = "gets its secrets by"
    if service.allow and lab.settings.network.tailnet:
        found["tailscale-operator"] = "gets its name on the tailnet from"
    if app.app == "postgresql":
        found["cloudnative-pg"] = "is run by"
    return found


def parts(lab: Lab) -> dict[tuple[str, str], str]:
    """The services that are parts of a cluster, by cluster and app."""
    return {
        (service.cluster, app.app): name
        for name, service in lab.services.items()
        if service.cluster and (app := lab.app_of(name)) and app.kind == "platform"
    }


def _in_cluster(lab: Lab, name: str, there: Mapping[tuple[str, str], str]) -> list[Edge]:
    """The edges to those parts of its cluster that are described."""
    place = lab.service_place(name, "cluster")
    cluster = lab.services[name].cluster or ""
    return [
        Edge(name, there[cluster, app], why, place)
        for app, why in wants(lab, name).items()
        if (cluster, app) in there
    ]  # fmt: skip


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
