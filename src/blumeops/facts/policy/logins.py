"""The SSH rules of one node, and who may log in as whom.

Check rules stand before accept rules, and the first that matches decides. `root` is denied unless it is named. With
`localpart:*@domain` the rule is split by user, since each logs in under a name of his own; then a source's own devices
get its part of the rule too, as the control plane does it. Shape: https://pkg.go.dev/tailscale.com/tailcfg#SSHRule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from blumeops.facts.policy.model import SshRule
from blumeops.facts.policy.posture import Attribute
from blumeops.facts.policy.resolve import Mask, Resolver, meets

NONROOT = "autogroup:nonroot"
_LOCALPART = "localpart:*@"


@dataclass(frozen=True, slots=True)
class Login:
    """Who may log in to a node, as which accounts (an empty value denies, `=` is the account asked for)."""

    rule: SshRule
    principals: Mask
    accounts: dict[str, str]
    addresses: tuple[str, ...] = field(default=())

    def lets(self, account: str) -> bool:
        """Whether the account may be used; NONROOT asks for one that nobody has named."""
        return bool(self.accounts.get(account, self.accounts.get("*", "")))

    def as_json(self) -> dict[str, Any]:
        """As a node is told; the address at which a check is asked for is the control plane's own."""
        action = (
            {"holdAndDelegate": "https://unused/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER"}
            if self.rule.check
            else {
                "accept": True,
                "allowAgentForwarding": True,
                "allowLocalPortForwarding": True,
                "allowRemotePortForwarding": True,
            }
        )
        told = {
            "principals": [{"nodeIP": address} for address in self.addresses],
            "sshUsers": dict(self.accounts),
            "action": action,
        }
        return told | ({"acceptEnv": list(self.rule.accept_env)} if self.rule.accept_env else {})


def logins(resolver: Resolver, index: int, attributes: Mapping[str, Attribute] | None = None) -> list[Login]:
    """The SSH rules of a node, in the order in which they are tried; with `attributes`, as if every source had them."""
    found = []
    for rule in sorted(resolver.policy.ssh, key=lambda rule: not rule.check):
        if attributes is not None and not meets(resolver.policy, rule.postures, attributes):
            continue
        sources = resolver.select(rule.sources, rule.postures if attributes is None else ())
        reached, own = _reached(resolver, rule, index, sources)
        literal, domains = _accounts(rule)
        if not domains:
            found += _login(resolver, rule, reached, literal)
            continue
        for user, mask in _users(resolver, sources):
            principals = mask & (reached | own)
            found += _login(resolver, rule, principals, literal)
            local, _, domain = user.rpartition("@")
            if domain in domains and local:
                found += _login(resolver, rule, principals, {local: local})
    return found


def may_log_in(
    found: list[Login], source: Mask, account: str
) -> tuple[Literal["accept", "check"] | None, SshRule | None]:
    """What becomes of a login, and the rule that decides."""
    for login in found:
        if login.principals & source and login.lets(account):
            return ("check" if login.rule.check else "accept"), login.rule
    return None, None


def _reached(resolver: Resolver, rule: SshRule, index: int, sources: Mask) -> tuple[Mask, Mask]:
    """The sources that reach this node by the rule, and those that are the node's own people (or tagged devices)."""
    bits = resolver.bits[index]
    reached: Mask = 0
    for selector in rule.destinations:
        if selector.kind == "autogroup" and selector.name == "self":
            reached |= sources & resolver.self_mask(index)
        elif resolver.mask(selector) & bits:
            reached |= sources
    own: Mask = 0
    if rule.destinations and sources & bits:
        own = sources & (resolver.self_mask(index) or resolver.tagged & sources)
    return reached, own


def _accounts(rule: SshRule) -> tuple[dict[str, str], frozenset[str]]:
    """The accounts that everybody may use, and the domains whose users may use their own name."""
    accounts = {"root": ""}
    domains = set()
    for user in rule.users:
        if user == NONROOT:
            accounts["*"] = "="
        elif user.startswith(_LOCALPART) and user != _LOCALPART:
            domains.add(user.removeprefix(_LOCALPART).lower())
        else:
            accounts[user] = user
    return accounts, frozenset(domains)


def _users(resolver: Resolver, sources: Mask) -> list[tuple[str, Mask]]:
    """The sources by user; tagged devices together, as nobody's."""
    found = [(user, mask & sources) for user, mask in sorted(resolver.by_user.items()) if mask & sources]
    tagged = resolver.tagged & sources
    return [*found, ("", tagged)] if tagged else found


def _login(resolver: Resolver, rule: SshRule, principals: Mask, accounts: dict[str, str]) -> list[Login]:
    if not principals:
        return []
    return [Login(rule, principals, accounts, resolver.texts(principals))]
