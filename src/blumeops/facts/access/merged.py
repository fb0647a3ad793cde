"""The lab's own policy.hujson beside what is derived: one policy, what the engine says of it, and contradictions.

Imported only where a lab brings a policy or somebody asks the engine: it costs more than a whole check. What the file
defines may not be defined otherwise by the lab, and it may neither open what an `allow:` leaves closed nor close what
one opens; all else is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from blumeops.base.findings import Finding, Place, errors
from blumeops.facts import policy as engine
from blumeops.facts.access.access import Access, Reason
from blumeops.facts.access.document import KEYED, SECTIONS, Document, Entry, derived, destinations, is_said
from blumeops.facts.policy import hujson
from blumeops.facts.policy.hujson import Placed, Value, shown
from blumeops.facts.policy.model import TCP, UDP

FILE = "policy.hujson"
UNDEFINED = frozenset({"BLU230", "BLU231"})
"""What the file may name without defining it: the lab's tags and groups."""


class Merged:
    """Both policies together."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.lab = access.lab
        self.wrong: list[Finding] = []
        self.document = self._document()
        self.read = engine.build(data(self.document), Place("lab.yaml", 1, 1))

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the file, by itself and beside what the lab says."""
        yield from self.wrong
        if errors(self.wrong):
            return
        found = [finding for finding in self.read.findings if finding.severity == "error"]
        yield from found
        if found or self._engine is None:
            return
        yield from self._contradictions()
        own = [test for test in self.read.policy.tests if test.place.file == FILE] if self.read.policy else []
        own_ssh = [test for test in self.read.policy.ssh_tests if test.place.file == FILE] if self.read.policy else []
        if self.read.policy and (own or own_ssh):
            for trial in engine.run_tests(self.read.policy, self.tailnet):
                if not trial.passed and trial.place.file == FILE:
                    yield trial.finding()

    def lets(self, source: str, destination: str, port: int, *, udp: bool = False) -> tuple[Reason, ...]:
        """The rules that let one end reach a port of another; those of the lab, where the file is wrong."""
        if self._engine is None:
            return self.access.derived(source, destination, port, udp=udp)
        rules = self._engine.decide(source, destination, port, UDP if udp else TCP).because
        known = self.access.grants  # the first of the document's
        return tuple(
            Reason(rule.place, known[rule.number].why)
            if rule.section == "grants" and rule.number < len(known)
            else Reason(rule.place, str(rule))
            for rule in rules
        )

    @cached_property
    def _engine(self) -> engine.Engine | None:
        return engine.Engine(self.read.policy, self.tailnet) if self.read.policy else None

    @cached_property
    def tailnet(self) -> engine.Tailnet:
        """The nodes of the lab. Admins of the lab are taken for admins of the tailnet."""
        ids, settings = self.access.ids, self.lab.settings
        nodes = [engine.Node(f"person:{name}", ids.of_person(name)) for name in settings.people]
        for name, host in settings.hosts.items():
            own = host.owner in settings.people
            of = ids.of_host(name)
            nodes.append(engine.Node(f"host:{name}", of if own else "", () if own else (of,)))
        nodes += [
            engine.Node(f"egress:{name}", tags=(f"tag:{name}-egress",))
            for name, cluster in settings.clusters.items()
            if cluster.egress == "operator"
        ]
        doors = ids.doors.values()
        nodes += [engine.Node(f"service:{d.service}", tags=(d.selector,)) for d in doors if d.kind == "ingress"]
        services = tuple(
            engine.Service(d.selector, hosts=(f"host:{self.lab.services[d.service].host}",))
            for d in doors
            if d.kind == "service"
        )
        roles = {ids.of_person(name): "admin" for name, person in settings.people.items() if person.role == "admin"}
        return engine.Tailnet(tuple(nodes), roles, services)

    def _document(self) -> Document:
        document = derived(self.access)
        if self.lab.policy is None:
            return document
        text = hujson.read(self.lab.policy, FILE)
        alone = engine.read(self.lab.policy, FILE)
        self.wrong += [finding for finding in alone.findings if finding.code not in UNDEFINED]
        if text.root is None or errors(self.wrong) or not isinstance(text.root.data, dict):
            return document
        sections = {name: list(entries) for name, entries in document.sections.items()}
        titles = dict(document.titles)
        proper = {name.lower(): name for name in SECTIONS}
        for key, value in text.root.data.items():
            name = str(proper.get(key.lower(), key))
            if name == "autoApprovers" and isinstance(value.data, dict):
                self._approvers(sections, value, text)
                continue
            into = sections.setdefault(name, [])
            titles[name, len(into)] = f"From {FILE}"
            if name in KEYED and isinstance(value.data, dict):
                for inner, each in value.data.items():
                    place = text.place(value.keys[inner])
                    if not self._again(into, name, inner, each, place):
                        into.append(Entry(_placed(each, text), place, f"{FILE}:{place.line}", inner))
            elif isinstance(value.data, list) and name not in KEYED:
                for each in value.data:
                    place = text.place(each.at)
                    into.append(Entry(_placed(each, text), place, f"{FILE}:{place.line}"))
            else:
                sections[name] = [Entry(_placed(value, text), text.place(value.at), FILE, "=")]
        return Document({name: tuple(entries) for name, entries in sections.items()}, titles)

    def _approvers(self, sections: dict[str, list[Entry]], value: Value, text: hujson.Document) -> None:
        into = sections["autoApprovers"]
        for kind, each in value.data.items():
            place = text.place(value.keys[kind])
            if kind.lower() == "services" and isinstance(each.data, dict):
                for inner, approvers in each.data.items():
                    at = text.place(each.keys[inner])
                    if not self._again(into, "autoApprovers.services", inner, approvers, at):
                        into.append(Entry(_placed(approvers, text), at, f"{FILE}:{at.line}", inner))
            else:
                into.append(Entry(_placed(each, text), place, f"{FILE}:{place.line}", f"={kind}"))

    def _again(self, into: list[Entry], section: str, key: str, value: Value, place: Place) -> bool:
        """Whether the lab defines it already; otherwise than the file is a finding."""
        known = next((entry for entry in into if entry.key == key), None)
        if known is None:
            return False
        said, ours = value.plain(), known.value
        if not isinstance(said, list) or sorted(map(str, said)) != sorted(ours):
            here = ", ".join(map(str, said)) if isinstance(said, list) else str(said)
            message = f"is {shown(here)} here, and {', '.join(ours)} by {known.place} ({section})"
            self.wrong.append(Finding("BLU216", place, shown(key), message, "keep one of the two"))
        return True

    def _contradictions(self) -> Iterator[Finding]:
        """People and services: what is open in both, or closed in both, and nothing else."""
        access = self.access
        ends = [end for end in destinations(access) if is_said(access, *end)]
        for name in self.lab.settings.people:
            for end in ends:
                before, after = access.derived(f"person:{name}", *end), self.lets(f"person:{name}", *end)
                what = self._named(end)
                if after and not before:
                    place = next((each.place for each in after if each.place.file == FILE), after[0].place)
                    line = self._line(end)
                    message = f"lets {name} reach {what} on {end[1]}, which {line} does not"
                    hint = f"write it there: `allow: [{name}]`, or remove it"
                    if self._led_to(end):
                        hint = f"remove it: with `allow: [{name}]` there, {name} reaches it by its own name"
                    yield Finding("BLU217", place, "grant", message, hint)
                elif before and not after:
                    place = Place(FILE, 1, 1)
                    message = f"keeps {name} from {what} on {end[1]}, which {before[0].place} allows"
                    yield Finding(
                        "BLU217", place, FILE, message, "is there a `defaultSrcPosture`? Change one of the two"
                    )

    def _named(self, end: tuple[str, int]) -> str:
        kind, _, name = end[0].partition(":")
        proxy = self.access.ids.proxy
        if proxy is not None and (led_to := self._led_to(end)):
            return f"{led_to} by {proxy.name}"
        if kind == "host":
            return f"{proxy.name if proxy else name}, and so every name behind it,"
        return self._service(end[0])

    def _led_to(self, end: tuple[str, int]) -> str:
        """The one service that is behind a port of the proxy, where it is no port of pages."""
        routes = self.access.ids.tcp_routes if end[0].startswith("host:") else ()
        return next((route.service for route in routes if route.number == end[1]), "")

    def _service(self, end: str) -> str:
        kind, _, name = end.partition(":")
        doors = self.access.ids.doors.values()
        return next((d.service for d in doors if d.selector == end), name) if kind == "svc" else name

    def _line(self, end: tuple[str, int]) -> str:
        proxy = self.access.ids.proxy
        name = self._service(end[0]) if not end[0].startswith("host:") else (proxy.name if proxy else "")
        name = self._led_to(end) or name
        place = self.lab.service_place(name)
        return f"{place.file}:{place.line}"


def data(document: Document) -> Mapping[str, Any]:
    """The document as values that the engine reads, each with its place."""
    found: dict[str, Any] = {}
    for name, entries in document.sections.items():
        whole = next((entry for entry in entries if entry.key == "="), None)
        if whole is not None:
            found[name] = Placed(whole.value, whole.place)
        elif name == "autoApprovers":
            found[name] = {e.key.removeprefix("="): Placed(e.value, e.place) for e in entries if e.key[0] == "="}
            services = {e.key: Placed(e.value, e.place) for e in entries if e.key[0] != "="}
            found[name] |= {"services": services} if services else {}
        elif entries and (name in KEYED or entries[0].key):
            found[name] = {entry.key: Placed(entry.value, entry.place) for entry in entries}
        elif entries:
            found[name] = [Placed(entry.value, entry.place) for entry in entries]
    found.setdefault("grants", [])
    return found


def _placed(value: Value, text: hujson.Document) -> Placed:
    inside: Any = value.data
    if isinstance(inside, dict):
        inside = {key: _placed(each, text) for key, each in inside.items()}
    elif isinstance(inside, list):
        inside = [_placed(each, text) for each in inside]
    return Placed(inside, text.place(value.at))
