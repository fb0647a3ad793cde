"""The secrets of one revision: read from its SOPS file, and made where the lab leaves the value to us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from blumeops.base.errors import Unavailable, UserError
from blumeops.facts.derive import Recipe
from blumeops.forge.repository import Repository
from blumeops.loop.admission import missing_secrets, references
from blumeops.loop.revision import Revision, read_revision, store_of
from blumeops.secrets import sops
from blumeops.secrets.age import Key
from blumeops.secrets.generate import made
from blumeops.secrets.references import Reference
from blumeops.secrets.store import SopsStore
from blumeops.secrets.stores import Stores

PENDING = "generated-secrets"
"""The branch of our own forge with a commit that the remote did not take."""


def with_generated(
    repository: Repository,
    work: Path,
    revision: Revision,
    stores: Stores,
    say: Callable[[str], None],
    publish: Callable[[Revision, str], bool] | None = None,
) -> Revision:
    """The revision with every secret that it uses: itself, or the commit that adds the missing ones to main.

    `publish` takes that commit to the remote first, where one is followed: our main is never ahead of it. What the
    remote does not take is kept as the branch `generated-secrets`, and the same values are tried again.

    A store outside of the repository takes them at once, and no commit is made.

    Raises EngineError `BLU602` when main has moved meanwhile, UserError `BLU628` when the remote does not take the
    commit, and what `sops` raises for a file that it cannot open.
    """
    missing = missing_secrets(revision, stores)
    if not missing:
        return revision
    assert revision.checked is not None
    if keeper := stores.keeper(revision.checked.lab.settings.secrets):
        say(f"generating {len(missing)} secrets into {revision.checked.lab.settings.secrets.here}")
        keeper.write(made(missing, keeper))
        return revision
    new = repository.child(PENDING, revision.name)
    if new is None:
        new = _generated(repository, revision, stores.key, missing, say)
    try:
        published = publish is not None and publish(revision, new)
    except Unavailable as error:
        repository.branch(PENDING, new)
        settings = revision.checked.lab.settings
        address = f"http://localhost:{settings.here.forge}/{settings.lab}.git"
        hint = f"do it yourself, in a clone of it: git pull {address} {PENDING} && git push"
        message = f"the commit with {len(missing)} generated secrets cannot be pushed there: {error.message}"
        raise UserError("BLU628", error.subject, message, hint) from error
    repository.advance(new, revision.name)
    if published:
        say(f"pushed {new[:8]} to the remote, with the secrets that were generated")
        repository.branch(PENDING, None)
    return read_revision(repository, work, new)


def _generated(
    repository: Repository,
    revision: Revision,
    key: Key,
    missing: Mapping[Reference, Recipe],
    say: Callable[[str], None],
) -> str:
    """A commit on the revision that adds new values for `missing`; no branch leads to it yet."""
    say(f"generating {len(missing)} secrets into {sops.NAME}")
    changed = sops.updated(revision.secrets, made(missing, SopsStore(revision.secrets, key.path)), key)
    names = "\n".join(str(each) for each in sorted(missing))
    message = f"Generate {len(missing)} secrets\n\n{names}\n"
    return repository.commit_as_before(revision.name, {sops.NAME: changed}, message, revision.name)


def reader(revision: Revision, stores: Stores) -> Callable[[str], str]:
    """A function from an `op://` reference to its value; the first that is asked for brings all that the units use.

    It raises UserError `BLU510` for one that is not there, Unavailable `BLU524` where the store cannot be asked.
    """
    store = store_of(revision, stores)
    known: dict[Reference, str] = {}

    def read(text: str) -> str:
        reference = Reference.parse(text)
        if reference not in known:
            every = {each for unit in revision.units.values() if not known for each in references(unit)}
            known.update(store.read({reference, *every}))
        if reference not in known:
            raise UserError("BLU510", text, "is not in the lab's store", f"blumeops secret set {text}")
        return known[reference]

    return read
