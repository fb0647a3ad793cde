"""The policy's own tests: what passes, what fails and why, and what can never hold; and who may log in as whom."""

from __future__ import annotations

import time
from typing import Any

import pytest

from blumeops.base.findings import Place
from blumeops.facts import policy
from blumeops.facts.policy.logins import NONROOT, may_log_in

PLACE = Place("policy.hujson", 1, 1)
ANN, BOB = "ann@example.com", "bob@example.com"
NAMES: dict[str, Any] = {
    "groups": {"group:a": [ANN, BOB], "group:none": []},
    "tagOwners": {"tag:web": [], "tag:db": []},
    "hosts": {"nas": "100.64.0.9", "lan": "10.1.0.0/16"},
    "postures": {"posture:mac": ["node:os == 'macos'"]},
    "grants": [
        {"src": ["group:a"], "dst": ["tag:web", "nas", "lan", "svc:feed"], "ip": ["tcp:443"]},
        {"src": [ANN], "dst": ["tag:db"], "ip": ["*"], "srcPosture": ["posture:mac"]},
        {"src": ["tag:web"], "dst": ["tag:db"], "ip": ["icmp:*", "udp:53"]},
        {"src": ["autogroup:member"], "dst": ["autogroup:self", "autogroup:internet"], "ip": ["*"]},
        {"src": ["autogroup:admin"], "dst": ["*"], "ip": ["*"]},
    ],
    "ssh": [
        {"action": "accept", "src": ["group:a"], "dst": ["tag:web"], "users": ["ubuntu", "localpart:*@example.com"]},
        {"action": "check", "src": [ANN], "dst": ["tag:web"], "users": ["ubuntu", "admin"]},
        {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["autogroup:nonroot"]},
        {"action": "accept", "src": ["tag:web"], "dst": ["tag:db"], "users": ["root"], "srcPosture": ["posture:mac"]},
    ],
}
MAC = {"node:os": "macos"}
NODES = (
    policy.Node("ann", ANN, (), ("100.64.0.1",)),
    policy.Node("web", "", ("tag:web",), ("100.64.0.5",)),
    policy.Node("nas", BOB, (), ("100.64.0.9",)),
)


def run(tests: Any = (), ssh_tests: Any = (), tailnet: policy.Tailnet | None = None) -> list[policy.Trial]:
    """Run tests beside the policy above."""
    read = policy.build({**NAMES, "tests": tests, "sshTests": ssh_tests}, PLACE)
    assert read.policy, [str(finding) for finding in read.findings]
    return policy.run_tests(read.policy, tailnet)


@pytest.mark.parametrize("tailnet", [None, policy.Tailnet(NODES, {ANN: "admin"})], ids=["names", "nodes"])
@pytest.mark.parametrize(
    ("test", "code"),
    [
        ({"src": ANN, "accept": ["tag:web:443"]}, ""),
        (
            {"src": "group:a", "accept": ["tag:web:443", "nas:443", "host:nas:443", "100.64.0.9:443", "svc:feed:443"]},
            "",
        ),
        ({"src": "group:a", "accept": ["10.1.7.7:443"]}, ""),
        ({"src": BOB, "allow": ["tag:web:443"], "deny": ["tag:web:22", "tag:db:443"]}, ""),
        ({"src": BOB, "accept": ["tag:web:80"]}, "BLU271"),
        ({"src": BOB, "deny": ["tag:web:443"]}, "BLU272"),
        ({"src": BOB, "proto": "udp", "accept": ["tag:web:443"]}, "BLU271"),
        ({"src": "tag:web", "proto": "icmp", "accept": ["tag:db:0"]}, ""),
        ({"src": "tag:web", "accept": ["tag:db:53"]}, ""),
        ({"src": "tag:web", "accept": ["tag:db:0"]}, "BLU270"),
        ({"src": BOB, "deny": ["tag:db:5432"]}, ""),
        ({"src": BOB, "srcPostureAttrs": MAC, "accept": ["tag:db:5432"]}, "BLU271"),
        ({"src": ANN, "srcPostureAttrs": MAC, "accept": ["tag:db:5432"]}, ""),
        ({"src": ANN, "srcPostureAttrs": {"node:os": "windows"}, "proto": "tcp", "accept": ["tag:db:5432"]}, "BLU271?"),
        ({"src": BOB, "accept": ["8.8.8.8:443"], "deny": ["192.168.7.7:443"]}, ""),
        ({"src": BOB, "accept": ["autogroup:self:22"]}, ""),
        ({"src": "autogroup:member", "accept": ["autogroup:internet:443"]}, ""),
        ({"src": "autogroup:tagged", "accept": ["tag:web:443"]}, "BLU271"),
        ({"src": "nas", "accept": ["tag:web:443"]}, "BLU271?"),
        ({"src": "autogroup:admin", "accept": ["tag:db:22"]}, ""),
        ({"src": "*", "accept": ["tag:web:443"]}, "BLU270"),
        ({"src": "tag:phantom", "accept": ["tag:web:443"]}, "BLU270"),
        ({"src": "group:none", "accept": ["tag:web:443"]}, "BLU270"),
        ({"accept": ["tag:web:443"]}, "BLU270"),
        ({"src": ANN, "accept": ["tag:web"]}, "BLU270"),
        ({"src": ANN, "accept": ["tag:web:443,80"]}, "BLU270"),
        ({"src": ANN, "accept": ["tag:web:1-9"]}, "BLU270"),
        ({"src": ANN, "deny": ["*:22"]}, "BLU270"),
        ({"src": ANN, "deny": ["10.1.0.0/16:22"]}, "BLU270"),
        ({"src": ANN, "deny": ["phantom:22"]}, "BLU270"),
        ({"src": ANN, "accept": ["tag:web:443"], "deny": ["tag:web:443"]}, "BLU272"),
    ],
)
def test_a_test_passes_or_says_why(test: dict[str, Any], code: str, tailnet: policy.Tailnet | None) -> None:
    """By the names alone and with nodes; the codes are of assertions that fail. `?`: an admin may, or bob's address."""
    found = {trial.code for trial in run([test], tailnet=tailnet) if not trial.passed}
    if code.endswith("?"):
        assert found == ({code[:-1]} if tailnet is None else set())
    else:
        assert found == ({code} if code else set())


@pytest.mark.parametrize("tailnet", [None, policy.Tailnet(NODES)], ids=["names", "nodes"])
@pytest.mark.parametrize(
    ("test", "code"),
    [
        ({"src": BOB, "dst": ["tag:web"], "accept": ["ubuntu", "bob"], "deny": ["root", "ann", NONROOT]}, ""),
        ({"src": ANN, "dst": ["tag:web"], "check": ["ubuntu", "admin"], "accept": ["ann"]}, ""),
        ({"src": ANN, "dst": ["tag:web"], "accept": ["ubuntu"]}, "BLU273"),
        ({"src": BOB, "dst": ["tag:web"], "check": ["ubuntu"]}, "BLU273"),
        ({"src": BOB, "dst": ["tag:web"], "deny": ["ubuntu"]}, "BLU273"),
        ({"src": BOB, "dst": ["tag:web"], "accept": ["root"]}, "BLU273"),
        ({"src": "group:a", "dst": ["tag:web"], "deny": ["root"]}, ""),
        ({"src": BOB, "dst": ["autogroup:self"], "accept": ["anybody", NONROOT], "deny": ["root"]}, ""),
        ({"src": BOB, "dst": [BOB], "accept": ["anybody"]}, ""),
        ({"src": BOB, "dst": ["nas"], "deny": ["root"]}, "BLU270?"),
        ({"src": "tag:web", "dst": ["tag:db"], "deny": ["root"]}, ""),
        ({"src": "tag:web", "dst": ["tag:db"], "srcPostureAttrs": MAC, "accept": ["root"]}, ""),
        ({"src": BOB, "dst": ["100.64.0.5"], "accept": ["ubuntu"]}, "BLU270"),
        ({"src": BOB, "dst": ["10.0.0.0/8"], "deny": ["root"]}, "BLU270"),
        ({"src": BOB, "dst": ["tag:web:22"], "accept": ["ubuntu"]}, "BLU270"),
        ({"src": BOB, "dst": ["tag:web"], "accept": [""]}, "BLU270"),
    ],
)
def test_an_ssh_test_passes_or_says_why(test: dict[str, Any], code: str, tailnet: policy.Tailnet | None) -> None:
    """Check beats accept, root must be named, a host is known where its node is (`?`)."""
    found = {trial.code for trial in run(ssh_tests=[test], tailnet=tailnet) if not trial.passed}
    if code.endswith("?"):
        assert found == ({code[:-1]} if tailnet is None else set())
    else:
        assert found == ({code} if code else set())


def test_a_failure_names_the_rule() -> None:
    """Where the test stands, what it wanted, and which rule is in the way."""
    (trial,) = run([{"src": BOB, "deny": ["tag:web:443"]}])
    assert trial.finding().place == PLACE
    assert trial.why == "should be denied, but policy.hujson:1:1 allows it"
    assert [rule.number for rule in trial.because] == [0]
    (trial,) = run([{"src": BOB, "accept": ["tag:web:80"]}])
    wanted = "should be let through, but no rule allows a device of bob@example.com to reach a device with tag:web"
    wanted += "; who has a role is not known without --nodes"
    assert trial.why == wanted


def test_logins_of_a_node() -> None:
    """The same that its tests say: outcome and rule."""
    read = policy.build(NAMES, PLACE)
    assert read.policy
    engine = policy.Engine(read.policy, policy.Tailnet(NODES))
    found = engine.ssh("web")
    bits = engine._resolver.bits
    assert [may_log_in(found, bits[0], account)[0] for account in ("ubuntu", "ann", "root", "bob")] == [
        "check", "accept", None, None,
    ]  # fmt: skip
    assert may_log_in(found, bits[2], "ubuntu")[0] == "accept"


def test_too_many_tests_end_soon() -> None:
    """Tests that would take too long are not run, and say so."""
    data = dict(NAMES)
    data["grants"] = [{"src": ["autogroup:tagged"], "dst": ["tag:web"], "ip": [f"tcp:{n + 1}"]} for n in range(3000)]
    data["tests"] = [{"src": ANN, "deny": ["tag:web:22"]}] * 5000
    read = policy.build(data, PLACE)
    assert read.policy
    began = time.process_time()
    trials = policy.run_tests(read.policy)
    assert time.process_time() - began < 30
    assert {trial.why for trial in trials if not trial.passed} == {
        "is not run: the tests before it are too many for so many rules"
    }


def test_domains_are_the_tailnets_own() -> None:
    """Where all users are known, a domain that none of them has is refused; else nothing is said."""
    read = policy.build({"tagOwners": {"tag:web": []}, "grants": [
        {"src": ["user:*@example.com", "user:*@example.net"], "dst": ["tag:web"], "ip": ["*"]}]}, PLACE)  # fmt: skip
    assert read.policy
    known = policy.Tailnet(domains=frozenset({"example.com"}))
    assert [finding.subject for finding in policy.foreign_domains(read.policy, known)] == ["example.net"]
    assert policy.foreign_domains(read.policy, policy.Tailnet()) == []


VIA = {
    "tagOwners": {"tag:exit": [], "tag:work": []},
    "grants": [
        {"src": ["tag:work"], "dst": ["autogroup:internet", "10.1.0.0/16"], "ip": ["443"], "via": ["tag:exit"]},
        {"src": ["autogroup:admin"], "dst": ["tag:work"], "ip": ["22"]},
    ],
    "tests": [
        {"src": "tag:work", "accept": ["8.8.8.8:443", "10.1.2.3:443"], "deny": ["8.8.8.8:80", "10.2.0.1:443"]},
        {"src": ANN, "accept": ["tag:work:22"]},
    ],
}


def test_a_router_stands_in_where_via_has_none() -> None:
    """Tests are about rules: what a rule leads through a tag, a router with that tag would carry. Where the tailnet has
    one it decides, and who has no role for want of a list of users is told that."""
    read = policy.build(VIA, PLACE)
    assert read.policy
    *carried, role = policy.run_tests(read.policy)
    assert [trial.passed for trial in carried] == [True] * 4
    assert not role.passed
    assert role.why.endswith("; who has a role is not known without --nodes")
    known = policy.Tailnet((policy.Node("exit", tags=("tag:exit",), routes=("10.1.0.0/16",)),), {ANN: "admin"})
    assert [trial.passed for trial in policy.run_tests(read.policy, known)] == [False, True, True, True, True]


def test_all_tagged_devices_may_be_a_destination_of_ssh() -> None:
    """Whoever the source is, as for a tag; and devices of people are none of them."""
    rule = {"action": "accept", "src": ["ann@example.com", "tag:a"], "dst": ["autogroup:tagged"], "users": ["root"]}
    tests = [{"src": ANN, "dst": ["tag:a"], "accept": ["root"], "deny": ["ann"]},
             {"src": "tag:a", "dst": ["tag:a"], "accept": ["root"]},
             {"src": BOB, "dst": ["tag:a"], "deny": ["root"]},
             {"src": ANN, "dst": [BOB, ANN], "deny": ["root"]}]  # fmt: skip
    read = policy.build({"tagOwners": {"tag:a": []}, "ssh": [rule], "sshTests": tests}, PLACE)
    assert read.policy, read.findings
    assert [str(trial) for trial in policy.run_tests(read.policy) if not trial.passed] == []
