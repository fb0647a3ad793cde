"""What programs printed, for people to read and pass on: without the lab's secrets.

In: a site, and the key of its store. Out: lines with `***` in place of every value that the store has, or had before
one of its last changes: logs are older than that. Only values that the store cannot tell are shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from blumeops.app.site import applied
from blumeops.base.errors import BlumeError, UserError
from blumeops.base.site import SiteFolder
from blumeops.engines.local.resolve import references_of
from blumeops.forge.repository import Repository
from blumeops.loop.revision import read_revision
from blumeops.secrets import sops
from blumeops.secrets.age import find_key
from blumeops.secrets.masks import Masks
from blumeops.secrets.references import Reference
from blumeops.secrets.stores import Stores

BEFORE = 20
"""Versions of the SOPS file whose values are known."""


class SiteMasks:
    """The values of one site. They are read anew when its main moves: who follows a log sees new ones come."""

    def __init__(self, folder: SiteFolder, lab: str, age_key: Path | None) -> None:
        """Raises UserError `BLU526` when the store cannot be opened."""
        self._folder, self._age_key = folder, age_key
        self._repository = Repository(folder.repository / f"{lab}.git")
        self._masks = Masks()
        self._at = self._place_of_main()
        self._learn()

    def mask(self, text: str) -> str:
        """A whole line without them."""
        if (at := self._place_of_main()) != self._at:
            self._at = at
            self._learn()
        return self._masks.mask(text)

    def _place_of_main(self) -> tuple[int, int]:
        """Another one whenever main moves: Git writes the file anew. Asking Git would take longer."""
        try:
            found = (self._repository.path / "refs/heads/main").stat()
            return found.st_ino, found.st_mtime_ns
        except OSError:
            return 0, 0

    def _learn(self) -> None:
        try:
            for value in (*self._of_file(), *self._of_store()):
                self._masks.add(value)
        except BlumeError as error:
            why = f"the secrets in its lines cannot be told from the rest: {error.subject}: {error.message}"
            raise UserError(
                "BLU526", "log", why, "name the key with --age-key, or see it as it is with --raw"
            ) from error

    def _of_file(self) -> Iterator[str]:
        """Of the SOPS file, its newest versions first; one without a value of its own is not opened."""
        if not self._repository.path.is_dir():
            return
        known: set[tuple[Reference, str]] = set()
        for _, data in self._repository.versions(sops.NAME, BEFORE):
            new = set(sops.stored(data).items()) - known
            known |= new
            if new:
                key = find_key(self._age_key, os.environ, self._folder.age_key, create=False)
                yield from sops.decrypt(data, key.path).values()

    def _of_store(self) -> Iterable[str]:
        """Of the store elsewhere, where the lab names one: what the site's services were given."""
        head = self._repository.head() if self._repository.path.is_dir() else None
        text = self._repository.content(head, "lab.yaml") if head else None
        if head is None or b"here" not in (text or b""):
            return ()
        checked = read_revision(self._repository, self._folder.work, head).checked
        if checked is None or checked.lab.settings.secrets.here == "sops":
            return ()
        key = find_key(self._age_key, os.environ, self._folder.age_key, create=False)
        units = applied(self._folder).values()
        wanted = {Reference.parse(each) for unit in units for each in references_of(unit)}
        return Stores(key, self._folder.path).of(checked.lab.settings.secrets, None).read(wanted).values()
