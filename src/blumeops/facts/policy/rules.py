"""`acls` and `grants` become rules: selectors checked, ports and protocols parsed, capabilities and `via` kept.

What the control plane refuses is a finding at the very text; nothing else is. Ports are written behind each
destination of an ACL (`tag:web:80,443`), and in `ip` of a grant (`tcp:443`, `80-90`, `icmp:*`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from blumeops.facts.policy.definitions import posture_names
from blumeops.facts.policy.hujson import Value, shown
from blumeops.facts.policy.model import (
    LAST_PORT,
    PROTOCOLS,
    USUAL,
    WITH_PORTS,
    Ports,
    Rule,
    Selector,
    Target,
)
from blumeops.facts.policy.notes import Nearest, Notes
from blumeops.facts.policy.selectors import Names, choose, followed_by_self

_PORT = re.compile(r"[0-9]{1,5}\Z")
_ACL = ("action", "src", "dst", "proto", "srcPosture", "users", "ports")
_GRANT = ("src", "dst", "ip", "app", "srcPosture", "via")
OURS = frozenset(
    f"tailscale.com/cap/{name}"
    for name in (
        "aperture", "drive", "golink", "kubernetes", "relay", "secrets", "tailsql", "ts-aperture", "tsidp", "webui",
    )
)  # fmt: skip
"""Capabilities of Tailscale's own programs that a policy may grant; the others are set by the control plane alone."""


def acls(
    value: Value | None, names: Names, postures: Mapping[str, object], default: tuple[str, ...], notes: Notes
) -> list[Rule]:
    """The rules of `acls`."""
    found: list[Rule] = []
    for number, entry in enumerate(notes.items(value, "acls")):
        before = len(notes.findings)
        fields = notes.fields(entry, "an ACL", _ACL)
        if not isinstance(entry.data, dict):
            continue
        if "action" not in fields or fields["action"].data != "accept":
            said = fields["action"].plain() if "action" in fields else "nothing"
            notes.add(
                "BLU243", fields.get("action", entry), "action", f"is {shown(str(said))}, not accept", 'write "accept"'
            )
        protocols = _protocols(fields.get("proto"), notes)
        sources = _sources(_either(fields, "src", "users", notes), names, notes)
        targets = []
        for text, item in notes.strings(_either(fields, "dst", "ports", notes), "dst"):
            host, _, spans = text.rpartition(":")
            selector = choose(host, item, "dst", names, notes) if host else None
            if not host:
                notes.add("BLU244", item, text or '""', "has no ports", f"write {shown(text)}:443 or {shown(text)}:*")
            opened = tuple(_spans(spans.split(",") if host else [], protocols, item, notes))
            if selector and opened:
                targets.append(Target(selector, opened))
        chosen = posture_names(fields.get("srcPosture"), postures, "srcPosture", notes) or default
        place = notes.place(entry)
        rule = Rule("acls", number, place, sources, tuple(targets), postures=chosen)
        _finish(rule, entry, "dst" if len(notes.findings) == before else "", notes)
        found.append(rule)
    return found


def grants(
    value: Value | None, names: Names, postures: Mapping[str, object], default: tuple[str, ...], notes: Notes
) -> list[Rule]:
    """The rules of `grants`."""
    found: list[Rule] = []
    for number, entry in enumerate(notes.items(value, "grants")):
        before = len(notes.findings)
        fields = notes.fields(entry, "a grant", _GRANT)
        if not isinstance(entry.data, dict):
            continue
        sources = _sources(fields.get("src"), names, notes)
        ports = tuple(_ip(fields.get("ip"), notes))
        capabilities = _capabilities(fields.get("app"), notes)
        if not ports and not capabilities and len(notes.findings) == before:
            notes.add("BLU246", entry, f"grants[{number}]", "has neither ip nor app", 'add "ip": ["tcp:443"], or ["*"]')
        selectors = [choose(text, item, "dst", names, notes) for text, item in notes.strings(fields.get("dst"), "dst")]
        if capabilities and any(s and s.kind == "autogroup" and s.name == "internet" for s in selectors):
            notes.add("BLU240", entry, "autogroup:internet", "is no device that could be given an app's capabilities",
                      "name devices, or leave app out")  # fmt: skip
        via = []
        for text, item in notes.strings(fields.get("via"), "via"):
            if text in names.tags:
                via.append(text)
            elif text.startswith("tag:"):
                notes.add("BLU230", item, text, "is not defined in tagOwners", Nearest(text, names.tags))
            else:
                notes.add(
                    "BLU248", item, text or '""', "is no tag, but via takes tags only", "tag the router, name the tag"
                )
        chosen = posture_names(fields.get("srcPosture"), postures, "srcPosture", notes) or default
        targets = tuple(Target(selector, ports) for selector in selectors if selector)
        rule = Rule("grants", number, notes.place(entry), sources, targets, capabilities, tuple(via), chosen)
        _finish(rule, entry, "dst" if len(notes.findings) == before else "", notes)
        found.append(rule)
    return found


def port(text: str) -> int | None:
    """One port, 1 to 65535; None when it is none."""
    return int(text) if _PORT.match(text) and 0 < int(text) <= LAST_PORT else None


def protocol(text: str) -> tuple[int, ...] | None:
    """The number of a protocol's name (`icmp` is that of IPv4 alone) or number; None when it is none."""
    if (name := text.lower()) in PROTOCOLS:
        return (PROTOCOLS[name],)
    return (int(text),) if re.match(r"[1-9][0-9]{0,2}\Z", text) and int(text) < 256 else None


def _finish(rule: Rule, entry: Value, field: str, notes: Notes) -> None:
    """What can only be said of the rule as a whole."""
    to_self = any(t.selector.kind == "autogroup" and t.selector.name == "self" for t in rule.targets)
    if to_self and not followed_by_self(rule.sources, any_too=rule.section == "acls"):
        wrong = next(s.text for s in rule.sources if not followed_by_self((s,), any_too=rule.section == "acls"))
        hint = "name users, groups, autogroup:member or a role as sources"
        notes.add("BLU241", entry, "autogroup:self", f"cannot follow the source {shown(wrong)}", hint)
    if field and not (rule.sources and rule.targets):
        missing = "src" if not rule.sources else "dst"
        notes.add(
            "BLU258", entry, f"{rule.section}[{rule.number}]", f"allows nothing: its {missing} is empty", "", "warning"
        )


def _either(fields: Mapping[str, Value], new: str, old: str, notes: Notes) -> Value | None:
    """A field, or the one that had its place before."""
    if old in fields:
        if new in fields:
            notes.add("BLU222", fields[old], old, f"says {new} a second time", f"keep {new}")
        else:
            notes.add("BLU259", fields[old], old, f"is the old name of {new}", f"write {new}", "warning")
    return fields.get(new, fields.get(old))


def _sources(value: Value | None, names: Names, notes: Notes) -> tuple[Selector, ...]:
    chosen = [choose(text, item, "src", names, notes) for text, item in notes.strings(value, "src")]
    return tuple(selector for selector in chosen if selector)


def _protocols(value: Value | None, notes: Notes) -> tuple[int, ...]:
    """What `proto` says: a name or a number, the latter also without quotes."""
    numeric = value is not None and isinstance(value.data, int) and not isinstance(value.data, bool)
    text = str(value.data) if value is not None and numeric else notes.string(value, "proto")
    if not text or value is None:
        return USUAL
    found = protocol(text)
    if found is None:
        notes.add("BLU245", value, text, "is no protocol", Nearest(text, PROTOCOLS, "write tcp, udp, icmp or a number"))
    return found or USUAL


def _spans(texts: Sequence[str], protocols: tuple[int, ...], item: Value, notes: Notes) -> list[Ports]:
    """Each of `*`, `80` and `80-90` as ports; malformed ones are a finding."""
    found = []
    for text in texts:
        first, dash, last = text.partition("-")
        low, high = port(first), port(last if dash else first)
        if text == "*":
            found.append(Ports(protocols))
        elif low is None or high is None or low > high:
            hint = "write a port from 1 to 65535, a range as 80-90, or *"
            notes.add("BLU244", item, item.data, f"has no port or range in {shown(text)!r}", hint)
        elif not WITH_PORTS.issuperset(protocols) and protocols != USUAL:
            notes.add("BLU244", item, item.data, "has ports, but only tcp, udp and sctp have any", "write *")
        else:
            found.append(Ports(protocols, low, high))
    return found


def _ip(value: Value | None, notes: Notes) -> list[Ports]:
    """What `ip` opens; entries with the same protocols stay apart."""
    found: list[Ports] = []
    for text, item in notes.strings(value, "ip"):
        name, colon, span = text.rpartition(":")
        protocols = protocol(name) if colon else USUAL
        if protocols is None:
            notes.add(
                "BLU245", item, text, f"{shown(name)!r} is no protocol", Nearest(name, PROTOCOLS, "write tcp:443")
            )
        else:
            found += _spans([span], protocols, item, notes)
    return found


def _capabilities(value: Value | None, notes: Notes) -> dict[str, object]:
    """`app`: capability names, each with its list of parameters, which nobody but the application understands."""
    found: dict[str, object] = {}
    for name, parameters in notes.object(value, "app"):
        host, slash, rest = name.partition("/")
        if not (host and slash and rest) or "://" in name or any(map(str.isspace, name)):
            notes.add("BLU247", parameters, name or '""', "is no name of a capability", "write example.com/cap/name")
        elif host == "tailscale.com" and name not in OURS:
            hint = "use a domain of your own, such as example.com/cap/name"
            notes.add("BLU247", parameters, name, "is in the domain tailscale.com, which is not yours to grant", hint)
        notes.items(parameters, f"the parameters of {shown(name)}")
        found[name] = parameters.plain()
    return found
