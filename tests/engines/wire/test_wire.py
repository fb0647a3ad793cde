"""The example lab on the wire: packet filters that Linux enforces, the real Caddy, and who gets through by which name.

The filters are those that the policy engine compiles for each node; verdicts come from the lab's lines by another
way. Both must say the same of every source, name and port.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from blumeops.facts.outage import Outages
from blumeops.facts.policy.filters import FilterRule
from tests.engines.caddy.built import FIRST

from .conftest import Seen
from .probe import Call

pytestmark = pytest.mark.timeout(FIRST)

HOUSEHOLD, GRAFANA, KIWIX = "person:household", "service:grafana", "service:kiwix"


def test_every_packet_passes_or_is_dropped_as_the_policy_says(example: Seen) -> None:
    """Every port of every address of every node, by IPv4 and IPv6, from everywhere; a drop is noted."""
    assert example.wire.packets(example.packets) == []
    assert {"taken", "refused", "silence"} <= set(example.packets.values())


def test_every_name_is_answered_by_whom_the_engine_says(example: Seen) -> None:
    """By MagicDNS, by Caddy, among pods and by address: that service's own answer, or none."""
    assert example.wire.compare(example.answers) == []
    assert {"miniflux", "grafana", "forgejo"} <= set(example.answers["person:erich"].values())
    assert "grafana" not in example.answers[HOUSEHOLD].values()


def test_reach_says_of_every_pair_what_was_seen(example: Seen) -> None:
    """With each port and without one."""
    assert example.wire.verdicts(example.answers) == []


def test_a_filter_that_is_wider_is_caught(example: Seen) -> None:
    """One more rule in one namespace: exactly what it opens is told, as packets and by name."""
    wire = example.wire
    right = wire.world.filters()[GRAFANA]
    sources, places = wire.world.own[HOUSEHOLD], wire.world.own[GRAFANA]
    wire.world.enforce(wire.spaces, GRAFANA, [*right, FilterRule(sources, tuple((one, 443, 443) for one in places))])
    try:
        found = wire.scan([GRAFANA])
        assert wire.packets(found) == [
            f"{HOUSEHOLD} to {GRAFANA} on 443 by {place}: taken; the policy denies it" for place in places
        ]
        told = {HOUSEHOLD: {("grafana.tail8d86e.ts.net", 443): "grafana"}}
        asked = wire.ask({call: outcome for call, outcome in found.items() if call.source == HOUSEHOLD})
        assert asked[HOUSEHOLD].items() >= told[HOUSEHOLD].items()
        assert len(wire.compare({**example.answers, HOUSEHOLD: {**example.answers[HOUSEHOLD], **told[HOUSEHOLD]}})) == 1
    finally:
        wire.world.enforce(wire.spaces, GRAFANA, right)
    assert wire.packets(wire.scan([GRAFANA], [HOUSEHOLD])) == []


@pytest.mark.parametrize("what", ["no rule", "another port", "one family"])
def test_a_filter_that_is_narrower_is_caught(example: Seen, what: str) -> None:
    """A rule less, a rule for another port, and one for a single family of addresses."""
    wire = example.wire
    right = wire.world.filters()[KIWIX]
    four = wire.world.own[HOUSEHOLD][0]

    def narrow(rule: FilterRule) -> FilterRule:
        if what == "another port":
            return replace(rule, destinations=tuple((to, 9, 9) for to, _, _ in rule.destinations))
        return replace(rule, sources=tuple(source for source in rule.sources if what == "one family" and "." in source))

    meant = [rule for rule in right if four in rule.sources]
    assert meant
    wire.world.enforce(wire.spaces, KIWIX, [narrow(rule) if rule in meant else rule for rule in right])
    try:
        wrong = wire.packets(wire.scan([KIWIX], [HOUSEHOLD]))
    finally:
        wire.world.enforce(wire.spaces, KIWIX, right)
    assert len(wrong) == {"no rule": 2, "another port": 4, "one family": 1}[what]
    assert wire.packets(wire.scan([KIWIX], [HOUSEHOLD])) == []


def test_slowness_is_not_taken_for_a_drop(example: Seen) -> None:
    """A call that nobody answers, and that no filter dropped, is told."""
    wire = example.wire
    call = Call(HOUSEHOLD, wire.world.own[KIWIX][0], 443)
    denied = Call(HOUSEHOLD, wire.world.own[GRAFANA][0], 9)
    assert wire.packets({call: "silence", denied: "silence"}) == [
        f"{HOUSEHOLD} to {KIWIX} on 443 by {call.address}: silence; the policy lets it through"
    ]
    wire.world.enforce(wire.spaces, GRAFANA, wire.world.filters()[GRAFANA])  # which forgets what it dropped
    assert wire.packets({denied: "silence"}) == [
        f"{HOUSEHOLD} to {GRAFANA} on 9 by {denied.address}: silence, but nothing dropped it"
    ]


def test_the_proxy_answers_nobody_who_comes_past_the_tailnet(example: Seen) -> None:
    """Whoever knows a name need not ask the DNS: from the home network, by the host's address there, with the name."""
    wire = example.wire
    labels = [service.label for service in wire.access.facts.services.values()]
    calls = [(Call("lan", "192.168.1.50", 443), f"{label}.ops.eblu.me", True) for label in labels]
    calls += [(Call("lan", "192.168.1.50", port), "pg.ops.eblu.me", False) for port in (2222, 5432)]
    answers = wire.run(wire.prober.ask(calls))
    assert {who for who in answers.values() if not who.startswith("(")} == set()
    # By the tailnet's address of the same host the same names are answered, also from beside it.
    own = Call("host:sifaka", wire.world.own["host:indri"][0], 443)
    assert wire.run(wire.prober.ask([(own, "feed.ops.eblu.me", True)])) == {(own, "feed.ops.eblu.me"): "miniflux"}
    for port, service in ((2222, "forgejo"), (5432, "postgresql")):
        led = Call("host:sifaka", wire.world.own["host:indri"][0], port)
        assert wire.run(wire.prober.ask([(led, "ops.eblu.me", False)])) == {(led, "ops.eblu.me"): service}


@pytest.mark.parametrize("name", ["indri", "sifaka", "minikube", "caddy", "postgresql", "kiwix", "forgejo"])
def test_what_is_lost_is_what_whatif_says(example: Seen, name: str) -> None:
    """A host or a cluster without power, a service that has ended: whom nobody answers any more, for each person."""
    wire = example.wire
    people = [f"person:{name}" for name in wire.world.lab.settings.people]
    services = wire.access.facts.services
    before = {person: {who for who in example.answers[person].values() if who in services} for person in people}
    with wire.world.without(wire.spaces, name):
        after = wire.left(example.packets, people)
    told = Outages(wire.access).of(name).users
    assert told
    proxy = {wire.access.ids.proxy.name} if wire.access.ids.proxy else set()  # it answers by the names of others alone
    for person in people:
        assert before[person] - after[person] == set(told.get(person.removeprefix("person:"), ())) - proxy
