"""The policy engine against what Tailscale's control plane did: every capture, as far as the captures are here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from blumeops.base.findings import errors
from blumeops.facts import policy
from blumeops.facts.policy.model import USUAL

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "tailscale-captures"
FILES = sorted(CAPTURES.glob("*/*.json"))
AWAY = pytest.mark.skipif(not FILES, reason="the control plane's captures (../shared/tailscale-captures) are not here")
Atom = tuple[Any, ...]


def tailnet(capture: dict[str, Any]) -> policy.Tailnet:
    """The users and nodes of a capture."""
    login = {user["name"]: user["email"] for user in capture["users"]}
    nodes = [
        policy.Node(
            name,
            "" if node["tags"] else login[node["user"]],
            tuple(node["tags"]),
            (node["ipv4"], node["ipv6"]),
            tuple(node["approved_routes"] or ()),
        )
        for name, node in capture["nodes"].items()
    ]
    domains = frozenset(email.rpartition("@")[2] for email in login.values() if email)
    return policy.Tailnet(tuple(nodes), domains=domains or None)


def refusals(capture: dict[str, Any]) -> tuple[policy.Policy | None, list[str]]:
    """The policy, and every reason to refuse it: findings, and tests that fail."""
    read = policy.read(capture["policy"].encode(), "policy.hujson")
    told = [str(finding) for finding in errors(read.findings)]
    if read.policy:
        told += [str(finding) for finding in policy.foreign_domains(read.policy, tailnet(capture))]
        told += [str(t.finding()) for t in policy.run_tests(read.policy, tailnet(capture)) if not t.passed]
    return read.policy, told


def packets(rules: Iterable[dict[str, Any]]) -> set[Atom]:
    """A packet filter as a set: source, destination, ports, protocol; and capabilities with their values."""
    atoms: set[Atom] = set()
    for rule in rules:
        for source in rule["SrcIPs"] or ():
            for opened in rule.get("DstPorts") or ():
                for protocol in rule.get("IPProto") or USUAL:
                    atoms.add((source, opened["IP"], opened["Ports"]["First"], opened["Ports"]["Last"], protocol))
            for grant in rule.get("CapGrant") or ():
                for destination in grant["Dsts"]:
                    for name, values in grant["CapMap"].items():
                        atoms.add((source, destination, name, json.dumps(values, sort_keys=True)))
    return atoms


def logins(rules: Iterable[dict[str, Any]]) -> list[str]:
    """SSH rules, whatever the order of their principals."""
    return sorted(
        json.dumps(
            {**rule, "principals": sorted(principal["nodeIP"] for principal in rule["principals"])}, sort_keys=True
        )
        for rule in rules
    )


@AWAY
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_capture_is_repeated(file: Path) -> None:
    """Accepted or refused as it was; if accepted, each node has the packet filter and SSH rules that it was sent."""
    capture = json.loads(file.read_text())
    read, told = refusals(capture)
    assert bool(told) == (capture["status"] != 200), (told, capture["message"])
    if capture["status"] != 200:
        return
    assert read
    engine = policy.Engine(read, tailnet(capture))
    for name, sent in capture["packet_filters"].items():
        assert packets(rule.as_json() for rule in engine.filter(name)) == packets(sent or ()), name
    for name, sent in capture["ssh_rules"].items():
        assert logins(login.as_json() for login in engine.ssh(name)) == logins(sent or ()), name


@AWAY
@pytest.mark.parametrize("file", [file for file in FILES if "routes-" in file.stem], ids=lambda file: file.stem)
def test_exit_nodes_are_approved_as_they_were(file: Path) -> None:
    """`exitNode` approves them, 0.0.0.0/0 among the routes does not. (Of subnets, some were approved earlier.)"""
    capture = json.loads(file.read_text())
    read, _ = refusals(capture)
    assert read
    engine = policy.Engine(read, tailnet(capture))
    for name, node in capture["nodes"].items():
        for route in {"0.0.0.0/0", "::/0"}.intersection(node["routable_ips"] or ()):
            assert engine.approves(name, route) == (route in (node["approved_routes"] or ())), name


def test_all_captures_are_there() -> None:
    """Of each kind, so that none is lost unseen."""
    if not FILES:
        pytest.skip("the control plane's captures (../shared/tailscale-captures) are not here")
    counts = Counter(file.parent.name for file in FILES)
    print(f"{len(FILES)} captures: {dict(counts)}")
    assert set(counts) >= {"acl", "grant", "nodeattrs", "policytest", "routes", "ssh", "sshtest"}
    assert len(FILES) >= 305
