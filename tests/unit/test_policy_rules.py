"""What rules mean, where the captures have nothing: postures, IP sets, services, exits, roles, places of decisions."""

from __future__ import annotations

from typing import Any

import pytest

from blumeops.base.findings import Place
from blumeops.facts import policy
from blumeops.facts.policy import addresses, posture

PLACE = Place("policy.hujson", 1, 1)
ANN, BOB = "ann@example.com", "bob@example.com"
NODES = (
    policy.Node("ann", ANN, (), ("100.64.0.1", "fd7a:115c:a1e0::1"), posture={"node:os": "macos", "custom:score": 80}),
    policy.Node("ann2", ANN, (), ("100.64.0.2", "fd7a:115c:a1e0::2"), posture={"node:os": "linux"}),
    policy.Node("bob", BOB, (), ("100.64.0.3",)),
    policy.Node("guest", "eve@elsewhere.org", (), ("100.64.0.4",), shared=True),
    policy.Node("web", "", ("tag:web",), ("100.64.0.5", "fd7a:115c:a1e0::5")),
    policy.Node("router", "", ("tag:router",), ("100.64.0.6",), ("10.1.0.0/16",)),
    policy.Node("exit", "", ("tag:exit",), ("100.64.0.7", "fd7a:115c:a1e0::7"), ("0.0.0.0/0", "::/0")),
)
NET = policy.Tailnet(NODES, {ANN: "admin"}, (policy.Service("svc:feed", ("100.64.9.1",), ("web",)),))
NAMES: dict[str, Any] = {
    "groups": {"group:a": [ANN], "group:none": []},
    "tagOwners": {"tag:web": [], "tag:router": [], "tag:exit": [], "tag:other": []},
    "hosts": {"lan": "10.1.0.0/16", "printer": "10.1.0.9", "bobs": "100.64.0.3"},
    "ipsets": {
        "ipset:lan": ["lan", "remove printer", "add 100.64.0.5"],
        "ipset:none": ["lan", "remove 10.0.0.0/8"],
        "ipset:again": ["add ipset:lan", "remove 10.1.128.0-10.1.255.255", "add 10.1.200.1"],
        "ipset:world": ["autogroup:internet", "remove 8.8.8.0/24"],
    },
    "postures": {
        "posture:mac": ["node:os == 'macos'"],
        "posture:good": ["node:os == 'macos'", "custom:score >= 90"],
        "posture:linux": ["node:os IN ['linux', 'freebsd']"],
    },
}


def engine(*grants: dict[str, Any], **sections: Any) -> policy.Engine:
    """An engine for some grants."""
    read = policy.build({**NAMES, "grants": [{"ip": ["*"], **grant} for grant in grants], **sections}, PLACE)
    assert read.policy, [str(finding) for finding in read.findings]
    return policy.Engine(read.policy, NET)


def reach(asked: policy.Engine, destination: str, port: int = 443) -> list[str]:
    """The nodes that reach a destination."""
    return [node.name for node in NODES if asked.decide(node.name, destination, port).allowed]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("*", ["ann", "ann2", "bob", "guest", "web", "router", "exit"]),
        (ANN, ["ann", "ann2"]),
        ("ANN@example.com", ["ann", "ann2"]),
        ("user:*@example.com", ["ann", "ann2", "bob"]),
        ("group:a", ["ann", "ann2"]),
        ("group:none", []),
        ("group:scim@example.com", []),
        ("autogroup:member", ["ann", "ann2", "bob"]),
        ("autogroup:admin", ["ann", "ann2"]),
        ("autogroup:owner", []),
        ("autogroup:shared", ["guest"]),
        ("autogroup:tagged", ["web", "router", "exit"]),
        ("autogroup:danger-all", ["ann", "ann2", "bob", "guest", "web", "router", "exit"]),
        ("tag:router", ["router"]),
        ("100.64.0.2", ["ann2"]),
        ("fd7a:115c:a1e0::/126", ["ann", "ann2"]),
        ("bobs", ["bob"]),
        ("host:bobs", ["bob"]),
        ("100.64.0.0/30", ["ann", "ann2", "bob"]),
        ("ipset:lan", ["web"]),
    ],
)
def test_who_a_source_is(source: str, wanted: list[str]) -> None:
    """Each selector lets out just these nodes."""
    assert reach(engine({"src": [source], "dst": ["*"]}), "exit") == wanted


@pytest.mark.parametrize(
    ("destination", "yes", "no"),
    [
        (
            "autogroup:internet",
            ["9.9.9.9", "2606:4700::1"],
            ["10.1.0.9", "192.168.0.1", "100.64.0.5", "web", "fd00::1"],
        ),
        ("ipset:lan", ["10.1.0.8", "10.1.0.10", "web"], ["10.1.0.9", "10.2.0.1", "bob", "printer"]),
        ("ipset:none", [], ["10.1.0.1", "lan"]),
        ("ipset:again", ["10.1.127.9", "10.1.200.1", "100.64.0.5"], ["10.1.128.0", "10.1.200.2", "10.1.0.9"]),
        ("ipset:world", ["9.9.9.9"], ["8.8.8.8", "10.0.0.1"]),
        ("svc:feed", ["svc:feed"], ["web", "svc:other", "100.64.0.5"]),
        ("*", ["svc:feed", "9.9.9.9", "lan", "web"], []),
        ("lan", ["printer", "10.1.7.7", "lan"], ["10.2.0.1"]),
        ("printer", ["printer"], ["lan", "10.1.0.8"]),
        ("group:a", ["ann", "fd7a:115c:a1e0::2"], ["bob", "web"]),
        ("100.64.0.5", ["web", "100.64.0.5"], ["fd7a:115c:a1e0::5"]),
    ],
)
def test_what_a_destination_is(destination: str, yes: list[str], no: list[str]) -> None:
    """Each selector opens just these ends; the matrix agrees."""
    asked = engine({"src": ["*"], "dst": [destination]})
    for end in (*yes, *no):
        assert asked.decide("ann", end, 443).allowed == (end in yes), end
        assert asked.matrix([policy.Column(end, 443, 6)]).reaches(0, 0) == (end in yes), end


def test_own_devices_are_ones_own() -> None:
    """autogroup:self joins the devices of one user, never tagged or shared ones."""
    asked = engine({"src": ["autogroup:member"], "dst": ["autogroup:self"]})
    assert reach(asked, "ann") == ["ann", "ann2"]
    assert reach(asked, "bob") == ["bob"]
    assert reach(asked, "guest") == reach(asked, "web") == []


@pytest.mark.parametrize(
    ("ip", "yes", "no"),
    [
        ("*", [(1, 6), (65535, 17), (0, 1), (0, 58)], [(0, 47), (22, 132)]),
        ("80", [(80, 6), (80, 17), (0, 1)], [(81, 6)]),
        ("80-90", [(80, 6), (90, 17)], [(79, 6), (91, 6)]),
        ("tcp:443", [(443, 6)], [(443, 17), (0, 1)]),
        ("icmp:*", [(0, 1)], [(0, 58), (443, 6)]),
        ("ipv6-icmp:*", [(0, 58)], [(0, 1)]),
        ("ICMPv6:*", [(0, 58)], [(0, 1)]),
        ("TCP:443", [(443, 6)], [(443, 17)]),
        ("dccp:*", [(0, 33)], [(0, 17)]),
        ("47:*", [(0, 47)], [(0, 1)]),
        ("gre:*", [(0, 47)], [(47, 6)]),
        ("sctp:9-10", [(9, 132)], [(11, 132), (9, 6)]),
        ("47", [(47, 6)], [(0, 47)]),
    ],
)
def test_ports_and_protocols(ip: str, yes: list[tuple[int, int]], no: list[tuple[int, int]]) -> None:
    """What `ip` opens."""
    asked = engine({"src": ["*"], "dst": ["tag:web"], "ip": [ip]})
    for port, protocol in (*yes, *no):
        assert asked.decide("ann", "web", port, protocol).allowed == ((port, protocol) in yes), (port, protocol)
        found = asked.matrix([policy.Column("web", port, protocol)]).reaches(0, 0)
        assert found == ((port, protocol) in yes), (port, protocol)


def test_postures_narrow_the_source() -> None:
    """All of a posture, one of several; the default's place is taken, not added to."""
    assert reach(engine({"src": ["*"], "dst": ["tag:web"], "srcPosture": ["posture:mac"]}), "web") == ["ann"]
    both = ["posture:mac", "posture:linux"]
    assert reach(engine({"src": ["*"], "dst": ["tag:web"], "srcPosture": both}), "web") == ["ann", "ann2"]
    assert reach(engine({"src": ["*"], "dst": ["tag:web"], "srcPosture": ["posture:good"]}), "web") == []
    default = {"defaultSrcPosture": ["posture:mac"]}
    assert reach(engine({"src": ["*"], "dst": ["tag:web"]}, **default), "web") == ["ann"]
    own = {"src": ["*"], "dst": ["tag:web"], "srcPosture": ["posture:linux"]}
    assert reach(engine(own, **default), "web") == ["ann2"]
    posed = engine({"src": ["*"], "dst": ["tag:web"], "srcPosture": ["posture:mac"]})
    assert [rule.sources for rule in posed.filter("web")] == [("100.64.0.1", "fd7a:115c:a1e0::1")]
    assert not posed.decide("10.1.0.7", "web", 443).allowed


@pytest.mark.parametrize(
    ("text", "attributes", "wanted"),
    [
        ("node:os == 'macos'", {"node:os": "macos"}, True),
        ('node:os == "macos"', {"node:os": "linux"}, False),
        ("node:os != 'macos'", {"node:os": "linux"}, True),
        ("node:os != 'macos'", {}, False),
        ("node:os NOT IN ['a', 'b']", {"node:os": "c"}, True),
        ("node:os not in ['a']", {}, False),
        ("node:os IN ['a','b']", {"node:os": "b"}, True),
        ("node:os IS SET", {"node:os": ""}, True),
        ("node:os IS SET", {}, False),
        ("node:os NOT SET", {}, True),
        ("node:os NOT SET", {"node:os": "x"}, False),
        ("node:tsAutoUpdate", {"node:tsAutoUpdate": True}, True),
        ("node:tsAutoUpdate", {"node:tsAutoUpdate": False}, False),
        ("node:tsAutoUpdate == false", {"node:tsAutoUpdate": False}, True),
        ("node:tsVersion >= '1.40'", {"node:tsVersion": "1.40.0"}, True),
        ("node:tsVersion >= '1.40'", {"node:tsVersion": "1.9.9"}, False),
        ("node:tsVersion < '1.10'", {"node:tsVersion": "1.9"}, True),
        ("node:tsVersion > '1.40'", {"node:tsVersion": "1.40.0"}, False),
        ("custom:score >= 70", {"custom:score": 70}, True),
        ("custom:score >= 70", {"custom:score": 69.5}, False),
        ("custom:score > 9", {"custom:score": 10}, True),
        ("custom:score == 70", {"custom:score": "70"}, True),
        ("custom:score > 9", {"custom:score": True}, False),
    ],
)
def test_assertions(text: str, attributes: dict[str, Any], wanted: bool) -> None:
    """An attribute that is not set matches nothing but NOT SET; versions are compared by their numbers."""
    assert posture.parse(text).holds(attributes) is wanted


def test_via_is_who_carries_it() -> None:
    """Only a router with such a tag, and only what it routes; nobody's own address."""
    asked = engine(
        {"src": [ANN], "dst": ["lan", "tag:web"], "via": ["tag:router"]},
        {"src": [BOB], "dst": ["autogroup:internet"], "via": ["tag:exit"]},
        {"src": [BOB], "dst": ["lan"], "via": ["tag:exit"]},
    )
    assert asked.decide("ann", "printer", 80).allowed and asked.decide("ann", "printer", 80).routers == ("router",)
    assert not asked.decide("ann", "web", 80).allowed
    assert asked.decide("bob", "9.9.9.9", 80).routers == ("exit",)
    assert not asked.decide("bob", "printer", 80).allowed
    assert [rule.destinations for rule in asked.filter("router")] == [(("10.1.0.0/16", 0, 65535),)]
    assert asked.filter("web") == []


def test_an_exit_node_is_told_of_the_internet() -> None:
    """What an approved exit carries, and nothing private; other nodes are told nothing."""
    asked = engine({"src": [ANN], "dst": ["autogroup:internet"]})
    (rule,) = asked.filter("exit")
    told = addresses.union(addresses.parse(text) for text, _, _ in rule.destinations)
    assert told == addresses.INTERNET
    assert asked.filter("router") == asked.filter("web") == []


def test_a_service_is_at_its_hosts() -> None:
    """The node that serves it is told of its address; its name is a destination."""
    asked = engine({"src": ["autogroup:member"], "dst": ["svc:feed"], "ip": ["tcp:443"]})
    assert [rule.destinations for rule in asked.filter("web")] == [(("100.64.9.1", 443, 443),)]
    assert asked.filter("router") == []
    assert reach(asked, "svc:feed") == ["ann", "ann2", "bob"]


def test_a_decision_names_every_rule_with_its_place() -> None:
    """Rules of our own data have the place that each was given; a denial has none."""
    here = [Place("services/a.yaml", line, 3) for line in (1, 7, 9)]
    read = policy.build(
        {
            "tagOwners": {"tag:web": []},
            "grants": [
                policy.Placed({"src": [ANN], "dst": ["tag:web"], "ip": ["tcp:443"]}, here[0]),
                policy.Placed({"src": ["*"], "dst": ["*"], "ip": ["80"]}, here[1]),
                policy.Placed({"src": ["autogroup:member"], "dst": ["*"], "ip": ["443"]}, here[2]),
            ],
        },
        PLACE,
    )
    assert read.policy
    asked = policy.Engine(read.policy, NET)
    found = asked.decide("ann", "web", 443)
    assert [rule.place for rule in found.because] == [here[0], here[2]]
    assert str(found.because[0]) == f"grants[0]: {ANN} to tag:web tcp:443"
    assert asked.decide("ann", "web", 22).because == ()


def test_a_finding_about_our_own_data_has_its_place() -> None:
    """What is wrong with a part is told at the place of that part."""
    there = Place("services/a.yaml", 4, 2)
    read = policy.build({"grants": [policy.Placed({"src": ["tag:none"], "dst": ["*"], "ip": ["*"]}, there)]}, PLACE)
    assert [(finding.code, finding.place) for finding in read.findings] == [("BLU230", there)]


def test_names_that_are_none() -> None:
    """An end that is no node, address or service is an error of the caller's."""
    asked = engine()
    for name in ("nobody", "", "tag:web", "1.2.3"):
        with pytest.raises(LookupError):
            asked.decide("ann", name, 80)
        with pytest.raises(LookupError):
            asked.matrix([policy.Column(name, 80, 6)])


def test_nodes_without_addresses_are_known_by_name() -> None:
    """A tailnet that is not there yet can be asked about; addresses in the policy are nobody's there."""
    nodes = (policy.Node("ann", ANN), policy.Node("web", tags=("tag:web",)))
    by_name = {"src": [ANN], "dst": ["tag:web"], "ip": ["443"]}
    by_address = {"src": ["100.64.0.1"], "dst": ["100.64.0.2"], "ip": ["22"]}
    read = policy.build({**NAMES, "grants": [by_name, by_address]}, PLACE)
    assert read.policy
    asked = policy.Engine(read.policy, policy.Tailnet(nodes))
    assert asked.decide("ann", "web", 443).allowed and not asked.decide("ann", "web", 22).allowed
    assert asked.matrix([policy.Column("web", 443, 6)]).masks == (1,)
    assert asked.filter("web") == []


def test_approvers_and_attributes() -> None:
    """Subnets of an approved route are approved; attributes add up, each once."""
    asked = engine(
        autoApprovers={"routes": {"10.0.0.0/8": ["tag:router"], "0.0.0.0/0": ["tag:router"]}, "exitNode": ["tag:exit"]},
        nodeAttrs=[
            {"target": ["tag:web", "*"], "attr": ["funnel", "a"]},
            {"target": ["group:a"], "attr": ["funnel", "b"]},
        ],
    )
    assert asked.approves("router", "10.1.0.0/16") and asked.approves("router", "10.0.0.0/8")
    assert not asked.approves("router", "11.0.0.0/16") and not asked.approves("web", "10.1.0.0/16")
    assert asked.approves("exit", "::/0") and not asked.approves("router", "0.0.0.0/0")
    assert asked.attributes("ann") == ("funnel", "a", "b") and asked.attributes("web") == ("funnel", "a")


def test_capabilities_go_to_devices_and_back() -> None:
    """A grant of drive tells both ends; parameters are passed on as they are."""
    app = {"tailscale.com/cap/drive": [{"shares": ["*"]}], "example.com/x": [{"n": 1}]}
    asked = engine({"src": [BOB], "dst": ["tag:web"], "ip": [], "app": app})
    (there,) = asked.filter("web")
    assert there.as_json() == {
        "SrcIPs": ["100.64.0.3"],
        "CapGrant": [{"Dsts": ["100.64.0.5/32", "fd7a:115c:a1e0::5/128"], "CapMap": app}],
    }
    (back,) = asked.filter("bob")
    assert back.sources == ("100.64.0.5", "fd7a:115c:a1e0::5")
    assert back.capabilities == {"tailscale.com/cap/drive-sharer": None}
    assert not asked.decide("bob", "web", 443).allowed
