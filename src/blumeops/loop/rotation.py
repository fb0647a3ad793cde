"""New secrets on main: values that a person gives or that are made here, and who can open them.

What enters: the site, and what is to change. What leaves: a commit on main's head that changes the SOPS file alone,
read and checked like a push. Promised: no value is in its message, in a line or in an error; main moves only when
nothing refuses the commit; the way back is another commit, with the old values of what was changed and no others, and
of that nothing which somebody has changed again meanwhile.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from blumeops.base.errors import UserError
from blumeops.base.findings import Finding, in_order
from blumeops.facts.derive import Recipe
from blumeops.loop.admission import hindrances, references
from blumeops.loop.revision import Revision, read_revision, store_of
from blumeops.loop.sync import Site, no_secrets
from blumeops.secrets import rules, sops
from blumeops.secrets.generate import Given, made
from blumeops.secrets.inventory import Entry, Use, inventory
from blumeops.secrets.references import Reference
from blumeops.secrets.store import Remembering, SopsStore

_ONCE = "the program takes it at its first start alone, and keeps its own"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to change. `values`: new ones; `new`: references, or names of services for all of theirs, that get a
    value made here; `add` and `remove`: age recipients."""

    values: Mapping[Reference, str]
    new: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """A commit that main can move to; `findings` that are errors refuse it."""

    parent: str
    revision: Revision
    findings: tuple[Finding, ...]
    values: Mapping[Reference, str] = field(repr=False)
    """The new ones."""
    before: Mapping[Reference, str] = field(repr=False)
    """The values that were changed, as they were: those that there were."""
    units: tuple[str, ...]
    """Who uses what was changed, and is restarted."""
    lines: tuple[str, ...]


def prepare(site: Site, wanted: Wanted) -> Changed:
    """Make and judge the commit; main stays where it is.

    Raises UserError `BLU513` (nothing that we make), `BLU514` (nothing would change), and what `sops` raises.
    """
    head = site.repository.resolve("main")
    now = read_revision(site.repository, site.work, head)
    known = inventory(now.checked.lab, now.checked.facts) if now.checked else []
    recipes = _to_be_made(known, now, wanted.new)
    values = dict(wanted.values)
    values |= made(_with_what_follows(known, recipes, values), Given(values, store_of(now, site.stores)))
    before = store_of(now, site.stores).read(values)
    if keeper := _keeper(site, now):
        keeper.write(values)
        changed = [each for each in sorted(values) if values[each] != before.get(each)]
        return Changed(head, now, (), values, before, *_told(now, changed, _once_notes(known, values)))
    data = sops.updated(now.secrets, values, site.stores.key) if values or now.secrets is None else now.secrets
    if wanted.add or wanted.remove:
        data = sops.with_recipients(data, wanted.add, wanted.remove, site.stores.key)
    if data == now.secrets:
        raise UserError("BLU514", sops.NAME, "nothing changes", "it has these values and recipients already")
    files: dict[str, bytes | None] = {sops.NAME: data}
    lines = _once_notes(known, values)
    if wanted.add or wanted.remove:
        lines += [f"{sops.NAME} is opened by {', '.join(sops.recipients(data))}"]
        theirs = site.repository.content(head, rules.NAME)
        if theirs is None or (now.secrets is not None and theirs == rules.text(sops.recipients(now.secrets))):
            files[rules.NAME] = rules.text(sops.recipients(data))
        else:
            lines.append(f"note: {rules.NAME} has rules of your own: say the recipients there too")
    if wanted.remove:
        lines.append("note: who could open it still has the old values, from the history: rotate what matters")
    changed = [each for each in sorted(values) if values[each] != before.get(each)]
    return _judged(site, head, files, _message(changed, wanted), values, before, changed, lines)


def undo(site: Site, done: Changed) -> Changed:
    """The commit on main's head, wherever that is by now, that has the old values again. Raises UserError `BLU514`
    where somebody has changed all of them meanwhile."""
    head = site.repository.resolve("main")
    keeper, data = _keeper(site, done.revision), site.repository.content(head, sops.NAME)
    now = (keeper or SopsStore(data, site.stores.key.path)).read(done.before)
    old = {each: value for each, value in done.before.items() if now.get(each) == done.values[each]}
    if not old:
        raise UserError("BLU514", "main", "has other values by now: nothing is taken back", "blumeops status --wait")
    if keeper:
        keeper.write(old)
        return replace(done, parent=head, revision=read_revision(site.repository, site.work, head))
    named = "\n".join(map(str, sorted(old)))
    subject = f"Take back {_count(len(old), 'secret')}: not everything got healthy with the new\n\n{named}\n"
    files = {sops.NAME: sops.updated(data, old, site.stores.key)}
    return _judged(site, head, files, subject, old, {}, sorted(old))


def _judged(
    site: Site,
    head: str,
    files: Mapping[str, bytes | None],
    message: str,
    values: Mapping[Reference, str],
    before: Mapping[Reference, str],
    changed: Sequence[Reference],
    lines: Sequence[str] = (),
) -> Changed:
    revision = read_revision(site.repository, site.work, site.repository.commit_as_before(head, files, message, head))
    found = {*revision.findings, *hindrances(revision, site.lab, site.stores, site.engine(no_secrets).applied())}
    return Changed(head, revision, tuple(in_order(found)), values, before, *_told(revision, changed, lines))


def _told(
    revision: Revision, changed: Sequence[Reference], lines: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who uses what is changed, and what a person reads of it."""
    users = tuple(name for name, unit in revision.units.items() if references(unit) & set(changed))
    told = [f"{each}: a new value" for each in changed]
    if changed:
        jobs = [name for name in users if revision.units[name].kind == "job"]
        services = [name for name in users if name not in jobs]
        told += [f"restarts: {', '.join(services)}"] if services else []
        told += [f"from its next run on: {name}" for name in jobs]
        told += [] if users else ["nothing that runs here uses it"]
    return users, (*told, *lines)


def _keeper(site: Site, revision: Revision) -> Remembering | None:
    """The store outside of the repository, where the lab names one."""
    return site.stores.keeper(revision.checked.lab.settings.secrets) if revision.checked else None


def _to_be_made(known: Sequence[Entry], now: Revision, names: Sequence[str]) -> dict[Reference, Recipe]:
    """The references that `names` mean, each with how it is made."""
    if names and now.checked is None:
        raise UserError("BLU515", "main", "does not pass the checks, so that nobody knows who uses what", "mend it")
    found: dict[Reference, Recipe] = {}
    for name in names:
        meant = _meant(known, name)
        new = {entry.reference: entry.recipe for entry in meant if entry.recipe}
        kept = {use.subject for use in _taken_once(known, new)}
        if new and kept and len(meant) == 1:
            hint = "change it there, then give it to the store: blumeops secret set REFERENCE"
            raise UserError("BLU513", name, f"{', '.join(sorted(kept))}: {_ONCE}", hint)
        new = {each: recipe for each, recipe in new.items() if not _taken_once(known, [each])}
        if not new:
            raise _unknown(name, meant)
        found |= new
    return found


def _once_notes(known: Sequence[Entry], references: Container[Reference]) -> list[str]:
    return [f"note: {use.subject}: {_ONCE}" for use in _taken_once(known, references)]


def _with_what_follows(
    known: Sequence[Entry], recipes: Mapping[Reference, Recipe], given: Container[Reference]
) -> dict[Reference, Recipe]:
    """Also what is made of a secret that changes: its public key, its line of htpasswd."""
    follows = {
        entry.reference: entry.recipe
        for entry in known
        if entry.recipe and entry.recipe.source and entry.reference not in given
        and ((source := Reference.parse(entry.recipe.source)) in recipes or source in given)
    }  # fmt: skip
    return {**recipes, **follows}


def _taken_once(known: Sequence[Entry], references: Container[Reference]) -> list[Use]:
    """Who keeps one of those by itself."""
    return [use for entry in known if entry.reference in references for use in entry.uses if use.once]


def _meant(known: Sequence[Entry], name: str) -> list[Entry]:
    if name.startswith("op://"):
        reference = Reference.parse(name)
        return [entry for entry in known if entry.reference == reference]
    return [
        entry
        for entry in known
        if any(name in (use.service, use.subject) for use in entry.uses)
    ]  # fmt: skip


def _unknown(name: str, meant: Sequence[Entry]) -> UserError:
    if meant:
        message, hint = "is not made here: somebody else gives it", "give its new value: blumeops secret set REFERENCE"
    else:
        message, hint = "is no secret that the lab uses", "`blumeops secret list` has them all"
    return UserError("BLU513", name, message, hint)


def _message(changed: Sequence[Reference], wanted: Wanted) -> str:
    """Names alone."""
    what = []
    if changed:
        what.append(f"{'Rotate' if wanted.new else 'Set'} {_count(len(changed), 'secret')}")
    if wanted.add or wanted.remove:
        what.append(f"Change who opens {sops.NAME}")
    names = [*map(str, changed), *(f"+{each}" for each in wanted.add), *(f"-{each}" for each in wanted.remove)]
    return "; ".join(what) + "\n\n" + "\n".join(names) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
