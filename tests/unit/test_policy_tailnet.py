"""Files of nodes: our own JSON, and what `tailscale status --json` prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blumeops.facts import policy


def read(data: Any) -> tuple[policy.Tailnet | None, list[str]]:
    """The tailnet, and the findings about it."""
    tailnet, findings = policy.read_tailnet(json.dumps(data).encode(), "nodes.json")
    return tailnet, [str(finding) for finding in findings]


def test_our_own_json() -> None:
    """Every field of a node, roles by login, and services."""
    tailnet, findings = read({
        "nodes": [
            {"name": "a", "user": "Ann@example.com", "addresses": ["100.64.0.1", "fd7a:115c:a1e0::1"],
             "posture": {"node:os": "macos", "custom:score": 7}, "shared": True},
            {"name": "r", "tags": ["tag:r"], "routes": ["10.0.0.0/8", "0.0.0.0/0"]},
        ],
        "users": {"Ann@example.com": "it-admin", "bob@example.org": ""},
        "services": {"svc:s": {"addresses": ["100.64.9.1"], "hosts": ["r"]}},
    })  # fmt: skip
    assert not findings
    assert tailnet == policy.Tailnet(
        (
            policy.Node("a", "ann@example.com", (), ("100.64.0.1", "fd7a:115c:a1e0::1"), (),
                        {"node:os": "macos", "custom:score": 7}, True),
            policy.Node("r", "", ("tag:r",), (), ("10.0.0.0/8", "0.0.0.0/0")),
        ),
        {"ann@example.com": "it-admin", "bob@example.org": ""},
        (policy.Service("svc:s", ("100.64.9.1",), ("r",)),),
        frozenset({"example.com", "example.org"}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ([], "nodes.json:1:1: BLU224 the tailnet: must be an object {…}, but is a list […]"),
        ({"node": []}, "nodes.json:1:2: BLU223 node: is no field of the tailnet; did you mean nodes?"),
        ({"nodes": [{"name": "a"}]}, "BLU281 a: needs a name, and either a user or tags"),
        ({"nodes": [{"user": "a@b"}]}, "BLU281 a node: needs a name, and either a user or tags"),
        ({"nodes": [{"name": "a", "user": "a@b", "tags": ["tag:x"]}]}, "BLU281 a: needs a name, and either"),
        ({"nodes": [{"name": "a", "user": "a@b", "addresses": ["10.0.0.0/8"]}]}, "BLU281 10.0.0.0/8: is nothing for"),
        ({"nodes": [{"name": "a", "tags": ["tag:x"], "routes": ["lan"]}]}, "BLU281 lan: is nothing for routes"),
        ({"nodes": [{"name": "a", "user": "a@b"}] * 2}, "BLU281 a: stands for two nodes"),
        ({"nodes": [{"name": "a", "user": "a@b", "addresses": ["100.64.0.1"]},
                    {"name": "b", "user": "a@b", "addresses": ["100.64.0.1"]}]}, "BLU281 100.64.0.1: stands for two"),
        ({"users": {"a@b": "king"}}, "BLU281 a@b: has no role that Tailscale knows"),
        ({"nodes": [{"name": "a", "user": "a@b", "posture": {"x:y": []}}]}, "BLU224 x:y: must be a string, a number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(data: Any, wanted: str) -> None:
    """And there is no tailnet then."""
    tailnet, findings = read(data)
    assert tailnet is None
    assert any(wanted in finding for finding in findings), findings


STATUS = {
    "Version": "1.102.0",
    "TUN": True,
    "BackendState": "Running",
    "MagicDNSSuffix": "t.ts.net",
    "Self": {
        "ID": "n1", "HostName": "Ann’s Mac", "DNSName": "anns-mac.t.ts.net.", "OS": "macOS", "UserID": 7,
        "TailscaleIPs": ["100.64.0.1", "fd7a:115c:a1e0::1"],
        "AllowedIPs": ["100.64.0.1/32", "fd7a:115c:a1e0::1/128"], "Online": True, "PeerAPIURL": [],
    },
    "Peer": {
        "nodekey:aa": {
            "HostName": "router", "DNSName": "router.t.ts.net.", "OS": "linux", "UserID": 7, "Tags": ["tag:router"],
            "TailscaleIPs": ["100.64.0.2"], "PrimaryRoutes": ["10.0.0.0/8"], "ExitNodeOption": True,
            "AllowedIPs": ["100.64.0.2/32", "10.0.0.0/8", "0.0.0.0/0", "::/0"],
        },
        "nodekey:bb": {
            "HostName": "eves", "DNSName": "eves.other.ts.net.", "OS": "", "UserID": 9, "ShareeNode": True,
            "TailscaleIPs": None, "AllowedIPs": None, "Tags": None,
        },
    },
    "User": {
        "7": {"ID": 7, "LoginName": "Ann@example.com", "DisplayName": "Ann"},
        "9": {"ID": 9, "LoginName": "eve@elsewhere.org", "DisplayName": "Eve"},
    },
}  # fmt: skip


def test_what_tailscale_status_prints() -> None:
    """Names, users, tags, routes and exits of this device and its peers; the shape of ipnstate.Status."""
    tailnet, findings = read(STATUS)
    assert not findings
    assert tailnet == policy.Tailnet(
        (
            policy.Node("anns-mac", "ann@example.com", (), ("100.64.0.1", "fd7a:115c:a1e0::1"), (),
                        {"node:os": "macOS"}),
            policy.Node("router", "", ("tag:router",), ("100.64.0.2",), ("10.0.0.0/8", "0.0.0.0/0", "::/0"),
                        {"node:os": "linux"}),
            policy.Node("eves", "eve@elsewhere.org", (), (), (), {"node:os": ""}, True),
        )
    )  # fmt: skip


@pytest.mark.parametrize("broken", ["Self", "Peer", "User"])
def test_a_damaged_status_is_a_finding(broken: str) -> None:
    """Never an exception."""
    damaged: list[Any] = [[], 7, {"x": 1}, {"x": {"TailscaleIPs": [1]}}]
    for wrong in damaged:
        tailnet, findings = read({**STATUS, broken: wrong})
        assert (tailnet is None) == bool(findings)
