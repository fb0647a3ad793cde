"""The packet filter of a node, as the policy engine compiles it, becomes rules that Linux enforces.

Enters what a node would be told (`FilterRule`), nothing of verdicts. Leaves a ruleset for nft(8): what comes in by the
node's interface on the tailnet is let through by the first rule that holds, and otherwise dropped without an answer,
as Tailscale does. What was dropped is noted in a set, so that silence is never mistaken for slowness.
https://wiki.nftables.org/wiki-nftables/index.php/Quick_reference-nftables_in_10_minutes
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Sequence

from blumeops.facts.policy.filters import FilterRule

TAILNET = "ts0"
"""The interface."""
WITH_PORTS = {6, 17, 132}

_NETWORK = ipaddress.IPv4Network | ipaddress.IPv6Network


def ruleset(rules: Sequence[FilterRule]) -> str:
    """The whole of a node's filter."""
    lines = [line for rule in rules for line in _rule(rule)]
    noted = [
        f"set dropped{version} {{ type {kind} . {kind} . inet_service; flags dynamic; size 65536; }}"
        for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr"))
    ]
    return "\n".join([
        "table inet tailnet {", *noted,
        "chain incoming { type filter hook prerouting priority 0; policy accept;",
        f'iifname != "{TAILNET}" accept', "ct state established,related accept",
        # The wire's own: WireGuard has no neighbours to find.
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept",
        *lines,
        "meta nfproto ipv4 meta l4proto tcp add @dropped4 { ip saddr . ip daddr . tcp dport } drop",
        "meta nfproto ipv6 meta l4proto tcp add @dropped6 { ip6 saddr . ip6 daddr . tcp dport } drop",
        "drop", "}", "}",
    ]) + "\n"  # fmt: skip


def dropped(printed: str) -> set[tuple[str, str, int]]:
    """Source, destination and port of what was dropped, from `nft -j list ruleset`."""
    found = set()
    for each in json.loads(printed)["nftables"]:
        for element in each.get("set", {}).get("elem", []):
            source, destination, port = (element.get("elem", {}).get("val", element) if "elem" in element else element)[
                "concat"
            ]
            found.add((source, destination, port))
    return found


def _rule(rule: FilterRule) -> Iterator[str]:
    for address, first, last in rule.destinations:
        for version, word in ((4, "ip"), (6, "ip6")):
            sources, here = _set(rule.sources, version), _set([address], version)
            if sources is None or here is None:
                continue
            match = " ".join(
                [f"meta nfproto ipv{version}"]
                + ([f"{word} saddr {sources}"] if sources else [])
                + ([f"{word} daddr {here}"] if here else [])
            )
            ported = sorted(set(rule.protocols) & WITH_PORTS)
            other = sorted(set(rule.protocols) - WITH_PORTS)
            if ported:
                yield f"{match} meta l4proto {{ {_listed(ported)} }} th dport {first}-{last} accept"
            if other:
                yield f"{match} meta l4proto {{ {_listed(other)} }} accept"


def _set(texts: Iterable[str], version: int) -> str | None:
    """Addresses of one family as an anonymous set; empty for all, None for none."""
    if "*" in (texts := list(texts)):
        return ""
    networks = [network for text in texts for network in _networks(text) if network.version == version]
    whole = ipaddress.collapse_addresses(networks)  # type: ignore[type-var]  # all are of one family here
    return f"{{ {_listed(whole)} }}" if networks else None


def _networks(text: str) -> list[_NETWORK]:
    first, dash, last = text.partition("-")
    if not dash:
        return [ipaddress.ip_network(text, strict=False)]
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    return list(ipaddress.summarize_address_range(low, high))


def _listed(found: Iterable[object]) -> str:
    return ", ".join(map(str, found))
