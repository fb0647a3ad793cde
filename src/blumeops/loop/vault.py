"""The secrets of one revision: read from its SOPS file, and made where the lab leaves the value to us."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.forge.repository import Repository
from blumeops.loop.admission import missing_secrets
from blumeops.loop.revision import Revision, read_revision
from blumeops.secrets import sops
from blumeops.secrets.age import Key
from blumeops.secrets.generate import generate
from blumeops.secrets.references import Reference
from blumeops.secrets.store import SopsStore


def with_generated(
    repository: Repository, work: Path, revision: Revision, key: Key, say: Callable[[str], None]
) -> Revision:
    """The revision with every secret that it uses: itself, or the commit that adds the missing ones to main.

    Raises EngineError `BLU602` when main has moved meanwhile, and what `sops` raises for a file that it cannot open.
    """
    missing = missing_secrets(revision, key)
    if not missing:
        return revision
    say(f"generating {len(missing)} secrets into {sops.NAME}")
    changed = sops.updated(revision.secrets, {each: generate(length) for each, length in missing.items()}, key)
    names = "\n".join(str(each) for each in sorted(missing))
    message = f"Generate {len(missing)} secrets\n\n{names}\n"
    new = repository.commit_files({sops.NAME: changed}, message, revision.name)
    return read_revision(repository, work, new)


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
