"""What a policy says, typed: definitions, rules of access and of SSH, approvers, attributes and tests, with places.

`acls` and `grants` both become `Rule`: the one says ports behind each destination, the other once for all of them.
Everything is immutable; selectors are checked against the definitions when they are read, so nothing is unknown here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from blumeops.base.findings import Place
from blumeops.facts.policy.addresses import NOTHING, Addresses
from blumeops.facts.policy.posture import Assertion, Attribute

Kind = Literal["any", "user", "domain", "group", "tag", "autogroup", "addresses", "service"]

TCP, UDP, SCTP, ICMP, ICMP6 = 6, 17, 132, 1, 58
WITH_PORTS = frozenset({TCP, UDP, SCTP})
USUAL = (TCP, UDP, ICMP, ICMP6)
"""What a rule without a protocol is about."""
PROTOCOLS = {
    "icmp": ICMP, "icmpv4": ICMP, "igmp": 2, "ipv4": 4, "ip-in-ip": 4, "tcp": TCP, "egp": 8, "igp": 9, "udp": UDP,
    "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": ICMP6, "icmpv6": ICMP6, "tsmp": 99, "sctp": SCTP,
}  # fmt: skip
"""The names that Tailscale reads, whatever their case; of several for a number the first is ours.
https://pkg.go.dev/tailscale.com/types/ipproto#Proto.UnmarshalText"""
LAST_PORT = 65535
ROLES = frozenset({"owner", "admin", "it-admin", "network-admin", "billing-admin", "auditor"})


@dataclass(frozen=True, slots=True)
class Selector:
    """Whom or what one text stands for. Hosts, IP sets and addresses are `addresses` already; `text` is as written."""

    kind: Kind
    name: str
    text: str
    addresses: Addresses = NOTHING
    pieces: tuple[str, ...] = ()
    """Of `addresses`: the parts as a packet filter shows them, such as `10.0.0.0/8`."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Protocols, and the first and last port that they may use."""

    protocols: tuple[int, ...] = USUAL
    first: int = 0
    last: int = LAST_PORT

    def allow(self, port: int, protocol: int) -> bool:
        """Whether a packet of this protocol to this port is meant; protocols without ports have none to compare."""
        return protocol in self.protocols and (protocol not in WITH_PORTS or self.first <= port <= self.last)


@dataclass(frozen=True, slots=True)
class Target:
    """One destination of a rule, with the ports that it opens there."""

    selector: Selector
    ports: tuple[Ports, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `acls` or `grants`. It only ever allows."""

    section: Literal["acls", "grants"]
    number: int
    place: Place
    sources: tuple[Selector, ...]
    targets: tuple[Target, ...]
    capabilities: Mapping[str, Any] = field(default_factory=dict, hash=False)
    via: tuple[str, ...] = ()
    postures: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.section}[{self.number}]: {_few(s.text for s in self.sources)} to {_few(map(str, self.texts()))}"

    def texts(self) -> list[str]:
        """The destinations with their ports, as a person would say them."""
        return [
            f"{target.selector.text} {', '.join(map(ports_text, target.ports))}".rstrip() for target in self.targets
        ]


@dataclass(frozen=True, slots=True)
class SshRule:
    """One entry of `ssh`."""

    number: int
    place: Place
    check: bool
    sources: tuple[Selector, ...]
    destinations: tuple[Selector, ...]
    users: tuple[str, ...]
    accept_env: tuple[str, ...] = ()
    postures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One destination of a test, or one user of an SSH test: as written, where, and what was understood of it."""

    text: str
    place: Place
    selector: Selector | None = None
    port: int = 0
    wrong: str = ""
    """Why it can never hold, if so; the control plane fails such a test, it does not refuse the form."""


@dataclass(frozen=True, slots=True)
class Test:
    """One entry of `tests`."""

    place: Place
    source: Wanted
    protocols: tuple[int, ...]
    accept: tuple[Wanted, ...]
    deny: tuple[Wanted, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class SshTest:
    """One entry of `sshTests`."""

    place: Place
    source: Wanted
    destinations: tuple[Wanted, ...]
    accept: tuple[Wanted, ...]
    check: tuple[Wanted, ...]
    deny: tuple[Wanted, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class NodeAttributes:
    """One entry of `nodeAttrs`."""

    place: Place
    targets: tuple[Selector, ...]
    attributes: tuple[str, ...]
    capabilities: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who advertises a route, an exit node or a service without asking."""

    routes: tuple[tuple[str, tuple[Selector, ...]], ...] = ()
    exit_node: tuple[Selector, ...] = ()
    services: Mapping[str, tuple[Selector, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy. `rules` holds `acls`, then `grants`; their order means nothing."""

    file: str
    rules: tuple[Rule, ...]
    ssh: tuple[SshRule, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: Mapping[str, Selector] = field(default_factory=dict)
    ipsets: Mapping[str, Selector] = field(default_factory=dict)
    tag_owners: Mapping[str, tuple[Selector, ...]] = field(default_factory=dict)
    postures: Mapping[str, tuple[Assertion, ...]] = field(default_factory=dict)
    approvers: Approvers = Approvers()
    node_attributes: tuple[NodeAttributes, ...] = ()
    tests: tuple[Test, ...] = ()
    ssh_tests: tuple[SshTest, ...] = ()
    domains: Mapping[str, Place] = field(default_factory=dict)
    """The domains of `user:*@…` and `localpart:*@…`, and where each stands first: only the tailnet's own are taken."""


ANY = Selector("any", "*", "*")


def protocol_name(number: int) -> str:
    """`tcp` for 6; the number where it has no name."""
    return next((name for name, known in PROTOCOLS.items() if known == number), str(number))


def ports_text(ports: Ports) -> str:
    """`tcp:80-443`, `443`, or nothing where all is open."""
    span = str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"
    span = "*" if (ports.first, ports.last) == (0, LAST_PORT) else span
    if ports.protocols == USUAL:
        return span
    return f"{'/'.join(map(protocol_name, ports.protocols))}:{span}"


def _few(texts: Any) -> str:
    texts = list(texts)
    return ", ".join(texts[:4]) + (f" and {len(texts) - 4} more" if len(texts) > 4 else "")
