"""The devices, people and Tailscale Services that a policy is about.

What enters is our own data, or JSON (docs/reference/policy.md shows its shape; the output of `tailscale status --json`
is taken as well: https://pkg.go.dev/tailscale.com/ipn/ipnstate#Status). A device without addresses is one that rules
can only mean by its name: no address in a policy is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from blumeops.base.findings import Finding, in_order
from blumeops.facts.policy import addresses, hujson
from blumeops.facts.policy.hujson import Value, shown
from blumeops.facts.policy.model import ROLES
from blumeops.facts.policy.notes import Notes
from blumeops.facts.policy.posture import Attribute


@dataclass(frozen=True, slots=True)
class Node:
    """A device: a person's (`user`, a login) or a tagged one. `routes` are those in force; 0.0.0.0/0 is an exit's."""

    name: str
    user: str = ""
    tags: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    posture: Mapping[str, Attribute] = field(default_factory=dict)
    shared: bool = False
    """Whether its owner only accepted an invitation to what is shared, and is no member."""


@dataclass(frozen=True, slots=True)
class Service:
    """A Tailscale Service: its addresses, and the names of the nodes that serve it."""

    name: str
    addresses: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tailnet:
    """Everything that a policy decides about. `roles`: of users by login; who is not there is a member."""

    nodes: tuple[Node, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    domains: frozenset[str] | None = None
    """The domains that users log in with, where all users are known; only these may be named."""


def read(text: bytes, file: str) -> tuple[Tailnet | None, tuple[Finding, ...]]:
    """Read a file of nodes. None when there is a finding."""
    document = hujson.read(text, file)
    notes = Notes(document)
    tailnet = None
    if document.root is not None and notes.typed(document.root, dict, "the tailnet"):
        data = document.root.data
        tailnet = _status(document.root, notes) if "Self" in data or "Peer" in data else _own(document.root, notes)
    return (None if notes.findings else tailnet), tuple(in_order(notes.findings))


def _own(root: Value, notes: Notes) -> Tailnet:
    fields = notes.fields(root, "the tailnet", ("nodes", "users", "services"))
    nodes = []
    for entry in notes.items(fields.get("nodes"), "nodes"):
        inside = notes.fields(
            entry, "a node", ("name", "user", "tags", "addresses", "routes", "posture", "shared")
        )  # fmt: skip
        shared = inside.get("shared")
        if shared is not None:
            notes.typed(shared, bool, "shared")
        node = Node(
            notes.string(inside.get("name"), "name"),
            notes.string(inside.get("user"), "user").lower(),
            _strings(inside.get("tags"), "tags", notes),
            _checked(inside.get("addresses"), "addresses", "/-", notes),
            _checked(inside.get("routes"), "routes", "-", notes),
            _posture(inside.get("posture"), notes),
            shared is not None and shared.data is True,
        )
        if not node.name or bool(node.user) == bool(node.tags):
            notes.add("BLU281", entry, node.name or "a node", "needs a name, and either a user or tags", "")
        nodes.append(node)
    roles = {}
    for login, role in notes.object(fields.get("users"), "users"):
        roles[login.lower()] = notes.string(role, f"the role of {shown(login)}")
        if roles[login.lower()] not in (*ROLES, "member", ""):
            notes.add(
                "BLU281", role, login, "has no role that Tailscale knows", f"roles are {', '.join(sorted(ROLES))}"
            )
    services = []
    for name, inside_value in notes.object(fields.get("services"), "services"):
        inside = notes.fields(inside_value, "a service", ("addresses", "hosts"))
        service_addresses = _checked(inside.get("addresses"), "addresses", "/-", notes)
        services.append(Service(name, service_addresses, _strings(inside.get("hosts"), "hosts", notes)))
    _once(nodes, root, notes)
    domains = frozenset(login.rpartition("@")[2] for login in roles) if roles else None
    return Tailnet(tuple(nodes), roles, tuple(services), domains)


def _status(root: Value, notes: Notes) -> Tailnet:
    """`tailscale status --json`: this device and those that it sees, not the whole tailnet if a policy hides some."""
    data = root.data
    users: dict[str, str] = {}
    for number, profile in notes.object(data.get("User") or Value({}, root.at), "User"):
        login = dict(notes.object(profile, "a user")).get("LoginName")
        users[number] = notes.string(login, "LoginName").lower()
    entries = [data[name] for name in ("Self",) if name in data and data[name].data is not None]
    peers = data.get("Peer")
    entries += [peer for _, peer in notes.object(peers, "Peer")] if peers is not None and peers.data else []
    nodes = []
    for entry in entries:
        inside = {key: value for key, value in notes.object(entry, "a device") if value.data is not None}
        own = _checked(inside.get("TailscaleIPs"), "TailscaleIPs", "/-", notes)
        allowed = _checked(inside.get("AllowedIPs"), "AllowedIPs", "-", notes)
        tags = _strings(inside.get("Tags"), "Tags", notes)
        user = inside.get("UserID")
        dns = notes.string(inside.get("DNSName"), "DNSName").partition(".")[0]
        nodes.append(
            Node(
                dns or notes.string(inside.get("HostName"), "HostName"),
                "" if tags or user is None else users.get(str(user.data), ""),
                tags,
                own,
                tuple(route for route in allowed if route.partition("/")[0] not in own),
                {"node:os": notes.string(inside["OS"], "OS")} if "OS" in inside else {},
                "ShareeNode" in inside and inside["ShareeNode"].data is True,
            )
        )
    _once(nodes, root, notes)
    return Tailnet(tuple(nodes))


def _once(nodes: list[Node], root: Value, notes: Notes) -> None:
    seen: set[str] = set()
    for node in nodes:
        for each in (node.name, *node.addresses):
            if each in seen:
                notes.add("BLU281", root, each, "stands for two nodes", "give each node its own name and addresses")
            seen.add(each)


def _strings(value: Value | None, what: str, notes: Notes) -> tuple[str, ...]:
    return tuple(text for text, _ in notes.strings(value, what))


def _checked(value: Value | None, what: str, without: str, notes: Notes) -> tuple[str, ...]:
    """Addresses, or CIDRs where `without` lets them through."""
    found = []
    for text, item in notes.strings(value, what):
        try:
            addresses.parse(text)
            if any(letter in text for letter in without):
                raise ValueError(text)
            found.append(text)
        except ValueError:
            notes.add(
                "BLU281", item, text or '""', f"is nothing for {what}", "write 100.64.0.7, or 10.0.0.0/8 for a route"
            )
    return tuple(found)


def _posture(value: Value | None, notes: Notes) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    for name, item in notes.object(value, "posture"):
        if isinstance(item.data, str | int | float | bool):
            found[name] = item.data
        else:
            notes.add("BLU224", item, name, "must be a string, a number, true or false")
    return found
