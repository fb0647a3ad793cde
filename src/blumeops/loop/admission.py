"""What a revision must be, beyond what its own description says, to be applied at this very site.

The checks see the description and nothing else. Here stand what runs, the key and the site's name beside it: the
gate asks before a push lands, and each sync asks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from blumeops.base.errors import EngineError, UserError
from blumeops.base.findings import Finding, Place
from blumeops.facts.derive import Recipe, SecretUse
from blumeops.forge.repository import Repository
from blumeops.loop.revision import Revision, store_of
from blumeops.plan.consent import TRAILER, is_asked, refusal
from blumeops.render.local_unit import LocalUnit, SecretPart
from blumeops.secrets import sops
from blumeops.secrets.references import Reference
from blumeops.secrets.stores import Stores


def hindrances(revision: Revision, lab: str, stores: Stores, applied: Mapping[str, LocalUnit]) -> list[Finding]:
    """Why the site of `lab`, on which `applied` runs, cannot take the revision. Empty: it can.

    Raises Unavailable `BLU524` where the lab's vault is away.
    """
    if revision.checked is None:
        return list(revision.findings)
    found = []
    named = revision.checked.lab.settings.lab
    if named != lab:
        message = f"is the name of another lab: this site is {lab}'s, with its state and its data"
        hint = "keep the name, or bring the other lab up at a site of its own"
        found.append(Finding("BLU640", revision.checked.lab.place("lab"), named, message, hint))
    try:
        missing, not_given = missing_secrets(revision, stores), _not_given(revision, stores)
    except (UserError, EngineError) as error:
        return [*found, Finding(error.code, Place(sops.NAME, 1, 1), error.subject, error.message, error.hint)]
    for use in not_given:
        message = f"is not in {sops.NAME}, and somebody else issues it"
        found.append(Finding("BLU516", use.place, use.reference, message, f"blumeops secret set {use.reference}"))
    in_use = {reference for unit in applied.values() for reference in references(unit)}
    for reference in sorted(missing.keys() & in_use):
        message = f"is in use, and missing from {sops.NAME}: a new value would not open what the old one made"
        hint = "take the file back from the revision before"
        found.append(Finding("BLU511", Place(sops.NAME, 1, 1), str(reference), message, hint))
    return found


def unconsented(
    repository: Repository, before: Revision, after: Revision, env: Mapping[str, str] | None = None
) -> list[Finding]:
    """Why the push that leads from `before` to `after`, which passes the checks, needs consent that its commits do not
    give. Every gate asks this."""
    assert after.checked is not None
    if not any(each.checked and is_asked(each.checked) for each in (before, after)):
        return []
    said = repository.trailers(TRAILER, before.name, after.name, env)
    found = refusal(before.checked, after.checked, said)
    return [found] if found else []


def missing_secrets(revision: Revision, stores: Stores) -> dict[Reference, Recipe]:
    """The references that the revision's units use and its store lacks, each with how it is made.

    Raises what `sops.decrypt` does for a file that cannot be opened.
    """
    recipes = {Reference.parse(use.reference): use.recipe for use in _used_here(revision) if use.recipe}
    known = store_of(revision, stores).read(recipes)
    return {reference: recipe for reference, recipe in recipes.items() if reference not in known}


def _not_given(revision: Revision, stores: Stores) -> list[SecretUse]:
    """What somebody else issues, the units use, and the SOPS file lacks."""
    uses = {Reference.parse(use.reference): use for use in _used_here(revision) if use.recipe is None}
    known = store_of(revision, stores).read(uses)
    return [use for reference, use in uses.items() if reference not in known]


def _used_here(revision: Revision) -> Iterator[SecretUse]:
    """The secrets of everything that runs at this site."""
    assert revision.checked is not None
    for facts in revision.checked.facts.services.values():
        if not revision.units[facts.name].provided and not revision.units[facts.name].unavailable:
            yield from facts.secrets


def rotated(before: Revision, after: Revision, stores: Stores) -> dict[str, list[str]]:
    """By unit: the references whose value is another one than before, and is there. Both files can be opened."""
    changed: dict[str, list[str]] = {}
    used = {name: references(unit) for name, unit in after.units.items()}
    every = sorted({reference for found in used.values() for reference in found})
    old = store_of(before, stores).read(every)
    new = store_of(after, stores).read(every)
    different = {reference for reference in old.keys() & new.keys() if old[reference] != new[reference]}
    for name, found in used.items():
        if both := sorted(str(reference) for reference in found & different):
            changed[name] = both
    return changed


def references(unit: LocalUnit) -> set[Reference]:
    """Every secret that a unit uses, its grants' too."""
    texts: list[Iterable[object]] = [*unit.command, *unit.reload, *unit.env.values(), *unit.files.values()]
    for grant in unit.grants:
        texts += [*grant.command, *grant.env.values()]
    if unit.init:
        texts += unit.init.command
    if unit.health:
        texts += unit.health.command
    found = {part.secret for text in texts for part in text if isinstance(part, SecretPart)}
    return {Reference.parse(text) for text in {*found, *unit.secret_files.values()}}
