"""Who must be there before whom."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blumeops.base.findings import Place
from blumeops.facts.graph import Edge, cycle, edges, in_order
from tests.written import check, passed

PLACE = Place("lab.yaml", 1, 1)


def edge(user: str, used: str) -> Edge:
    """An edge from nowhere in particular."""
    return Edge(user, used, "uses", PLACE)


def test_the_edges_of_a_lab(tmp_path: Path) -> None:
    """Databases, clusters, registries and the forge that Argo CD pulls from, each from its line."""
    files = {
        "lab.yaml": "lab: l\ngitops: {forge: forgejo}\nhosts: {box: {os: linux, role: compute}}\n"
        "clusters: {pods: {host: box, registry: zot}}\n",
        "services/a.yaml": "zot: {host: box}\nforgejo: {host: box}\nargocd: {cluster: pods}\n"
        "postgresql: {cluster: pods}\nminiflux: {host: box, database: postgresql}\n",
    }
    found = [(str(e.place), e.user, e.why, e.used) for e in edges(passed(tmp_path, files).lab)]
    assert found == [
        ("services/a.yaml:3:19", "argocd", "runs in", "cluster:pods"),
        ("lab.yaml:2:17", "argocd", "pulls from", "forgejo"),
        ("services/a.yaml:4:23", "postgresql", "runs in", "cluster:pods"),
        ("services/a.yaml:5:33", "miniflux", "keeps its database in", "postgresql"),
        ("lab.yaml:4:40", "cluster:pods", "pulls its images from", "zot"),
    ]


def test_what_a_service_in_a_cluster_cannot_do_without(tmp_path: Path) -> None:
    """Secrets, a name on the tailnet, an operator: parts of its own cluster, in the order in which they can start."""
    files = {
        "lab.yaml": "lab: l\nnetwork: {tailnet: t.ts.net}\nsecrets: {store: 1password}\n"
        "people: {you: {login: a@b.c}}\nhosts: {box: {os: linux, role: compute}}\n"
        "clusters: {pods: {host: box}, other: {host: box}}\n",
        "services/a.yaml": "postgresql: {cluster: pods, allow: [you]}\nexternal-secrets: {cluster: pods}\n"
        "onepassword-connect: {cluster: pods}\ncloudnative-pg: {cluster: pods}\ntailscale-operator: {cluster: other}\n"
        "kiwix: {cluster: other}\n",
    }
    checked = check(tmp_path, files)
    assert [(e.user, e.why, e.used) for e in checked.facts.edges if not e.used.startswith("cluster:")] == [
        ("postgresql", "gets its secrets by", "external-secrets"),
        ("postgresql", "is run by", "cloudnative-pg"),
        ("external-secrets", "fetches secrets from", "onepassword-connect"),
    ]
    order = list(checked.facts.services)
    assert order.index("onepassword-connect") < order.index("external-secrets") < order.index("postgresql")
    assert [finding.code for finding in checked.findings] == ["BLU306"]


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        ([], []),
        ([("a", "b"), ("b", "c")], []),
        ([("a", "a")], [("a", "a")]),
        ([("x", "a"), ("a", "b"), ("b", "a"), ("b", "y")], [("a", "b"), ("b", "a")]),
        ([("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")], [("b", "c"), ("c", "d"), ("d", "b")]),
    ],
)
def test_a_cycle_is_a_path_that_ends_where_it_begins(
    pairs: list[tuple[str, str]], wanted: list[tuple[str, str]]
) -> None:
    """Only what is on the ring is in it, whichever edge comes first."""
    found = [(e.user, e.used) for e in cycle([edge(*pair) for pair in pairs])]
    rings = [wanted[turn:] + wanted[:turn] for turn in range(len(wanted))] or [[]]
    assert found in rings


NAMES = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(NAMES, NAMES)))
def test_either_an_order_or_a_cycle(pairs: list[tuple[str, str]]) -> None:
    """What is found is a closed ring of edges that are there; else everything has a place behind what it needs."""
    all_edges = [edge(*pair) for pair in pairs]
    ring = cycle(all_edges)
    if ring:
        assert set(ring) <= set(all_edges)
        assert all(one.used == two.user for one, two in itertools.pairwise([*ring, ring[0]]))
        return
    needs: dict[str, list[str]] = {}
    for user, used in pairs:
        needs.setdefault(user, []).append(used)
    order = in_order(sorted({name for pair in pairs for name in pair}), needs)
    assert all(order.index(used) < order.index(user) for user, used in pairs)


def test_services_start_behind_what_they_need(tmp_path: Path) -> None:
    """Whatever the order in the file; the same order every time."""
    files = {
        "services/a.yaml": "miniflux: {host: box, database: db}\ndb: {host: box, app: postgresql}\ncaddy: {host: box}\n"
    }
    checked = passed(tmp_path, files)
    assert list(checked.facts.services) == ["db", "caddy", "miniflux"]
    assert checked.facts.services["miniflux"].needs == ("db",)


def test_every_cycle_is_told_with_the_edge_to_break(tmp_path: Path) -> None:
    """Two rings are two findings, each at a line that a person can change."""
    files = {
        "services/a.yaml": "a: {host: box, app: grafana, database: a}\n"
        "b: {cluster: pods, app: grafana, database: c, ports: {http: 3001}}\n"
        "c: {cluster: pods, app: grafana, database: b, ports: {http: 3002}}\n"
    }
    assert [str(finding) for finding in check(tmp_path, files).findings if finding.code == "BLU301"] == [
        "services/a.yaml:1:40: BLU301 a: keeps its database in a: nothing could start first; give a another database",
        (
            "services/a.yaml:2:44: BLU301 b: keeps its database in c, which keeps its database in b: "
            "nothing could start "
            "first; place c elsewhere, or give b another database"
        ),
    ]
