"""`groups`, `tagOwners`, `hosts`, `ipsets`, `postures`: what the rules of a policy may name.

IP sets refer to each other: circles are a finding, and so is a policy whose sets would take too much work to add up.
Tags may own each other in circles, since the control plane takes that; it is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from blumeops.facts.policy import addresses, posture
from blumeops.facts.policy.addresses import INTERNET, NOTHING, Addresses
from blumeops.facts.policy.hujson import Value, shown
from blumeops.facts.policy.model import Selector
from blumeops.facts.policy.notes import Nearest, Notes
from blumeops.facts.policy.selectors import Names, Problem, address, choose

MOST_RANGES = 2_000_000
"""Address ranges that all IP sets of a policy may handle while they are added up."""

_TAG = re.compile(r"tag:[A-Za-z][A-Za-z0-9-]*\Z")
_IPSET = re.compile(r"ipset:[^\s:]+\Z")
_POSTURE = re.compile(r"posture:[^\s:]+\Z")
_OPERATION = re.compile(r"\s*(?:(add|remove)\s+)?(\S.*?)\s*\Z")
_Operation = tuple[bool, str, Value]
"""Whether it adds, what, and where it stands."""


def groups(value: Value | None, names: Names, notes: Notes) -> None:
    """Groups hold users, and users only."""
    for name, members in notes.object(value, "groups"):
        if not name.startswith("group:") or len(name) == len("group:") or any(map(str.isspace, name)):
            notes.add("BLU236", members, name, "is no name of a group", "write group: and a name without blanks")
        users: list[str] = []
        for text, member in notes.strings(members, f"the members of {shown(name)}"):
            if text.startswith("group:"):
                notes.add("BLU237", member, text, f"is a group inside {shown(name)}", "name its users instead")
            elif "@" not in text or text.startswith("user:*@"):
                notes.add(
                    "BLU237", member, text, f"is no user, but {shown(name)} holds users only", "write name@domain"
                )
            else:
                users.append(text.lower())
        names.groups[name] = tuple(users)


def tags(value: Value | None, names: Names, notes: Notes) -> None:
    """The names of tags; who owns them is read once all are known."""
    for name, owners in notes.object(value, "tagOwners"):
        if not _TAG.match(name):
            notes.add(
                "BLU236", owners, name, "is no name of a tag", "write tag:, a letter, then letters, digits, dashes"
            )
        names.tags[name] = owners


def owners(names: Names, notes: Notes) -> dict[str, tuple[Selector, ...]]:
    """Who may give each tag. `[]` means `autogroup:admin`."""
    found: dict[str, tuple[Selector, ...]] = {}
    for name, value in names.tags.items():
        texts = notes.strings(value, f"the owners of {shown(name)}")
        chosen = [choose(text, at, "owner", names, notes) for text, at in texts]
        found[name] = tuple(selector for selector in chosen if selector)
    circle = _circle({name: [s.name for s in inside if s.kind == "tag"] for name, inside in found.items()})
    if circle:
        path = " owned by ".join(shown(name, 30) for name in circle[:5])
        hint = "give one of them an owner who is a person"
        notes.add("BLU257", names.tags[circle[0]], circle[0], f"owns itself: {path}", hint, "warning")
    return found


def hosts(value: Value | None, names: Names, notes: Notes) -> None:
    """Names for addresses and CIDRs."""
    for name, inside in notes.object(value, "hosts"):
        if "@" in name or not name or any(map(str.isspace, name)):
            notes.add("BLU236", inside, name or '""', "is no name of a host", "write a name without @ and blanks")
        text = notes.string(inside, f"the address of {shown(name)}")
        if not isinstance(inside.data, str):
            continue
        try:
            found = addresses.parse(text) if "-" not in text else address(text).addresses
        except (ValueError, Problem):
            notes.add("BLU238", inside, name, f"{shown(text)!r} is neither an address nor a CIDR", "write 100.64.0.7")
            continue
        names.hosts[name] = Selector("addresses", name, name, found, found.texts())


def ipsets(value: Value | None, names: Names, notes: Notes) -> None:
    """Ordered additions and removals become one set each."""
    operations: dict[str, list[_Operation]] = {}
    for name, inside in notes.object(value, "ipsets"):
        if not _IPSET.match(name):
            notes.add("BLU236", inside, name, "is no name of an IP set", "write ipset: and a name")
        operations[name] = []
        for text, item in notes.strings(inside, f"the parts of {shown(name)}"):
            if found := _OPERATION.match(text):
                operations[name].append((found[1] != "remove", found[2], item))
            else:
                notes.add("BLU260", item, '""', "is no part of an IP set", 'write "add 10.0.0.0/8"')
    needs = {
        name: [what for _, what, _ in parts if what in operations] for name, parts in operations.items()
    }  # fmt: skip
    left = MOST_RANGES
    done: dict[str, Addresses] = {}
    for name in _in_order(needs):
        done[name], left = _add_up(operations[name], done, left, names, notes)
        if left <= 0:
            where = next(iter(operations[name]))[2]
            notes.add("BLU260", where, name, f"takes the IP sets beyond {MOST_RANGES} ranges", "write larger CIDRs")
            break
    stuck = {name: [used for used in needs[name] if used not in done] for name in operations if name not in done}
    if stuck and left > 0:
        ring = _circle(stuck)
        path = " holds ".join(shown(each, 30) for each in ring[:5])
        where = next(part for _, what, part in operations[ring[0]] if what == ring[1])
        notes.add("BLU261", where, ring[0], f"is in a circle of IP sets: {path}", "leave one of them out")
    for name in operations:
        total = done.get(name, NOTHING)
        names.ipsets[name] = Selector("addresses", name, name, total, total.texts())


def postures(value: Value | None, notes: Notes) -> dict[str, tuple[posture.Assertion, ...]]:
    """Lists of assertions that a device must meet, all of them."""
    found: dict[str, tuple[posture.Assertion, ...]] = {}
    for name, inside in notes.object(value, "postures"):
        if not _POSTURE.match(name):
            notes.add("BLU236", inside, name, "is no name of a posture", "write posture: and a name")
        assertions: list[posture.Assertion] = []
        for text, item in notes.strings(inside, f"the assertions of {shown(name)}"):
            try:
                assertions.append(posture.parse(text))
            except ValueError as error:
                notes.add(
                    "BLU262", item, text or '""', str(error), "write node:os == 'macos', or node:osVersion IS SET"
                )
        found[name] = tuple(assertions)
    return found


def posture_names(value: Value | None, known: Mapping[str, object], what: str, notes: Notes) -> tuple[str, ...]:
    """The postures of a `srcPosture`: any of them is enough."""
    found = []
    for text, item in notes.strings(value, what):
        if text in known:
            found.append(text)
        else:
            notes.add("BLU235", item, text or '""', "is not defined in postures", Nearest(text, known))
    return tuple(found)


def _add_up(
    parts: list[_Operation], done: Mapping[str, Addresses], left: int, names: Names, notes: Notes
) -> tuple[Addresses, int]:
    """One set, and what is left of the work that all may take. Neighbours that do the same are done at once."""
    total = NOTHING
    at = 0
    while at < len(parts) and left > 0:
        adds, end = parts[at][0], at
        while end < len(parts) and parts[end][0] == adds:
            end += 1
        sets = [_part(what, where, done, names, notes) for _, what, where in parts[at:end]]
        left -= len(total.four) + len(total.six) + sum(1 + len(each.four) + len(each.six) for each in sets)
        if left > 0:
            change = addresses.union(sets)
            total = total | change if adds else total - change
        at = end
    return total, left


def _part(text: str, where: Value, done: Mapping[str, Addresses], names: Names, notes: Notes) -> Addresses:
    """The addresses of one part of a set."""
    if text in done:
        return done[text]
    if text == "autogroup:internet":
        return INTERNET
    host = names.hosts.get(text.removeprefix("host:"))
    if host:
        return host.addresses
    try:
        return addresses.parse(text)
    except ValueError:
        pass
    if text.startswith("ipset:"):
        notes.add("BLU234", where, text, "is not defined in ipsets", Nearest(text, done))
    elif text.partition(":")[0] in ("tag", "group", "autogroup") or "@" in text:
        notes.add(
            "BLU260", where, text, "may not be part of an IP set", "addresses, hosts, IP sets, autogroup:internet"
        )
    else:
        notes.add(
            "BLU260", where, text, "is neither an address, a range, a host nor an IP set", Nearest(text, names.hosts)
        )
    return NOTHING


def _in_order(needs: Mapping[str, list[str]]) -> list[str]:
    """Everything behind what it needs; what is in a circle, or needs one, is left out."""
    waits = {name: len(set(inside)) for name, inside in needs.items()}
    users: dict[str, list[str]] = {}
    for name, inside in needs.items():
        for used in set(inside):
            users.setdefault(used, []).append(name)
    ready = [name for name, count in waits.items() if not count]
    for name in ready:  # grows while it is walked
        for user in users.get(name, ()):
            waits[user] -= 1
            if not waits[user]:
                ready.append(user)
    return ready


def _circle(needs: Mapping[str, list[str]]) -> list[str]:
    """One ring of names, its first repeated at the end; empty when there is none."""
    inside = needs.keys() - set(_in_order(needs))
    trail: list[str] = []
    seen: dict[str, int] = {}
    name = next((each for each in needs if each in inside), None)
    while name is not None and name not in seen:
        seen[name] = len(trail)
        trail.append(name)
        name = next((each for each in needs[name] if each in inside), None)
    return [] if name is None else [*trail[seen[name] :], name]
