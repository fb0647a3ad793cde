"""A lab on the wire: what every source gets from every name and port, beside what the engine says of the same.

`packets` holds the filters against `Access.lets`, address by address; `answers` holds what listens against the ways
that `reach` tells, name by name. Both give the differences in words: none is the proof.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from blumeops.checks.check import CheckedLab
from blumeops.facts.access.devices import to_host
from blumeops.facts.access.identities import HTTPS
from blumeops.facts.access.services import object_of, to_service
from blumeops.facts.access.sources import source
from blumeops.facts.access.verdict import reach

from .answers import API, Answers, caddy, magic
from .certificates import Authority
from .namespaces import Namespaces, namespaces
from .probe import PATIENCE, Call, Outcome, Prober
from .world import AGAIN, INTERNET, NEIGHBOUR, SHARED_BY, World

UNHEARD = 9
"""A port that nothing listens on and no line speaks of."""
NOBODY = "nobody"
_T = TypeVar("_T")


class Wire:
    """A lab as namespaces, with all that listens in them, while `wire` lasts."""

    def __init__(
        self, world: World, spaces: Namespaces, answers: Answers, prober: Prober, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.world, self.spaces, self.answers, self.prober, self._loop = world, spaces, answers, prober, loop
        self.access = world.access

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something in the loop that everything listens in."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(50)

    # who, and what

    @cached_property
    def sources(self) -> dict[str, str]:
        """The namespaces that calls come from, each with its name on the command line."""
        settings = self.world.lab.settings
        found = {f"person:{name}{again}": f"person:{name}" for name in settings.people for again in ("", AGAIN)}
        found |= {f"host:{name}": f"host:{name}" for name in settings.hosts}
        found |= {f"cluster:{name}": f"cluster:{name}" for name in settings.clusters}
        return {**found, NEIGHBOUR: "lan", INTERNET: "internet"}

    @cached_property
    def ports(self) -> tuple[int, ...]:
        """All that anything has."""
        services = self.world.checked.facts.services.values()
        found = {
            number for service in services for port in service.ports.values() for number in (port.port, port.routed)
        }
        return tuple(sorted({*(number for number in found if number), *SHARED_BY.values(), HTTPS, API, UNHEARD}))

    def names(self, place: str) -> dict[str, tuple[tuple[str, ...], str]]:
        """What resolves in a namespace and the addresses that the lab says, each with what they are: `magic`, `domain`,
        or nothing. Its own name is not among them."""
        world, access, settings = self.world, self.access, self.world.lab.settings
        found: dict[str, tuple[tuple[str, ...], str]] = {}
        if place in world.own:  # MagicDNS answers what is itself on the tailnet
            found |= {name: (world.own[end], "magic") for name, end in magic(world) if end != place}
        if access.ids.proxy is not None:  # public DNS
            at = world.own[f"host:{access.ids.proxy.host}"][:1]
            labels = (service.label for service in access.facts.services.values())
            found |= {f"{label}.{access.ids.domain}": (at, "domain") for label in labels}
        if place.startswith("cluster:"):
            for name, address in world.pods.items():
                found[f"{object_of(access, access.facts.services[name])}.{name}.svc"] = (address,), ""
        if place.startswith("host:"):
            found["127.0.0.1"] = ("127.0.0.1",), ""
        for name, host in settings.hosts.items():
            if host.address and f"host:{name}" != place:
                found[host.address] = (host.address,), ""
        return found

    # packets

    def scan(self, ends: Iterable[str] | None = None, sources: Iterable[str] | None = None) -> dict[Call, Outcome]:
        """Call every port of every address of nodes and services."""
        addresses = [address for end in (ends or self.world.own) for address in self.world.own[end]]
        calls = [Call(s, a, p) for s in (sources or self.sources) for a in addresses for p in self.ports if _can(s, a)]
        found = self.run(self.prober.scan(calls))
        # A drop is noted. Silence without one is this machine's: a full table of neighbours, or no time.
        noted = self._dropped(found)
        again = [call for call, outcome in found.items() if outcome == "silence" and not self._noted(call, noted)]
        return found | (self.run(self.prober.scan(again, PATIENCE * 4)) if again else {})

    def _dropped(self, calls: Iterable[Call]) -> set[tuple[str, str, int]]:
        """What the filters that the calls went to have dropped."""
        nodes = {self._ends[call.address] for call in calls}
        return {each for node in nodes for each in self.world.dropped(self.spaces, node)}

    @cached_property
    def _ends(self) -> dict[str, str]:
        """The node or Tailscale Service of each address."""
        return {address: end for end, addresses in self.world.own.items() for address in addresses}

    def packets(self, found: Mapping[Call, Outcome]) -> list[str]:
        """Where a filter does other than the policy says; and where silence is not the filter's doing."""
        ends, noted = self._ends, self._dropped(found)
        wrong = []
        for call, outcome in sorted(found.items()):
            end = ends[call.address]
            wanted = self._lets(call.source, end, call.port)
            if (outcome in ("taken", "refused")) != wanted:
                said = "lets it through" if wanted else "denies it"
                wrong.append(f"{call.source} to {end} on {call.port} by {call.address}: {outcome}; the policy {said}")
            elif outcome == "silence" and not self._noted(call, noted):
                wrong.append(
                    f"{call.source} to {end} on {call.port} by {call.address}: silence, but nothing dropped it"
                )
        return wrong

    def _lets(self, place: str, end: str, port: int) -> bool:
        """What the engine says of an address."""
        who = source(self.access, self.sources[place])
        if end == place or (who.view == "pod" and who.end == end):
            return True  # its own
        return bool(who.end) and bool(self.access.lets(who.end, end.removesuffix(AGAIN), port))

    def _noted(self, call: Call, noted: set[tuple[str, str, int]]) -> bool:
        who = source(self.access, self.sources[call.source])
        if not who.end:
            return True  # it has no route
        as_whom = call.source if call.source in self.world.own else who.end
        return any((own, call.address, call.port) in noted for own in self.world.own[as_whom])

    # answers

    def ask(self, scanned: Mapping[Call, Outcome]) -> dict[str, dict[tuple[str, int], str]]:
        """By source: who answers by each name and port. What `scanned` says was not taken is not asked."""
        found: dict[str, dict[tuple[str, int], str]] = {}
        questions = self._questions({**scanned, **self._beside()})
        for (call, name), who in self.run(self.prober.ask(questions)).items():
            there = found.setdefault(call.source, {})
            before = there.setdefault((name, call.port), who)
            assert before == who, f"{call.source}, {name}:{call.port}: by one family {before}, by the other {who}"
        return found

    def _questions(self, known: Mapping[Call, Outcome]) -> list[tuple[Call, str, bool]]:
        """Each call that was taken, with each name that leads there, and whether it is HTTPS."""
        return [
            (Call(place, address, port), name, bool(kind) and port == HTTPS)
            for place in self.sources
            for name, (addresses, kind) in self.names(place).items()
            for address in addresses
            # The other ports of a name of the domain are its host's, whatever the name.
            for port in (self._led_to(name) if kind == "domain" else self.ports)
            if known.get(Call(place, address, port)) == "taken"
        ]

    def _led_to(self, name: str) -> tuple[int, ...]:
        """The ports of the proxy that a name of the domain is for."""
        ids, label = self.access.ids, name.partition(".")[0]
        routes = (route for route in ids.tcp_routes if ids.facts.services[route.service].label == label)
        return (HTTPS, *(route.number for route in routes))

    def _beside(self) -> dict[Call, Outcome]:
        """Addresses that are not the tailnet's."""
        on_tailnet = {address for own in self.world.own.values() for address in own}
        calls = [
            Call(place, address, port)
            for place in self.sources
            for addresses, _ in self.names(place).values()
            for address in addresses
            if address not in on_tailnet
            for port in self.ports
        ]
        return self.run(self.prober.scan(calls))

    def left(self, scanned: Mapping[Call, Outcome], places: Iterable[str]) -> dict[str, set[str]]:
        """By source: who still answers by any of the calls that were taken before."""
        found: dict[str, set[str]] = {place: set() for place in places}
        again = [each for each in self._questions(scanned) if each[0].source in found]
        for (call, _), who in self.run(self.prober.ask(again, PATIENCE)).items():
            found[call.source].add(who)
        return found

    def compare(self, seen: Mapping[str, Mapping[tuple[str, int], str]]) -> list[str]:
        """Where another answers than the engine says, or nobody, or somebody who should not."""
        wrong = []
        proxy = self.access.ids.proxy
        for place in self.sources:
            told, wanted = seen.get(place, {}), self.expected(place)
            for key in sorted({*told, *wanted}):
                said, want = told.get(key, NOBODY), wanted.get(key, NOBODY)
                if proxy is not None and want == proxy.name:
                    want = NOBODY  # the proxy itself: it answers by the names of others alone
                if said != want and not (said.startswith("(") and want == NOBODY):
                    wrong.append(f"{place} by {key[0]}:{key[1]}: {said}; the engine says {want}")
        return wrong

    def verdicts(self, seen: Mapping[str, Mapping[tuple[str, int], str]]) -> list[str]:
        """Where `reach` about a pair, with and without a port, is not what was seen by any name."""
        wrong = []
        facts, proxy = self.access.facts.services, self.access.ids.proxy
        for place, text in self.sources.items():
            found = {(who, port) for (_, port), who in seen.get(place, {}).items()}
            for name in facts:
                if not facts[name].ports or facts[name] is proxy:
                    continue
                for port in (None, *self.ports):
                    verdict = reach(self.access, text, f"service:{name}", port)
                    if verdict.reachable != any(who == name and port in (None, at) for who, at in found):
                        wrong.append(f"{text} to {name} on {port or 'any port'}: reach says {verdict.reachable}")
        return wrong

    def expected(self, place: str) -> dict[tuple[str, int], str]:
        """By name and port: who answers, as the engine tells it."""
        access, text, settings = self.access, self.sources[place], self.world.lab.settings
        who = source(access, text)
        found: dict[tuple[str, int], str] = {}
        for end in (end for end in self.world.own if end.startswith("person:") and end != place):
            name = f"{end.removeprefix('person:').replace('#', '-')}.{access.ids.tailnet}"
            for port in self.world.device_ports(end):
                if reach(access, text, end.removesuffix(AGAIN), port).reachable:
                    found[name, port] = end
        for host in settings.hosts:
            for port in self.world.device_ports(f"host:{host}"):
                for way in to_host(access, who, host, port):
                    if not way.missing:
                        found[_bare(way.name), port] = f"host:{host}"
        for route in access.ids.tcp_routes:  # by whatever name of the proxy's host, but not past the tailnet
            assert access.ids.proxy is not None
            host = access.ids.proxy.host
            for way in to_host(access, who, host, route.number):
                if not way.missing and way.name != settings.hosts[host].address:
                    found[_bare(way.name), route.number] = route.service
        for name, cluster in settings.clusters.items():
            verdict = reach(access, text, f"cluster:{name}")
            if verdict.reachable and place == f"host:{cluster.host}":
                found[verdict.name, verdict.port or 0] = f"cluster:{name}"
        for name, service in access.facts.services.items():
            for way in to_service(access, who, name) if service.ports else ():
                if not way.missing:
                    found[_bare(way.name), way.port] = name
        return found


def _bare(name: str) -> str:
    """The name alone of `https://name`, `name:port`."""
    return name.removeprefix("https://").partition(":")[0]


def _can(place: str, address: str) -> bool:
    """Pods have no address of IPv6."""
    return not (":" in address and place.startswith("cluster:"))


@contextmanager
def wire(checked: CheckedLab, folder: Path, program: Path) -> Iterator[Wire]:
    """A lab on the wire while the block lasts. `program`: Caddy."""
    world = World(checked)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with namespaces() as spaces:
        answers = None
        try:
            world.build(spaces)
            for node, rules in world.filters().items():
                world.enforce(spaces, node, rules)
            authority = Authority(folder)
            answers = Answers(world, spaces, authority)
            asyncio.run_coroutine_threadsafe(answers.open(), loop).result(30)
            with caddy(world, spaces, folder, authority, program) as root:
                trust = ssl.create_default_context(cafile=str(authority.root))
                trust.load_verify_locations(root)
                yield Wire(world, spaces, answers, Prober(spaces, trust), loop)
        finally:
            if answers is not None:
                asyncio.run_coroutine_threadsafe(answers.close(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
