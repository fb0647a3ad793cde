"""Wanted units against applied ones: the changes, in the order in which they are carried out.

Pure: both sides come in as units, so a plan is the same wherever it is made. Changes of what is started or
changed come first, providers before their users; then removals, users before their providers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from blumeops.plan.text import lines, parts_text
from blumeops.render.local_unit import LocalUnit

Action = Literal["start", "restart", "replace", "reload", "record", "remove"]
MOST_COMPARED = 5000
"""Lines of a unit, before and after together, that are compared one by one."""
_NO_RESTART = {
    "app", "place", "url", "needs", "health", "sources", "grants", "init", "state", "samples", "update",
    "reload", "metrics", "heal", "route", "loaded",
}  # fmt: skip
"""What the running process does not see: the engine compares how it was started."""
_FIELDS = {
    "env": "environment", "url": "address", "init": "first start", "secret_files": "secrets", "stop_signal": "stop",
    "stop_seconds": "stop", "route": "address", "sources": "where the program comes from", "grants": "database",
    "state": "what is kept", "reads_all": "what it may read", "heal": "what becomes of changes by hand",
    "memory": "limit of memory", "loaded": "where it tells its configuration",
}  # fmt: skip
"""The names of fields in a person's words, where they differ."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one unit, why, what a person notices of it, and the difference as a unified diff."""

    unit: str
    action: Action
    why: str
    effects: tuple[str, ...]
    diff: str

    def as_json(self) -> dict[str, object]:
        """The object in `changes` of `plan --json`."""
        return {
            "unit": self.unit, "action": self.action, "why": self.why, "effects": list(self.effects),
            "diff": self.diff,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes from one revision's units to another's; empty: nothing to do."""

    changes: tuple[Change, ...]

    def as_json(self, before: str, after: str) -> dict[str, object]:
        """The object of `plan --json`."""
        return {"version": 1, "from": before, "to": after, "changes": [change.as_json() for change in self.changes]}


def compare(
    wanted: Mapping[str, LocalUnit], applied: Mapping[str, LocalUnit], contained: Mapping[str, bool] | None = None
) -> Plan:
    """The plan that makes `applied` into `wanted`. `contained`: of units that run, whether they do from an image; of
    others it is not known, where they could run from something else."""
    changes = []
    for name in start_order(wanted.values()):
        before, after = applied.get(name), wanted[name]
        if before is None:
            changes.append(_started(after))
        elif before != after:
            inside = _from_image(after, contained or {})
            if inside is not False or _unlocked(before) != _unlocked(after):
                changes.append(_changed(before, after, inside))
    gone = [unit for name, unit in applied.items() if name not in wanted]
    changes += [_removed(applied[name]) for name in reversed(start_order(gone))]
    return Plan(tuple(changes))


def with_new_secrets(plan: Plan, wanted: Mapping[str, LocalUnit], fresh: Mapping[str, Sequence[str]]) -> Plan:
    """The plan and, where a secret has another value than what is applied has, what follows from that.

    `fresh`: by unit, the references with a new value. Such a unit is restarted, whatever else changes.
    """
    by_unit = {change.unit: change for change in plan.changes}
    changes = []
    for name in start_order(wanted.values()):
        change, news = by_unit.pop(name, None), fresh.get(name, ())
        if news and not _at_rest(wanted[name]):
            effects = (*(change.effects if change else ()), *(f"a new value of {each}" for each in news))
            action: Action = "replace" if wanted[name].update == "replace" else "restart"
            if change and change.action not in ("record", "reload"):
                action = change.action
            why = f"{change.why}, secrets changed" if change else "secrets changed"
            change = Change(name, action, why, effects, change.diff if change else "")
        changes += [change] if change else []
    return Plan((*changes, *by_unit.values()))


def start_order(units: Iterable[LocalUnit]) -> list[str]:
    """Names of the units, each behind what it needs; the same however they come in."""
    by_name = {unit.unit: unit for unit in units}
    needs = {name: [need for need in by_name[name].needs if need in by_name] for name in sorted(by_name)}
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError:  # the checks refuse it; what was applied before may be anything
        return sorted(by_name)


def _started(unit: LocalUnit) -> Change:
    diff = _diff(unit.unit, [], lines(unit))
    action: Action = "record" if _at_rest(unit) else "start"
    return Change(unit.unit, action, "is new", tuple(_begins(unit)), diff)


def _at_rest(unit: LocalUnit) -> bool:
    """Whether nothing of the unit is kept running."""
    return bool(unit.provided or unit.unavailable) or unit.kind == "job"


def _begins(unit: LocalUnit) -> list[str]:
    if unit.provided:
        return [f"{unit.provided} stands in for {unit.unit}"]
    if unit.unavailable:
        return [f"{unit.unit} cannot run here: {unit.unavailable}"]
    effects = [f"{unit.app} {unit.version} {'runs at set times' if unit.kind == 'job' else 'starts'}"]
    if unit.url:
        effects.append(f"{unit.url} leads to it")
    return effects + [f"{grant.provider} gets a database and a role for it" for grant in unit.grants]


def _removed(unit: LocalUnit) -> Change:
    effects = [f"{unit.unit} is not run any more" if _at_rest(unit) else f"{unit.unit} stops"]
    if unit.url and not _at_rest(unit):
        effects.append(f"{unit.url} leads nowhere")
    if unit.state or unit.grants:
        effects.append("its data is kept")
    return Change(unit.unit, "remove", "is no longer described", tuple(effects), _diff(unit.unit, lines(unit), []))


def _from_image(unit: LocalUnit, contained: Mapping[str, bool]) -> bool | None:
    """Whether what is locked is what runs; None: it is not known."""
    if _at_rest(unit):
        return False
    alone = bool(unit.sources) and all(source.kind == "container" for source in unit.sources)
    return contained.get(unit.unit, alone or None)


def _unlocked(unit: LocalUnit) -> LocalUnit:
    """The unit without the digest of its image."""
    sources = tuple(source.model_copy(update={"digest": None}) for source in unit.sources)
    return unit.model_copy(update={"sources": sources})


def _changed(before: LocalUnit, after: LocalUnit, inside: bool | None) -> Change:
    """`inside`: whether it runs from an image; None: it is not known."""
    locked = _digest(before) != _digest(after)
    different = {name for name in LocalUnit.model_fields if getattr(before, name) != getattr(after, name)}
    effects = _effects(before, after, different, locked and inside is not False)
    action: Action
    if _at_rest(after):
        action = "record"
        if not _at_rest(before):
            effects = [f"{before.unit} stops", *_begins(after)]
    elif _at_rest(before):
        action = "start"
        effects = _begins(after)
    elif different <= _NO_RESTART and not (locked and inside):
        action = "record"
        effects.append("restarted if it runs from its image" if locked and inside is None else "nothing is restarted")
    elif different <= {*_NO_RESTART, "files"} and after.reload and not inside:
        action = "reload"
        effects.append("it reads its files anew, without a restart")
    elif after.update == "replace" and all(port.fixed is None for port in after.ports.values()):
        action = "replace"
        effects.append("the new one is healthy before the old one stops")
    else:
        action = "restart"
        effects.append("a short break; the old one comes back if the new one does not get healthy")
    why = ", ".join(dict.fromkeys(_FIELDS.get(name, name) for name in sorted(different)))
    return Change(after.unit, action, f"{why} changed", tuple(effects), _diff(after.unit, lines(before), lines(after)))


def _effects(before: LocalUnit, after: LocalUnit, different: set[str], locked: bool) -> list[str]:
    """`locked`: its image is, to another digest."""
    effects = []
    if "app" in different:
        effects.append(f"{before.app} becomes {after.app}")
    elif "version" in different:
        effects.append(f"{after.app} goes from {before.version} to {after.version}")
    elif locked:
        digest = _digest(after)
        effects.append(f"its image is {f'locked to {digest[:19]}…' if digest else 'locked no more'}")
    for name in sorted(before.env.keys() | after.env.keys()):
        old, new = before.env.get(name), after.env.get(name)
        if old != new:
            old_text = "unset" if old is None else parts_text(old)
            effects.append(f"{name}: {old_text} → {'unset' if new is None else parts_text(new)}")
    for name in sorted(before.files.keys() | after.files.keys()):
        if before.files.get(name) != after.files.get(name):
            effects.append(f"the file {name} changes")
    if "url" in different:
        effects.append(f"{before.url or 'no address'} becomes {after.url or 'no address'}")
    added = {grant.provider for grant in after.grants} - {grant.provider for grant in before.grants}
    return effects + [f"{provider} gets a database and a role for it" for provider in sorted(added)]


def _digest(unit: LocalUnit) -> str:
    """What its image is locked to."""
    return next((source.digest for source in unit.sources if source.digest), "")


def _diff(unit: str, before: list[str], after: list[str]) -> str:
    # Comparing takes the product of both, and what is pushed may be made for that.
    if before and after and len(before) + len(after) > MOST_COMPARED:
        return f"--- a/{unit}\n+++ b/{unit}\n({len(before)} lines become {len(after)}: too many to compare)"
    return "\n".join(unified_diff(before, after, f"a/{unit}", f"b/{unit}", lineterm="", n=2))
