"""Texts such as `group:dev`, `tag:web`, `10.0.0.0/8` or `autogroup:self` become selectors, where they may stand.

What leaves is checked: groups, tags, hosts and IP sets are defined, autogroups stand only where the control plane
takes them. What it refuses is a finding here. Source: https://tailscale.com/docs/reference/syntax/policy-file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from blumeops.base.findings import Place
from blumeops.facts.policy import addresses
from blumeops.facts.policy.hujson import Value, shown
from blumeops.facts.policy.model import ANY, ROLES, Selector
from blumeops.facts.policy.notes import Nearest, Notes

Where = Literal["src", "dst", "owner", "approver", "target", "ssh src", "ssh dst", "test src", "test dst"]

_PEOPLE = frozenset({"member", *ROLES})
_EVERY: frozenset[str] = frozenset({"src", "dst", "owner", "approver", "target", "ssh src"})
AUTOGROUPS: dict[str, frozenset[str]] = {
    "internet": frozenset({"dst"}),
    "self": frozenset({"dst", "ssh dst"}),
    "shared": frozenset({"src", "ssh src"}),
    "danger-all": frozenset({"src"}),
    "nonroot": frozenset(),
    "tagged": _EVERY | {"ssh dst"},
    **dict.fromkeys(sorted(_PEOPLE), _EVERY),
}
"""Each autogroup, and where it may stand. `nonroot` is for the users of SSH rules alone."""

_KINDS: dict[str, frozenset[str]] = {
    "any": frozenset({"src", "dst", "target"}),
    "addresses": frozenset({"src", "dst"}),
    "user": frozenset({"src", "dst", "owner", "approver", "target", "ssh src", "ssh dst", "test src", "test dst"}),
    "domain": frozenset({"src", "dst", "ssh src", "target"}),
    "group": frozenset({"src", "dst", "owner", "approver", "target", "ssh src", "test src", "test dst"}),
    "tag": frozenset({"src", "dst", "owner", "approver", "target", "ssh src", "ssh dst", "test src", "test dst"}),
    "service": frozenset({"dst", "test dst"}),
}
_WORDS = {
    "any": "*", "addresses": "an address, a host or an IP set", "user": "a user", "domain": "a domain of users",
    "group": "a group", "service": "a Tailscale Service", "tag": "a tag",
}  # fmt: skip
_PLACES = {
    "src": "a source", "dst": "a destination", "owner": "the owner of a tag", "approver": "an auto approver",
    "target": "the target of an attribute", "ssh src": "the source of an SSH rule",
    "ssh dst": "the destination of an SSH rule",
}  # fmt: skip
SHARED_DOMAINS = frozenset({"gmail.com", "googlemail.com", "github", "passkey", "outlook.com", "hotmail.com"})
_DOMAIN = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+\Z")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.\[\]/%]+\Z")


@dataclass
class Names:
    """What a policy defines, filled while it is read."""

    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tags: dict[str, Value] = field(default_factory=dict)
    hosts: dict[str, Selector] = field(default_factory=dict)
    ipsets: dict[str, Selector] = field(default_factory=dict)
    domains: dict[str, Place] = field(default_factory=dict)
    members: dict[str, Value] = field(default_factory=dict)
    """Where `autogroup:member` and the older `autogroup:members` stand first."""


class Problem(Exception):
    """Why a text is no selector: code, message, hint."""


def select(text: str, names: Names) -> Selector:
    """The selector of a text, wherever it stands. Raises Problem for what is malformed or not defined."""
    if text == "*":
        return ANY
    prefix, colon, name = text.partition(":")
    if colon and (prefix in _PREFIXED):
        return _PREFIXED[prefix](text, name, names)
    if "@" in text:
        return _user(text)
    if text in names.hosts:
        return names.hosts[text]
    if _ADDRESS.match(text) and any(letter in text for letter in ".:"):
        return address(text)
    hint = Nearest(text, names.hosts, "users hold an @; hosts are defined in hosts")
    raise Problem("BLU232", "is no user, group, tag, autogroup, host or address", hint)


def choose(text: str, value: Value, where: Where, names: Names, notes: Notes) -> Selector | None:
    """The selector of a text that stands at `where`; None, and a finding, when it may not."""
    try:
        selector = select(text, names)
        _allowed(selector, where)
    except Problem as problem:
        code, message, hint = problem.args
        notes.add(code, value, text or '""', message, hint)
        return None
    if selector.kind == "autogroup" and selector.name == "member":
        names.members.setdefault(text, value)
    if selector.kind == "domain":
        names.domains.setdefault(selector.name, notes.place(value))
    if "/" in text and selector.kind == "addresses" and text not in names.hosts and addresses.has_host_bits(text):
        notes.add(
            "BLU259", value, text, f"names an address inside its network; {selector.pieces[0]} is meant",
            f"write {selector.pieces[0]}", "warning",
        )  # fmt: skip
    return selector


@lru_cache(maxsize=65536)
def address(text: str) -> Selector:
    """The selector of an address or CIDR. Raises Problem."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        found = addresses.parse(bare)
    except ValueError:
        raise Problem(
            "BLU238", "is neither an address nor a CIDR", "write 100.64.0.7, 10.0.0.0/8 or fd7a::/48"
        ) from None
    if bare.endswith("/0"):
        hint = 'use "*" or "autogroup:internet"; as a source, "*" or "autogroup:danger-all"'
        raise Problem("BLU242", "stands for all addresses", hint)
    return Selector("addresses", bare, text, found, found.texts())


def domain(text: str) -> str:
    """The domain of `user:*@…` and `localpart:*@…`, checked. Raises Problem."""
    if not _DOMAIN.match(text) or text.lower() in SHARED_DOMAINS:
        raise Problem(
            "BLU245", f"{shown(text)!r} is no domain of a tailnet", "name the domain that your users log in with"
        )
    return text.lower()


def _allowed(selector: Selector, where: Where) -> None:
    if selector.kind == "autogroup":
        if where in AUTOGROUPS[selector.name] or where.startswith("test"):
            return
        places = [words for place, words in _PLACES.items() if place in AUTOGROUPS[selector.name]]
        hint = f"it may be {' or '.join(places)}" if places else "it is for the users of SSH rules"
        raise Problem("BLU240", f"may not be {_PLACES[where]}", hint)
    if where in _KINDS[selector.kind] or where.startswith("test"):
        return
    places = [kind for kind, allowed in _KINDS.items() if where in allowed]
    what = _WORDS[selector.kind]
    hint = f"write {', '.join(_WORDS[kind] for kind in places)} or an autogroup"
    code = {"ssh src": "BLU252", "ssh dst": "BLU253"}.get(where, "BLU239")
    raise Problem(code, f"is {what}, which may not be {_PLACES[where]}", hint)


def _user(text: str) -> Selector:
    local, _, host = text.rpartition("@")
    if not local or not host or any(letter.isspace() for letter in text):
        raise Problem("BLU232", "is no user", "write name@example.com, name@github or name@passkey")
    return Selector("user", text.lower(), text)


def _group(text: str, name: str, names: Names) -> Selector:
    if text not in names.groups and "@" not in name:  # group:name@example.com comes from the identity provider
        raise Problem("BLU231", "is not defined in groups", Nearest(text, names.groups))
    return Selector("group", text, text)


def _tag(text: str, name: str, names: Names) -> Selector:
    if text not in names.tags:
        raise Problem("BLU230", "is not defined in tagOwners", Nearest(text, names.tags, f'add "{shown(text)}": []'))
    return Selector("tag", text, text)


def _autogroup(text: str, name: str, names: Names) -> Selector:
    name = "member" if name == "members" else name
    if name not in AUTOGROUPS:
        raise Problem("BLU233", "is no autogroup", Nearest(text, [f"autogroup:{known}" for known in AUTOGROUPS]))
    return Selector("autogroup", name, text)


def _ipset(text: str, name: str, names: Names) -> Selector:
    if text not in names.ipsets:
        raise Problem("BLU234", "is not defined in ipsets", Nearest(text, names.ipsets))
    return names.ipsets[text]


def _host(text: str, name: str, names: Names) -> Selector:
    if name not in names.hosts:
        raise Problem("BLU232", "is not defined in hosts", Nearest(name, names.hosts))
    return names.hosts[name]


def _service(text: str, name: str, names: Names) -> Selector:
    if not re.match(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z", name):
        raise Problem("BLU236", "is no name of a Tailscale Service", "write svc: and letters, digits and dashes")
    return Selector("service", text, text)


def _domain_of_users(text: str, name: str, names: Names) -> Selector:
    if not name.startswith("*@"):
        raise Problem("BLU245", "is no domain of users", "write user:*@example.com")
    return Selector("domain", domain(name[2:]), text)


_PREFIXED = {
    "group": _group, "tag": _tag, "autogroup": _autogroup, "ipset": _ipset, "host": _host, "svc": _service,
    "user": _domain_of_users,
}  # fmt: skip


def followed_by_self(sources: tuple[Selector, ...], *, any_too: bool) -> bool:
    """Whether `autogroup:self` can follow every source: users, groups, roles; in `acls` also `*`."""
    return all(
        selector.kind in ("user", "group", "domain")
        or (selector.kind == "autogroup" and selector.name in _PEOPLE)
        or (any_too and selector.kind == "any")
        for selector in sources
    )
