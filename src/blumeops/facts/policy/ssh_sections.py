"""`ssh`, `tests` and `sshTests` are read.

SSH rules may only connect people with their own devices and with tagged ones, and tagged devices with each other.
A test whose destination can never hold (a range, a wildcard, an unknown name) is kept with the reason: the control
plane fails such tests, and so does whoever runs them; a policy is not malformed because of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from blumeops.base.findings import Place
from blumeops.facts.policy.definitions import posture_names
from blumeops.facts.policy.hujson import Value, shown
from blumeops.facts.policy.model import TCP, UDP, WITH_PORTS, Selector, SshRule, SshTest, Test, Wanted
from blumeops.facts.policy.notes import Notes
from blumeops.facts.policy.posture import Attribute
from blumeops.facts.policy.rules import port, protocol
from blumeops.facts.policy.selectors import Names, Problem, choose, domain, followed_by_self, select

_RULE = (
    "action", "src", "dst", "users", "checkPeriod", "acceptEnv", "srcPosture", "recorder", "enforceRecorder",
)  # fmt: skip
_TEST = ("src", "accept", "allow", "deny", "proto", "srcPostureAttrs")
_SSH_TEST = ("src", "dst", "accept", "check", "deny", "srcPostureAttrs")
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:h|m|s|ms|us|µs|ns))+\Z|0\Z")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_MOST_SECONDS = 168 * 3600.0


def ssh(
    value: Value | None, names: Names, postures: Mapping[str, object], default: tuple[str, ...], notes: Notes
) -> tuple[SshRule, ...]:
    """The rules of `ssh`."""
    found = []
    for number, entry in enumerate(notes.items(value, "ssh")):
        fields = notes.fields(entry, "an SSH rule", _RULE)
        if not isinstance(entry.data, dict):
            continue
        action = notes.string(fields.get("action"), "action")
        if action not in ("accept", "check"):
            notes.add(
                "BLU250", fields.get("action", entry), "action", f"is {shown(action)!r}", 'write "accept" or "check"'
            )
        sources = _chosen(fields.get("src"), "src", names, notes)
        destinations = _chosen(fields.get("dst"), "dst", names, notes)
        _period(fields.get("checkPeriod"), notes)
        if action == "accept" and "checkPeriod" in fields:
            notes.add("BLU259", fields["checkPeriod"], "checkPeriod", "is of no effect beside accept", 'write "check", '
                      "or leave it out", "warning")  # fmt: skip
        users = _users(fields.get("users"), entry, names, notes)
        environment = tuple(text for text, _ in notes.strings(fields.get("acceptEnv"), "acceptEnv"))
        chosen = posture_names(fields.get("srcPosture"), postures, "srcPosture", notes) or default
        rule = SshRule(number, notes.place(entry), action == "check", sources, destinations, users, environment, chosen)
        _pairs(rule, entry, notes)
        found.append(rule)
    return tuple(found)


def tests(value: Value | None, names: Names, notes: Notes) -> tuple[Test, ...]:
    """The entries of `tests`."""
    found = []
    for entry in notes.items(value, "tests"):
        fields = notes.fields(entry, "a test", _TEST)
        if not isinstance(entry.data, dict):
            continue
        text = notes.string(fields.get("proto"), "proto")
        protocols = protocol(text) if text else (TCP, UDP)
        if protocols is None:
            notes.add("BLU245", fields["proto"], text, "is no protocol", "write tcp, udp, icmp or a number")
        accept = [fields[name] for name in ("accept", "allow") if name in fields]
        numbers = protocols or (TCP, UDP)
        found.append(
            Test(
                notes.place(entry),
                _source(fields.get("src"), entry, names, notes),
                numbers,
                tuple(wanted for each in accept for wanted in _destinations(each, numbers, names, notes)),
                tuple(_destinations(fields.get("deny"), numbers, names, notes)),
                _attributes(fields.get("srcPostureAttrs"), notes),
            )
        )
    return tuple(found)


def ssh_tests(value: Value | None, names: Names, notes: Notes) -> tuple[SshTest, ...]:
    """The entries of `sshTests`."""
    found = []
    for entry in notes.items(value, "sshTests"):
        fields = notes.fields(entry, "an SSH test", _SSH_TEST)
        if not isinstance(entry.data, dict):
            continue
        destinations = [_host(text, item, names, notes) for text, item in notes.strings(fields.get("dst"), "dst")]
        lists = [
            tuple(Wanted(text, notes.place(item)) for text, item in notes.strings(fields.get(name), name))
            for name in ("accept", "check", "deny")
        ]
        source = _source(fields.get("src"), entry, names, notes)
        attributes = _attributes(fields.get("srcPostureAttrs"), notes)
        found.append(SshTest(notes.place(entry), source, tuple(destinations), lists[0], lists[1], lists[2], attributes))
    return tuple(found)


def _chosen(value: Value | None, field: str, names: Names, notes: Notes) -> tuple[Selector, ...]:
    where = "ssh src" if field == "src" else "ssh dst"
    chosen = [choose(text, item, where, names, notes) for text, item in notes.strings(value, field)]  # type: ignore[arg-type]  # one of two
    return tuple(selector for selector in chosen if selector)


def _pairs(rule: SshRule, entry: Value, notes: Notes) -> None:
    """What is refused of sources and destinations together."""
    tagged = [s for s in rule.sources if s.kind == "tag" or (s.kind == "autogroup" and s.name == "tagged")]
    if rule.check and tagged:
        notes.add(
            "BLU250", entry, tagged[0].text, "is a tagged source, and nobody is there to be checked", 'use "accept"'
        )
    for destination in rule.destinations:
        to_self = destination.kind == "autogroup" and destination.name == "self"
        if to_self and not followed_by_self(rule.sources, any_too=False):
            wrong = next(s.text for s in rule.sources if not followed_by_self((s,), any_too=False))
            hint = "name users, groups, autogroup:member or a role as sources"
            notes.add("BLU241", entry, destination.text, f"cannot follow the source {shown(wrong)}", hint)
        if destination.kind == "user" and any((s.kind, s.name) != ("user", destination.name) for s in rule.sources):
            hint = f"name {shown(destination.text)} as the only source, or use autogroup:self"
            notes.add("BLU253", entry, destination.text, "owns devices that only the same user may log in to", hint)


def _users(value: Value | None, entry: Value, names: Names, notes: Notes) -> tuple[str, ...]:
    found = []
    if value is None or value.data == []:
        notes.add("BLU251", value or entry, "users", "must name the accounts to log in as", 'write "autogroup:nonroot"')
    for text, item in notes.strings(value, "users"):
        user = text.strip()
        if user in ("", "*"):
            notes.add("BLU251", item, text or '""', "is no account", 'name one, or "autogroup:nonroot"')
            continue
        if user.startswith("localpart:*@") and user != "localpart:*@":
            try:
                names.domains.setdefault(domain(user.removeprefix("localpart:*@")), notes.place(item))
            except Problem as problem:
                _, message, hint = problem.args
                notes.add("BLU251", item, text, message, hint)
        elif ":" in user and user != "autogroup:nonroot":
            hint = "accounts are plain names, autogroup:nonroot, or localpart:*@domain"
            notes.add("BLU259", item, text, "is taken for the name of an account, letter by letter", hint, "warning")
        found.append(user)
    return tuple(found)


def _period(value: Value | None, notes: Notes) -> None:
    """Between a minute and a week, or `always`; 0 is as if it were absent."""
    text = notes.string(value, "checkPeriod")
    if value is None or text in ("", "always"):
        return
    if not _DURATION.match(text) or len(text) > 60:
        notes.add("BLU250", value, "checkPeriod", f"{shown(text)!r} is no duration", "write 20h, 30m, or always")
        return
    parts = re.findall(r"([0-9.]+)(h|ms|us|µs|ns|m|s)", text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _MOST_SECONDS:
        notes.add("BLU250", value, "checkPeriod", f"{shown(text)} is more than a week", "168h is the most")
    elif 0 < seconds < 60:
        notes.add("BLU250", value, "checkPeriod", f"{shown(text)} is less than a minute", "1m is the least; or always")


def _attributes(value: Value | None, notes: Notes) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    for name, item in notes.object(value, "srcPostureAttrs"):
        if isinstance(item.data, str | int | float | bool):
            found[name] = item.data
        else:
            notes.add("BLU224", item, name, "must be a string, a number, true or false")
    return found


def _source(value: Value | None, entry: Value, names: Names, notes: Notes) -> Wanted:
    text = notes.string(value, "src")
    place = notes.place(value or entry)
    if not text:
        return Wanted(text, place, None, wrong="names no source")
    return _known(text, place, names, "is a range; name one address")


def _host(text: str, item: Value, names: Names, notes: Notes) -> Wanted:
    """A destination of an SSH test: a tag, a user, a group or a host. A bare address matches no SSH rule."""
    wanted = _known(text, notes.place(item), names, "is a range; name a tag or a host")
    if wanted.selector and wanted.selector.kind == "addresses" and text.removeprefix("host:") not in names.hosts:
        return Wanted(text, wanted.place, None, wrong="is an address, and SSH rules know tags and users only")
    return wanted


def _destinations(value: Value | None, protocols: tuple[int, ...], names: Names, notes: Notes) -> list[Wanted]:
    found = []
    for text, item in notes.strings(value, "the destinations of a test"):
        host, _, number = text.rpartition(":")
        place = notes.place(item)
        wanted = _known(host, place, names, "is a range; name one address of it") if host else None
        portless = not WITH_PORTS.intersection(protocols)
        if wanted is None:
            found.append(Wanted(text, place, None, wrong="has no port; write host:443"))
        elif wanted.wrong:
            found.append(Wanted(text, place, None, wrong=wanted.wrong))
        elif port(number) is None and not (portless and number == "0"):
            found.append(Wanted(text, place, None, wrong="must end with one port, without lists, ranges or *"))
        else:
            found.append(Wanted(text, place, wanted.selector, int(number)))
    return found


def _known(text: str, place: Place, names: Names, ranged: str) -> Wanted:
    """What a test names, or why it names nothing."""
    try:
        selector = select(text, names)
    except Problem as problem:
        return Wanted(text, place, None, wrong=str(problem.args[1]))
    if selector.kind == "any":
        return Wanted(text, place, None, wrong="is a wildcard; name somebody")
    if selector.kind == "addresses" and "/" in text:
        return Wanted(text, place, None, wrong=ranged)
    return Wanted(text, place, selector)
