"""The policy's own `tests` and `sshTests` are run.

A test speaks of people, tags and hosts. It is held against the nodes that these stand for; where a tailnet has none
(or none is given), against a node that stands in: a device of that user, one with that tag. `accept` must hold for
every pair, `deny` for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from blumeops.base.findings import Finding, Place
from blumeops.facts.policy.addresses import EXIT_ROUTES, INTERNET
from blumeops.facts.policy.decide import End, decide
from blumeops.facts.policy.hujson import shown
from blumeops.facts.policy.logins import logins, may_log_in
from blumeops.facts.policy.model import ROLES, Policy, Rule, Selector, SshTest, Test, Wanted
from blumeops.facts.policy.resolve import Resolver
from blumeops.facts.policy.tailnet import Node, Tailnet

_TOO_MUCH = "is not run: the tests before it are too many for so many rules"
MOST_WORK = 20_000_000
"""Rules that all tests of a policy may be held against, counted for each pair of ends; tests beyond are not run."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One assertion of a test: what was to hold, whether it does, and why not; with the rules that let it through."""

    place: Place
    text: str
    passed: bool
    why: str = ""
    code: str = ""
    because: tuple[Rule, ...] = ()

    def finding(self) -> Finding:
        """What is wrong, when it did not pass."""
        return Finding(self.code, self.place, shown(self.text, 100), self.why, "change the rule, or the test")


def run(policy: Policy, tailnet: Tailnet | None = None) -> list[Trial]:
    """Every assertion of `tests` and `sshTests`, in their order."""
    court = _Court(policy, tailnet or Tailnet())
    found = [trial for test in policy.tests for trial in court.test(test)]
    return found + [trial for test in policy.ssh_tests for trial in court.ssh_test(test)]


def foreign_domains(policy: Policy, tailnet: Tailnet) -> list[Finding]:
    """The domains that a policy names and no user has: the control plane takes only the tailnet's own."""
    if tailnet.domains is None:
        return []
    return [
        Finding(
            "BLU245", place, shown(domain), "is the domain of no user of this tailnet", "name one that your users have"
        )
        for domain, place in policy.domains.items()
        if domain not in tailnet.domains
    ]


class _Court:
    """A policy and its tailnet, with nodes that stand in for whoever has none."""

    def __init__(self, policy: Policy, tailnet: Tailnet) -> None:
        self.before = Resolver(policy, tailnet)
        self.left = MOST_WORK
        self.added: dict[str, Node] = {}
        self.groups: dict[str, tuple[str, ...]] = dict(policy.groups)
        self.roles: dict[str, str] = dict(tailnet.roles)
        for test in policy.tests:
            self._prepare((test.source, *test.accept, *test.deny))
        for ssh_test in policy.ssh_tests:
            self._prepare((ssh_test.source, *ssh_test.destinations))
        self._carry(policy)
        named = {s.name for rule in policy.rules for s in (*rule.sources, *(t.selector for t in rule.targets))}
        self.unsure = "" if tailnet.roles or not named & ROLES else "; who has a role is not known without --nodes"
        nodes = (*tailnet.nodes, *self.added.values())
        self.resolver = Resolver(
            replace(policy, groups=self.groups), replace(tailnet, nodes=nodes, roles=self.roles)
        )  # fmt: skip

    def test(self, test: Test) -> Iterable[Trial]:
        """The assertions of one test of access."""
        for wanted, allow in [*((w, True) for w in test.accept), *((w, False) for w in test.deny)]:
            text = f"{test.source.text} to {wanted.text}"
            wrong = _wrong(test.source, wanted)
            if wrong:
                yield Trial(wanted.place, text, False, wrong, "BLU270")
                continue
            sources, destinations = self._ends(test.source.selector), self._ends(wanted.selector, test.source.selector)
            attributes = test.attributes or None
            self.left -= len(sources) * len(destinations) * len(test.protocols) * len(self.resolver.policy.rules)
            if self.left < 0:
                yield Trial(wanted.place, text, False, _TOO_MUCH, "BLU270")
                continue
            decisions = [
                [
                    decide(self.resolver, source, destination, wanted.port, number, attributes)
                    for number in test.protocols
                ]
                for source in sources
                for destination in destinations
            ]
            let = [pair for pair in decisions if any(decision.allowed for decision in pair)]
            because = tuple(dict.fromkeys(rule for pair in let for decision in pair for rule in decision.because))
            if not decisions:
                yield Trial(wanted.place, text, False, "stands for nobody", "BLU270")
            elif allow and len(let) < len(decisions):
                closed = next(pair for pair in decisions if not any(decision.allowed for decision in pair))[0]
                ends = f"{shown(closed.source)} to reach {shown(closed.destination)}"
                why = f"should be let through, but no rule allows {ends}{self.unsure}"
                yield Trial(wanted.place, text, False, why, "BLU271")
            elif not allow and let:
                why = f"should be denied, but {because[0].place} allows it"
                yield Trial(wanted.place, text, False, why, "BLU272", because)
            else:
                yield Trial(wanted.place, text, True, because=because)

    def ssh_test(self, test: SshTest) -> Iterable[Trial]:
        """The assertions of one test of SSH."""
        for outcome, accounts in (("accept", test.accept), ("check", test.check), (None, test.deny)):
            for wanted in accounts:
                for destination in test.destinations:
                    yield self._login(test, destination, wanted, outcome)

    def _login(self, test: SshTest, destination: Wanted, wanted: Wanted, outcome: str | None) -> Trial:
        text = f"{test.source.text} to {destination.text} as {wanted.text or repr('')}"
        wrong = _wrong(test.source, destination) or ("" if wanted.text.strip() else "names no account")
        if wrong:
            return Trial(destination.place, text, False, wrong, "BLU270")
        sources = self._ends(test.source.selector)
        ends = self._ends(destination.selector, test.source.selector)
        attributes = test.attributes or None
        self.left -= (len(sources) + len(self.resolver.policy.ssh)) * len(ends) * 10
        if self.left < 0:
            return Trial(wanted.place, text, False, _TOO_MUCH, "BLU270")
        found = [
            may_log_in(rules, source.mask, wanted.text.strip())
            for end in ends
            if end.index is not None
            for rules in (logins(self.resolver, end.index, attributes),)
            for source in sources
        ]
        if not found:
            return Trial(wanted.place, text, False, "stands for no device", "BLU270")
        words = {"accept": "accepted", "check": "asked to check in", None: "denied"}
        for got, rule in found:
            if got != outcome:
                by = f" by ssh[{rule.number}]" if rule else ""
                why = f"should be {words[outcome]}, but is {words[got]}{by}{self.unsure}"
                return Trial(wanted.place, text, False, why, "BLU273")
        return Trial(wanted.place, text, True)

    def _prepare(self, names: Iterable[Wanted]) -> None:
        """Let nodes stand in for whom the tailnet has none."""
        for wanted in names:
            selector = wanted.selector
            if selector is None or selector.kind in ("addresses", "any", "service") or self.before.mask(selector):
                continue
            match selector.kind:
                case "user":
                    self._stand_in(selector.name)
                case "domain":
                    self._stand_in(f"somebody@{selector.name}")
                case "tag":
                    self.added[selector.name] = Node(f"a device with {selector.name}", tags=(selector.name,))
                case "group":
                    if not self.groups.get(selector.name):
                        self.groups[selector.name] = (f"a member of {selector.name}",) if "@" in selector.name else ()
                    for user in self.groups[selector.name][:1]:
                        self._stand_in(user)
                case "autogroup" if selector.name == "tagged":
                    self.added[""] = Node("a tagged device", tags=("tag:",))
                case "autogroup" if selector.name in ROLES:
                    self.roles[f"somebody with role {selector.name}"] = selector.name
                    self._stand_in(f"somebody with role {selector.name}")
                case "autogroup" if selector.name == "member":
                    self._stand_in("a member")
                case _:
                    pass

    def _carry(self, policy: Policy) -> None:
        """Where a rule leads through routers that the tailnet has none of, let one stand in: tests are about rules."""
        for rule in policy.rules:
            for tag in rule.via if not any(self.before.by_tag.get(each) for each in rule.via) else ():
                before = self.added.get(tag)
                pieces = (piece for target in rule.targets for piece in target.selector.pieces)
                routes = dict.fromkeys((*(before.routes if before else ()), *EXIT_ROUTES, *pieces))
                self.added[tag] = Node(f"a device with {tag}", tags=(tag,), routes=tuple(routes))

    def _stand_in(self, user: str) -> None:
        self.added[user] = Node(f"a device of {user}", user=user)

    def _ends(self, selector: Selector | None, source: Selector | None = None) -> list[End]:
        """The ends that a selector stands for; `autogroup:self` are the source's own."""
        if selector is None:
            return []
        resolver = self.resolver
        if selector.kind == "service":
            return [End(selector.text, service=selector.name)]
        if selector.kind == "addresses":
            return [_address(resolver, selector)]
        if selector.kind == "autogroup" and selector.name == "internet":
            return [End(selector.text, found=INTERNET)]
        if selector.kind == "autogroup" and selector.name == "self":
            return self._ends(source)
        nodes = resolver.tailnet.nodes
        return [End(nodes[i].name, i, resolver.bits[i]) for i in resolver.spread(resolver.mask(selector))]


def _address(resolver: Resolver, selector: Selector) -> End:
    """One address is its node's, of that family; anything larger is a range that must be allowed as a whole."""
    found = selector.addresses
    ranges = [*found.four, *found.six]
    mask = resolver.within(found)
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1] and mask:
        return End(selector.text, resolver.spread(mask)[0], mask, found)
    return End(selector.text, found=found)


def _wrong(*wanted: Wanted) -> str:
    return next((each.wrong if each.selector is None else "" for each in wanted if each.wrong), "")
