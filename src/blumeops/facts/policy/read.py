"""A policy file, or data of our own in its shape, becomes a Policy, with every finding about it.

A policy with an error among its findings is None: nothing may be concluded from one. Findings about tests that can
never hold are not here: an outdated test must not keep a policy from being used (`trials` runs them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blumeops.base.findings import Finding, Place, in_order
from blumeops.facts.policy import definitions, hujson, rules, ssh_sections
from blumeops.facts.policy.addresses import parse, union
from blumeops.facts.policy.hujson import MOST_FINDINGS, Document, Value, shown
from blumeops.facts.policy.model import ANY, Approvers, NodeAttributes, Policy, Ports, Rule, Selector, Target
from blumeops.facts.policy.notes import Notes
from blumeops.facts.policy.selectors import Names, Where, choose

SECTIONS = (
    "acls", "attrConfig", "autoApprovers", "defaultSrcPosture", "derpMap", "disableIPv4", "grants", "groups", "hosts",
    "ipsets", "nodeAttrs", "OneCGNATRoute", "postures", "randomizeClientPort", "ssh", "sshTests", "tagOwners", "tests",
)  # fmt: skip
_POOL = parse("100.64.0.0/10") - union(map(parse, ("100.100.100.0/24", "100.115.92.0/23")))
"""Less what Tailscale keeps for itself: https://tailscale.com/kb/1304/ip-pool"""


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a file: the policy, or None when a finding is an error."""

    policy: Policy | None
    findings: tuple[Finding, ...]


def read(text: bytes, file: str) -> Read:
    """Read the text of a policy file; `file` is what places name. Never raises for what the text holds."""
    return understand(hujson.read(text, file))


def build(data: Any, place: Place) -> Read:
    """Read plain values in the shape of a policy file. `hujson.Placed` says, of any part, where it comes from."""
    return understand(hujson.build(data, place))


def understand(document: Document) -> Read:
    """Check and type a document."""
    notes = Notes(document)
    policy = None
    if document.root is not None and notes.typed(document.root, dict, "a policy"):
        policy = _policy(document.root, document.file, notes)
    findings = in_order(notes.findings)[:MOST_FINDINGS]
    return Read(None if notes.wrong else policy, tuple(findings))


def _policy(root: Value, file: str, notes: Notes) -> Policy:
    fields = notes.fields(root, "a policy", SECTIONS)
    names = Names()
    definitions.groups(fields.get("groups"), names, notes)
    definitions.tags(fields.get("tagOwners"), names, notes)
    definitions.hosts(fields.get("hosts"), names, notes)
    definitions.ipsets(fields.get("ipsets"), names, notes)
    postures = definitions.postures(fields.get("postures"), notes)
    default = definitions.posture_names(fields.get("defaultSrcPosture"), postures, "defaultSrcPosture", notes)
    owners = definitions.owners(names, notes)
    found = rules.acls(fields.get("acls"), names, postures, default, notes)
    found += rules.grants(fields.get("grants"), names, postures, default, notes)
    if "acls" not in fields and "grants" not in fields:
        everything = (Target(ANY, (Ports(),)),)  # what the control plane assumes of a policy without rules
        found.append(Rule("acls", 0, notes.place(root), (ANY,), everything, postures=default))
    policy = Policy(
        file=file,
        rules=tuple(found),
        ssh=ssh_sections.ssh(fields.get("ssh"), names, postures, default, notes),
        groups=names.groups,
        hosts=names.hosts,
        ipsets=names.ipsets,
        tag_owners=owners,
        postures=postures,
        approvers=_approvers(fields.get("autoApprovers"), names, notes),
        node_attributes=_node_attributes(fields.get("nodeAttrs"), names, notes),
        tests=ssh_sections.tests(fields.get("tests"), names, notes),
        ssh_tests=ssh_sections.ssh_tests(fields.get("sshTests"), names, notes),
        domains=names.domains,
    )
    if len(names.members) > 1:
        old = names.members["autogroup:members"]
        notes.add(
            "BLU240", old, "autogroup:members", "stands beside autogroup:member", "write autogroup:member everywhere"
        )
    for name, kind in (
        ("disableIPv4", bool),
        ("randomizeClientPort", bool),
        ("OneCGNATRoute", str),
        ("derpMap", dict),
        ("attrConfig", dict),
    ):
        if name in fields:
            notes.typed(fields[name], kind, name)
    return policy


def _approvers(value: Value | None, names: Names, notes: Notes) -> Approvers:
    if value is None:
        return Approvers()
    fields = notes.fields(value, "autoApprovers", ("routes", "exitNode", "services"))
    routes: list[tuple[str, tuple[Selector, ...]]] = []
    for text, who in notes.object(fields.get("routes"), "the routes of autoApprovers"):
        try:
            parse(text)
        except ValueError:
            notes.add("BLU263", who, text, "is no CIDR", "write 10.0.0.0/8")
            continue
        routes.append((text, _all(who, f"the approvers of {shown(text)}", "approver", names, notes)))
    services: dict[str, tuple[Selector, ...]] = {}
    for text, who in notes.object(fields.get("services"), "the services of autoApprovers"):
        if not text.startswith(("svc:", "tag:")):
            notes.add("BLU263", who, text, "is neither a Tailscale Service nor a tag", "write svc:name")
        services[text] = _all(who, f"the approvers of {shown(text)}", "approver", names, notes)
    return Approvers(tuple(routes), _all(fields.get("exitNode"), "exitNode", "approver", names, notes), services)


def _node_attributes(value: Value | None, names: Names, notes: Notes) -> tuple[NodeAttributes, ...]:
    found = []
    for entry in notes.items(value, "nodeAttrs"):
        fields = notes.fields(entry, "nodeAttrs", ("target", "attr", "app", "ipPool"))
        if not isinstance(entry.data, dict):
            continue
        attributes = []
        for text, item in notes.strings(fields.get("attr"), "attr"):
            attributes.append(text)
            if not text or any(map(str.isspace, text)):
                notes.add(
                    "BLU264", item, text or '""', "is no attribute", 'write "funnel", "nextdns:abc123" and the like'
                )
        for text, item in notes.strings(fields.get("ipPool"), "ipPool"):
            _pool(text, item, notes)
        if not fields.keys() & {"attr", "app", "ipPool"}:
            notes.add("BLU264", entry, "nodeAttrs", "gives its targets nothing", "add attr, app or ipPool")
        capabilities = {name: given.plain() for name, given in notes.object(fields.get("app"), "app")}
        targets = _all(fields.get("target"), "target", "target", names, notes)
        found.append(NodeAttributes(notes.place(entry), targets, tuple(attributes), capabilities))
    return tuple(found)


def _pool(text: str, item: Value, notes: Notes) -> None:
    try:
        inside = not parse(text) - _POOL
    except ValueError:
        inside = False
    if not inside:
        notes.add(
            "BLU264",
            item,
            text or '""',
            "is no range of 100.64.0.0/10 outside what Tailscale keeps for itself",
            "write a CIDR without 100.100.100.0/24 and 100.115.92.0/23",
        )


def _all(value: Value | None, what: str, where: Where, names: Names, notes: Notes) -> tuple[Selector, ...]:
    chosen = [choose(text, item, where, names, notes) for text, item in notes.strings(value, what)]
    return tuple(selector for selector in chosen if selector)
