"""The secrets of one revision: read from its SOPS file, and made where the lab leaves the value to us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from blumeops.base.errors import Unavailable, UserError
from blumeops.forge.repository import Repository
from blumeops.loop.admission import missing_secrets
from blumeops.loop.revision import Revision, read_revision
from blumeops.secrets import sops
from blumeops.secrets.age import Key
from blumeops.secrets.generate import generate
from blumeops.secrets.references import Reference
from blumeops.secrets.store import SopsStore

PENDING = "generated-secrets"
"""The branch of our own forge with a commit that the remote did not take."""


def with_generated(
    repository: Repository,
    work: Path,
    revision: Revision,
    key: Key,
    say: Callable[[str], None],
    publish: Callable[[Revision, str], bool] | None = None,
) -> Revision:
    """The revision with every secret that it uses: itself, or the commit that adds the missing ones to main.

    `publish` takes that commit to the remote first, where one is followed: our main is never ahead of it. What the
    remote does not take is kept as the branch `generated-secrets`, and the same values are tried again.

    Raises EngineError `BLU602` when main has moved meanwhile, UserError `BLU628` when the remote does not take the
    commit, and what `sops` raises for a file that it cannot open.
    """
    missing = missing_secrets(revision, key)
    if not missing:
        return revision
    new = repository.child(PENDING, revision.name)
    if new is None:
        new = _generated(repository, revision, key, missing, say)
    try:
        published = publish is not None and publish(revision, new)
    except Unavailable as error:
        repository.branch(PENDING, new)
        assert revision.checked is not None
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
    missing: Mapping[Reference, int],
    say: Callable[[str], None],
) -> str:
    """A commit on the revision that adds new values for `missing`; no branch leads to it yet."""
    say(f"generating {len(missing)} secrets into {sops.NAME}")
    changed = sops.updated(revision.secrets, {each: generate(length) for each, length in missing.items()}, key)
    names = "\n".join(str(each) for each in sorted(missing))
    message = f"Generate {len(missing)} secrets\n\n{names}\n"
    return repository.commit_as_before(revision.name, {sops.NAME: changed}, message, revision.name)


def reader(revision: Revision, key: Key) -> Callable[[str], str]:
    """A function from an `op://` reference to its value. It raises UserError `BLU510` for one that is not there."""
    store = SopsStore(revision.secrets, key.path)

    def read(text: str) -> str:
        reference = Reference.parse(text)
        values = store.read([reference])
        if reference not in values:
            raise UserError("BLU510", text, f"is not in {sops.NAME}", "add it there with `sops`")
        return values[reference]

    return read
