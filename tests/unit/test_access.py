"""Who reaches what in the example lab and in labs made up by Hypothesis: verdicts, the derived policy, its tests."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blumeops.facts import policy as engine
from blumeops.facts.access.access import Access
from blumeops.facts.access.audience import audiences
from blumeops.facts.access.chart import chart
from blumeops.facts.access.document import destinations
from blumeops.facts.access.merged import Merged
from blumeops.facts.access.verdict import reach
from blumeops.facts.derive import derive
from blumeops.lab.app import App, ConfigFile, Port, State
from blumeops.lab.load import load
from blumeops.lab.model import Lab, Service
from blumeops.lab.settings import Cluster, Dns, Host, Network, Person, Settings
from blumeops.lab.yaml import read

LABS = Path(__file__).parents[2] / "labs"


@cache
def example() -> Access:
    """The access of labs/blumeops."""
    lab = load(LABS / "blumeops").lab
    return Access(lab, derive(lab))


FOR_MEMBERS = ("forgejo", "jellyfin", "kiwix", "miniflux", "navidrome", "postgresql", "uptime")


@pytest.mark.parametrize("service", sorted(example().facts.services))
def test_a_member_reaches_what_allows_members_and_nothing_else(service: str) -> None:
    """The promise of `allow:`, for every service of the example."""
    assert reach(example(), "household", service).reachable == (service in FOR_MEMBERS)


@pytest.mark.parametrize("service", sorted(route.service for route in example().facts.routes))
@pytest.mark.parametrize("source", ["erich", "gilbert", "indri", "sifaka", "minikube", "miniflux", "jellyfin"])
def test_admins_and_machines_reach_what_is_routed(source: str, service: str) -> None:
    """A grant to the proxy's address opens every name behind it."""
    assert reach(example(), source, service).reachable


@pytest.mark.parametrize("source", ["internet", "lan"])
@pytest.mark.parametrize("service", ["grafana", "miniflux", "caddy", "postgresql", "jellyfin"])
def test_what_is_not_on_the_tailnet_reaches_no_name(source: str, service: str) -> None:
    """The names resolve for everybody, and lead to addresses that only the tailnet routes."""
    assert not reach(example(), source, service).reachable


NAMES = [
    ("household", "miniflux", "https://feed.tail8d86e.ts.net"),
    ("household", "forgejo", "https://forge.tail8d86e.ts.net"),
    ("household", "postgresql", "pg.tail8d86e.ts.net:5432"),
    ("erich", "grafana", "https://grafana.ops.eblu.me"),
    ("indri", "miniflux", "https://feed.ops.eblu.me"),
    ("minikube", "zot", "https://registry.ops.eblu.me"),
    ("miniflux", "prometheus", "https://prometheus.ops.eblu.me"),
    ("miniflux", "postgresql", "postgresql-rw.postgresql.svc:5432"),
    ("jellyfin", "sifaka:2049", "sifaka.tail8d86e.ts.net"),
    ("alloy", "jellyfin:8096", "127.0.0.1:8096"),
    ("lan", "zot", "192.168.1.50:5000"),  # it listens on all addresses, for the cluster's sake
    ("lan", "indri:22", "192.168.1.50"),  # so do SSH and shares
    ("sifaka", "indri:22", "192.168.1.50"),
    ("erich", "indri:22", "indri.tail8d86e.ts.net"),
]


@pytest.mark.parametrize(("source", "destination", "name"), NAMES)
def test_the_name_to_use_is_the_one_that_works_there(source: str, destination: str, name: str) -> None:
    """Pods and containers resolve no MagicDNS; people use it, machines the proxy."""
    text, _, port = destination.partition(":")
    found = reach(example(), source, text, int(port) if port else None)
    assert (found.reachable, found.name) == (True, name)


CHAINS = [
    ("household", "grafana", "services/cluster.yaml", 10),
    ("household", "miniflux", "services/cluster.yaml", 16),
    ("sifaka", "grafana", "lab.yaml", 8),
    ("minikube", "grafana", "lab.yaml", 28),
    ("internet", "grafana", "lab.yaml", 7),
]


@pytest.mark.parametrize(("source", "destination", "file", "line"), CHAINS)
def test_the_chain_names_the_line_that_decides(source: str, destination: str, file: str, line: int) -> None:
    """Allowed or denied, the line to change is among those that are told."""
    because = reach(example(), source, destination).because
    assert (file, line) in {(each.place.file, each.place.line) for each in because}


def test_beside_a_host_only_its_own_ports_are_reached() -> None:
    """The home network gets what listens on all addresses, and nothing where the lab says no address."""
    assert not reach(example(), "lan", "indri", 8096).reachable  # jellyfin, on loopback
    assert not reach(example(), "lan", "sifaka", 445).reachable
    assert not reach(example(), "household", "indri", 22).reachable
    assert not reach(example(), "internet", "indri", 22).reachable


def test_an_admins_devices_reach_each_other() -> None:
    """By the line for admins, as everything; a member's have no such line."""
    assert reach(example(), "erich", "erich").reachable
    assert not reach(example(), "household", "household").reachable


def test_a_port_that_nothing_has_is_not_reached() -> None:
    """The port is part of the question."""
    assert reach(example(), "household", "miniflux", 443).reachable
    assert not reach(example(), "household", "miniflux", 8080).reachable
    assert reach(example(), "minikube", "miniflux", 8080).reachable


def test_the_chart_says_what_reach_says() -> None:
    """Each cell of the matrix is the verdict about its pair."""
    found = chart(example())
    for source, row in zip(found.sources, found.cells, strict=True):
        for destination, cell in zip(found.destinations, row, strict=True):
            one = reach(example(), source, destination)
            assert (cell != "", cell) == (one.reachable, str(one.port) if one.reachable else "")


def test_the_audience_of_a_service_is_said_in_a_few_words() -> None:
    """People but for admins, machines that are elsewhere, the home network; of what has no port, nothing."""
    found = audiences(example())
    assert found["miniflux"] == ("household", "machines")
    assert found["grafana"] == ("machines",)
    assert found["postgresql"] == ("household", "machines")  # the proxy leads there
    assert found["zot"] == ("machines", "the home network")
    assert "borgmatic" not in found
    for name, words in found.items():
        assert ("household" in words) == reach(example(), "household", name).reachable
        assert ("the home network" in words) == reach(example(), "lan", name).reachable


def test_an_owned_device_has_no_tag() -> None:
    """Tailscale would take it away from its user."""
    merged = Merged(example())
    assert merged.read.policy
    assert "tag:gilbert" not in merged.read.policy.tag_owners
    assert example().destination("host:gilbert") == "erich@example.com"


# Labs made up: a few hosts, clusters and people, and services that allow some of them.

PEOPLE = {
    "ann": Person(login="ann@example.org", role="admin"), "bob": Person(login="bob@example.org"),
    "eve": Person(login="eve@example.org"),
}  # fmt: skip
HOSTS = {
    "box": Host(os="linux", role="compute"), "nas": Host(os="dsm", role="storage"),
    "lap": Host(os="macos", role="workstation", owner="bob"),
}  # fmt: skip
ALLOWED = ("members", "admins", "bob", "eve", "staff", "box", "nas", "lap", "cluster", "s0", "s1")


def made(services: Mapping[str, Mapping[str, Any]], egress: str, own: bytes | None = None) -> Access:
    """The access of a lab with these services; `kind` is web (HTTP), db (a TCP port), tcp (one that is routed), both
    (HTTP and one that is routed), or proxy."""
    ports = {"web": {"http": Port(port=8080)}, "db": {"sql": Port(port=5432)},
             "tcp": {"sql": Port(port=5432)}, "both": {"http": Port(port=8080), "sql": Port(port=5432)},
             "proxy": {"https": Port(port=443, entry=True)}}  # fmt: skip
    files = {"Caddyfile": ConfigFile(path="/Caddyfile", derived="routes")}
    apps = {
        kind: App(app=kind, version="1", ports=found, state=State(), files=files if kind == "proxy" else {})
        for kind, found in ports.items()
    }
    every = {
        name: Service(
            app=each["kind"], allow=tuple(each["allow"]), **{each["at"][0]: each["at"][1]},
            ports={"sql": Port(port=5432, routed=7000 + number)} if each["kind"] in ("tcp", "both") else {},
        )
        for number, (name, each) in enumerate(sorted(services.items()))
    }  # fmt: skip
    dns = Dns(provider="gandi", token="op://v/i/f")
    found = Settings(
        lab="made", network=Network(tailnet="x.ts.net", domain="ops.x.org", dns=dns), people=PEOPLE, hosts=HOSTS,
        groups={"staff": ("bob", "eve")},
        clusters={"pods": Cluster(host="box", kind="k3s", egress="operator" if egress == "operator" else "host")},
    )  # fmt: skip
    documents = {"lab.yaml": read(b"lab: made", "lab.yaml"), "services/s.yaml": read(b"{}", "services/s.yaml")}
    lab = Lab(found, every, apps, {}, documents, dict.fromkeys(every, "services/s.yaml"), own)
    return Access(lab, derive(lab))


def services() -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    """A proxy and up to five services."""
    one = st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["web", "db", "tcp", "both"]),
            "at": st.sampled_from([("host", "box"), ("cluster", "pods")]),
            "allow": st.lists(st.sampled_from(ALLOWED), max_size=3, unique=True),
        }
    )
    proxy = {"kind": "proxy", "at": ("host", "box"), "allow": []}
    return st.lists(one, min_size=2, max_size=5).map(
        lambda found: {"caddy": proxy, **{f"s{number}": each for number, each in enumerate(found)}}
    )


EGRESS = st.sampled_from(["host", "operator"])
SOURCES = ("person:ann", "person:bob", "person:eve", "host:box", "host:nas", "host:lap")


def opened(access: Access) -> set[tuple[str, str, int]]:
    """Who reaches what on the tailnet."""
    return {
        (source, *end) for source in SOURCES for end in destinations(access) if access.derived(source, *end)
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(services(), EGRESS)
def test_a_derived_policy_is_valid_and_passes_its_own_tests(found: dict[str, Any], egress: str) -> None:
    """Tailscale would take it: no finding, and no assertion fails."""
    merged = Merged(made(found, egress))
    assert not merged.read.findings
    assert merged.read.policy
    trials = engine.run_tests(merged.read.policy, merged.tailnet)
    assert trials
    assert [trial.text for trial in trials if not trial.passed] == []


@settings(max_examples=60, deadline=None)
@given(services(), EGRESS)
def test_looking_up_grants_says_what_the_engine_says(found: dict[str, Any], egress: str) -> None:
    """Without a policy of the lab's own the engine is not asked: it would say the same."""
    access = made(found, egress)
    asked = Merged(access)
    for source in SOURCES:
        for end, port in destinations(access):
            for number in (port, port + 1):
                plain, by_engine = access.derived(source, end, number), asked.lets(source, end, number)
                assert {each.text for each in plain} == {each.text for each in by_engine}, (source, end, number)


@settings(max_examples=60, deadline=None)
@given(services(), EGRESS, st.sampled_from(ALLOWED), st.integers(0, 1))
def test_an_allow_that_is_added_takes_nothing_away(found: dict[str, Any], egress: str, entry: str, which: int) -> None:
    """Grants only allow."""
    before = opened(made(found, egress))
    name = f"s{which}"
    more = {**found, name: {**found[name], "allow": [*dict.fromkeys([*found[name]["allow"], entry])]}}
    assert before <= opened(made(more, egress))


@settings(max_examples=40, deadline=None)
@given(services(), EGRESS, st.randoms(use_true_random=False))
def test_order_means_nothing(found: dict[str, Any], egress: str, chance: random.Random) -> None:
    """Services and the entries of `allow:` in another order: the same access, the same policy."""
    shuffled = {name: {**each, "allow": mixed(each["allow"], chance)} for name, each in mixed(found.items(), chance)}
    one, other = made(found, egress), made(shuffled, egress)
    assert opened(one) == opened(other)
    # Sources stand in the order in which they are written; everything else in the order of names.
    assert [(g.section, sorted(g.sources), g.destinations) for g in one.grants] == [
        (g.section, sorted(g.sources), g.destinations) for g in other.grants
    ]


def mixed(items: Iterable[Any], chance: random.Random) -> list[Any]:
    """The items in a random order."""
    found = list(items)
    chance.shuffle(found)
    return found


@settings(max_examples=60, deadline=None)
@given(services(), EGRESS)
def test_a_member_is_let_in_by_allow_alone(found: dict[str, Any], egress: str) -> None:
    """A person without the role admin reaches a service exactly when one of its entries means them."""
    access = made(found, egress)
    means = {"bob": {"members", "bob", "staff", "lap"}, "eve": {"members", "eve", "staff"}}
    for person, words in means.items():
        for name, each in found.items():
            if name != "caddy":
                assert reach(access, person, name).reachable == bool(words & set(each["allow"])), (person, name)


def test_a_policy_of_ones_own_is_decided_by_the_engine() -> None:
    """What the file opens beside the lab is part of the verdict, with its line."""
    own = b'{"grants": [\n {"src": ["bob@example.org"], "dst": ["tag:nas"], "ip": ["tcp:445"]}]}'
    access = made({"caddy": {"kind": "proxy", "at": ("host", "box"), "allow": []}}, "host", own)
    assert access.merged is not None
    assert list(access.merged.findings()) == []
    found = reach(access, "bob", "nas", 445)
    assert found.reachable
    assert ("policy.hujson", 2) in {(each.place.file, each.place.line) for each in found.because}
    assert not reach(access, "eve", "nas", 445).reachable


def test_without_a_tailnet_there_is_no_policy() -> None:
    """And everybody beside the hosts reaches what the proxy serves."""
    access = made({"caddy": {"kind": "proxy", "at": ("host", "box"), "allow": []}}, "host")
    lab = replace(access.lab, settings=access.lab.settings.model_copy(update={"network": Network(domain="ops.x.org")}))
    assert Access(lab, derive(lab)).grants == ()


def kept_apart() -> Access:
    """The example, in a cluster whose network enforces NetworkPolicies."""
    lab = load(LABS / "blumeops").lab
    clusters = {
        name: each.model_copy(update={"network_policies": True}) for name, each in lab.settings.clusters.items()
    }
    lab = replace(lab, settings=lab.settings.model_copy(update={"clusters": clusters}))
    return Access(lab, derive(lab))


@pytest.mark.parametrize(
    ("source", "destination", "reachable"),
    [
        ("miniflux", "postgresql", True),  # its database
        ("kiwix", "postgresql:5432", False),
        ("grafana", "loki:3100", True),
        ("grafana", "loki:9095", False),
        ("prometheus", "miniflux:8080", True),  # it reads its metrics
        ("minikube", "postgresql:5432", True),  # any pod, by the proxy: its host may call there
        ("minikube", "miniflux:8080", False),
        ("minikube", "argocd:8080", True),  # nobody closes the namespace of a chart
        ("minikube", "onepassword-connect:8080", False),  # but this one
        ("external-secrets", "onepassword-connect:8080", True),
        ("kiwix", "argocd:8080", False),  # its own pods may not call there
        ("household", "miniflux", True),
    ],
)
def test_pods_that_are_kept_apart_reach_what_a_line_opens(source: str, destination: str, reachable: bool) -> None:
    """Where the cluster says that its network enforces NetworkPolicies, `reach` goes by what they say."""
    name, _, port = destination.partition(":")
    assert reach(kept_apart(), source, name, int(port) if port else None).reachable is reachable


def test_pods_that_nobody_keeps_apart_reach_each_other() -> None:
    """The worst case is said where the lab does not say that something enforces its policies."""
    assert reach(example(), "kiwix", "postgresql", 5432).reachable


def test_a_pod_gets_to_the_proxy_only_where_a_line_leads_there() -> None:
    """The registry lets all pods in, by the proxy: without that line, none gets to a name of the domain."""
    access = kept_apart()
    assert reach(access, "kiwix", "forgejo").reachable
    services = {**access.lab.services, "zot": access.lab.services["zot"].model_copy(update={"allow": ()})}
    lab = replace(access.lab, services=services)
    closed = Access(lab, derive(lab))
    assert not reach(closed, "kiwix", "forgejo").reachable
    said = [reason.text for reason in reach(closed, "kiwix", "forgejo").because]
    assert any("no line lets kiwix call the tailnet" in text for text in said)
