"""What must be true of every policy in every tailnet, and that nothing makes the engine fall over."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from blumeops.base.findings import Place
from blumeops.facts import policy
from blumeops.facts.policy import addresses
from blumeops.facts.policy.filters import FilterRule
from blumeops.facts.policy.model import WITH_PORTS
from blumeops.facts.policy.read import SECTIONS
from blumeops.facts.policy.survey import survey

PLACE = Place("policy.hujson", 1, 1)
USERS = ["ann@example.com", "bob@example.com", "eve@example.org"]
TAGS = ["tag:a", "tag:b", "tag:router"]
ROUTES = ["10.0.0.0/16", "10.0.1.0/24", "192.168.0.0/16", "fd00:1::/64"]
NAMES = {
    "groups": {"group:x": USERS[:2], "group:none": []},
    "tagOwners": {tag: [] for tag in TAGS},
    "hosts": {"lan": "10.0.0.0/16", "box": "100.64.0.2", "far": "192.168.7.7"},
    "ipsets": {"ipset:i": ["10.0.0.0/16", "remove 10.0.1.0/24", "add 100.64.0.1-100.64.0.3"]},
    "postures": {"posture:mac": ["node:os == 'macos'"], "posture:new": ["custom:v >= 2"]},
}
PEOPLE = [*USERS, "group:x", "group:none", "autogroup:member", "autogroup:admin", "user:*@example.com"]
SOURCES = [*PEOPLE, *TAGS, "*", "lan", "box", "ipset:i", "100.64.0.1", "fd7a:115c:a1e0::2", "10.0.0.0/8",
           "autogroup:tagged", "autogroup:shared", "autogroup:danger-all"]  # fmt: skip
TARGETS = [*PEOPLE, *TAGS, "*", "lan", "box", "far", "ipset:i", "100.64.0.0/29", "10.0.1.0/24", "fd00:1::/64",
           "8.8.8.0/24", "autogroup:tagged", "autogroup:internet", "svc:s"]  # fmt: skip
PORTS = ["*", "80", "443", "80-90", "tcp:443", "udp:53", "icmp:*", "47:*", "sctp:1-65535"]


def few(values: list[str]) -> st.SearchStrategy[list[str]]:
    """One to three of them."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=3)


GRANTS = st.one_of(
    st.fixed_dictionaries({"src": few(SOURCES), "dst": few(TARGETS), "ip": few(PORTS)}),
    st.fixed_dictionaries({"src": few(PEOPLE), "dst": st.just(["autogroup:self"]), "ip": few(PORTS)}),
    st.fixed_dictionaries({"src": few(SOURCES), "dst": few(TARGETS), "ip": few(PORTS), "via": few(TAGS)}),
    st.fixed_dictionaries(
        {"src": few(SOURCES), "dst": few(TARGETS), "ip": few(PORTS), "srcPosture": few(["posture:mac", "posture:new"])}
    ),
)
RULES = st.lists(GRANTS, max_size=5)


@st.composite
def tailnets(draw: st.DrawFn) -> policy.Tailnet:
    """A few nodes: people's, shared, tagged; with both families, one, or no address at all; some route."""
    nodes = []
    for number in range(draw(st.integers(1, 5))):
        own = [f"100.64.0.{number}", f"fd7a:115c:a1e0::{number or 9}"]
        tags = draw(st.lists(st.sampled_from(TAGS), max_size=2, unique=True))
        routes = (
            draw(st.lists(st.sampled_from([*ROUTES, "0.0.0.0/0", "::/0"]), max_size=2, unique=True)) if tags else []
        )
        nodes.append(
            policy.Node(
                f"n{number}",
                "" if tags else draw(st.sampled_from(USERS)),
                tuple(tags),
                tuple(draw(st.sampled_from([own, own[:1], own[1:]]))),
                tuple(routes),
                draw(st.sampled_from([{}, {"node:os": "macos"}, {"node:os": "linux", "custom:v": 3}])),
                not tags and draw(st.integers(0, 9)) == 0,
            )
        )
    roles = {"ann@example.com": "admin"} if draw(st.booleans()) else {}
    return policy.Tailnet(tuple(nodes), roles, (policy.Service("svc:s", ("100.64.9.9",), ("n0",)),))


def read(grants: list[dict[str, Any]]) -> policy.Policy:
    """The policy of some grants."""
    found = policy.build({**NAMES, "grants": grants}, PLACE)
    assert found.policy, found.findings
    return found.policy


ENDS = [
    "svc:s",
    "10.0.0.9",
    "10.0.1.9",
    "192.168.7.7",
    "8.8.8.8",
    "fd00:1::5",
    "100.64.0.0",
    "100.64.0.3",
    "fd7a:115c:a1e0::1",
]
ASKED = [(22, 6), (80, 6), (443, 6), (85, 17), (53, 17), (0, 1), (0, 47), (9, 132)]


def columns(tailnet: policy.Tailnet) -> list[policy.Column]:
    """Every destination at every port that is asked for."""
    ends = [*(node.name for node in tailnet.nodes), *ENDS]
    return [policy.Column(end, port, protocol) for end in ends for port, protocol in ASKED]


@given(RULES, tailnets())
def test_the_matrix_equals_every_pair(grants: list[dict[str, Any]], tailnet: policy.Tailnet) -> None:
    """What is asked of all at once is what walking the rules for each pair says."""
    engine = policy.Engine(read(grants), tailnet)
    matrix = engine.matrix(columns(tailnet))
    for column, asked in enumerate(matrix.columns):
        for row, source in enumerate(matrix.sources):
            decision = engine.decide(source, asked.destination, asked.port, asked.protocol)
            assert matrix.reaches(row, column) == decision.allowed, (source, asked, decision.because)


@given(RULES, GRANTS, tailnets())
def test_adding_a_grant_never_takes_reach_away(
    grants: list[dict[str, Any]], more: dict[str, Any], tailnet: policy.Tailnet
) -> None:
    """Rules only add."""
    before = policy.Engine(read(grants), tailnet).matrix(columns(tailnet))
    after = policy.Engine(read([*grants, more]), tailnet).matrix(columns(tailnet))
    assert all(old & new == old for old, new in zip(before.masks, after.masks, strict=True))


@given(RULES, st.randoms(use_true_random=False), tailnets())
def test_order_means_nothing(grants: list[dict[str, Any]], random: Any, tailnet: policy.Tailnet) -> None:
    """Neither of rules, nor inside them."""
    mixed = [
        {key: random.sample(value, len(value)) if isinstance(value, list) else value for key, value in grant.items()}
        for grant in random.sample(grants, len(grants))
    ]
    one, two = policy.Engine(read(grants), tailnet), policy.Engine(read(mixed), tailnet)
    assert one.matrix(columns(tailnet)).masks == two.matrix(columns(tailnet)).masks
    for node in tailnet.nodes:
        assert atoms(one.filter(node.name)) == atoms(two.filter(node.name))


def atoms(rules: list[FilterRule]) -> set[tuple[object, ...]]:
    """A filter as a set."""
    return {
        (source, destination, protocol)
        for rule in rules
        for source in rule.sources
        for destination in rule.destinations
        for protocol in rule.protocols
    }


def passes(rules: list[FilterRule], source: str, destination: str, port: int, protocol: int) -> bool:
    """Whether a packet filter lets a packet through, as a client decides it."""

    def holds(text: str, address: str) -> bool:
        return text == "*" or addresses.parse(text).holds(*addresses.number(address))

    return any(
        protocol in rule.protocols
        and any(holds(text, source) for text in rule.sources)
        and any(
            holds(text, destination) and (protocol not in WITH_PORTS or first <= port <= last)
            for text, first, last in rule.destinations
        )
        for rule in rules
    )


@given(RULES, tailnets())
def test_a_nodes_filter_lets_through_what_is_decided(grants: list[dict[str, Any]], tailnet: policy.Tailnet) -> None:
    """For the node's own addresses, by each family alone, the packet filter and the decision agree."""
    engine = policy.Engine(read([grant for grant in grants if "via" not in grant]), tailnet)
    for destination in tailnet.nodes:
        rules = engine.filter(destination.name)
        for source in tailnet.nodes:
            for own in source.addresses:
                for address in destination.addresses:
                    if (":" in own) != (":" in address):
                        continue
                    for port, protocol in ASKED:
                        decision = engine.decide(own, address, port, protocol)
                        let = passes(rules, own, address, port, protocol)
                        assert let == decision.allowed, (own, address, port, protocol, decision.because)


@given(RULES, tailnets())
def test_the_survey_shows_what_is_open(grants: list[dict[str, Any]], tailnet: policy.Tailnet) -> None:
    """A cell is empty exactly where no port is open."""
    engine = policy.Engine(read(grants), tailnet)
    found = survey(read(grants), tailnet)
    for source, row in zip(found.sources, found.cells, strict=True):
        for destination, cell in zip(found.destinations, row, strict=True):
            if destination in engine._resolver.number:
                asked = [engine.decide(source, destination, port, protocol).allowed for port, protocol in ASKED]
                assert bool(cell) >= any(asked)
    survey(read(grants))


KEYS = ["action", "src", "dst", "ip", "app", "via", "users", "proto", "accept", "deny", "check", "target", "attr",
        "routes", "srcPosture", "srcPostureAttrs", "checkPeriod", "exitNode", "group:x", "ipset:i"]  # fmt: skip
WORDS = [*SOURCES, *TARGETS, *PORTS, "accept", "", "autogroup:nonroot"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(SECTIONS), JSON, max_size=6), tailnets())
@example({"tests": [{"src": "box", "accept": ["far:80"]}], "hosts": {"box": "1.1.1.1", "far": "::1"}}, policy.Tailnet())
def test_anything_in_the_shape_of_a_policy_is_judged(data: dict[str, Any], tailnet: policy.Tailnet) -> None:
    """Never an exception: findings, or a policy of which everything can be asked."""
    text = json.dumps(data)
    found = policy.read(text.encode(errors="replace"), "policy.hujson")
    assert found.policy is not None or found.findings
    for finding in found.findings:
        assert "\n" not in str(finding) and len(str(finding)) < 1000
    if found.policy is None:
        return
    engine = policy.Engine(found.policy, tailnet)
    policy.run_tests(found.policy, tailnet)
    policy.foreign_domains(found.policy, tailnet)
    engine.matrix(columns(tailnet))
    survey(found.policy)
    for node in tailnet.nodes:
        engine.filter(node.name)
        [login.as_json() for login in engine.ssh(node.name)]
        engine.attributes(node.name)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:/*\\ \nabtu01-.e', max_size=60).map(str.encode))
def test_any_bytes_are_judged(text: bytes) -> None:
    """No text makes the readers raise."""
    policy.read(text, "f")
    policy.read_tailnet(text, "f")
