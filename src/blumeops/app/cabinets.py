"""The store behind the `op` command and the Connect API: the forge's SOPS file, or a SOPS file that somebody names.

Few imports: `op` is called once for every secret of a playbook.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import EngineError, UserError
from blumeops.base.site import SiteFolder
from blumeops.forge.repository import Repository
from blumeops.secrets import sops
from blumeops.secrets.age import Key, find_key
from blumeops.secrets.cabinet import Cabinet, Contents, Edit, FileCabinet, edited, opened
from blumeops.secrets.references import Reference

_TRIES = 3
_ONE = threading.Lock()
"""One change at a time in this process: only pushes of others make one begin again."""


def nothing_in_use() -> Collection[Reference]:
    """For those who only read."""
    return ()


@dataclass(frozen=True)
class ForgeCabinet:
    """The SOPS file of the forge's main. A change is a commit there."""

    repository: Repository
    key: Key
    in_use: Callable[[], Collection[Reference]] = nothing_in_use
    """What a running service was started with: it must not go."""
    refusal: Callable[[str], str] = lambda revision: ""
    """Why nothing may be committed on that revision; empty: it may."""

    def read(self) -> Contents:
        """As Cabinet says. Raises what `sops.decrypt` does."""
        head = self.repository.head()
        return opened(self.repository.content(head, sops.NAME) if head else None, self.key)

    def change(self, edit: Callable[[Contents], Edit], message: str) -> Contents:
        """As Cabinet says; made anew when somebody pushed meanwhile. Raises also UserError `BLU531`, `BLU532`,
        EngineError `BLU602` when that happens again and again."""
        with _ONE:
            return self._change(edit, message)

    def _change(self, edit: Callable[[Contents], Edit], message: str) -> Contents:
        for left in reversed(range(_TRIES)):
            head = self.repository.resolve("main")
            if why := self.refusal(head):
                raise UserError("BLU532", "main", why, "change the file in a clone, and push that")
            data = self.repository.content(head, sops.NAME)
            before = opened(data, self.key)
            changed = edited(data, edit(before), self.key)
            after = opened(changed, self.key)
            if lost := sorted((before.values.keys() - after.values.keys()) & set(self.in_use())):
                raise UserError(
                    "BLU531", str(lost[0]), "is in use by a running service", "take it out of the lab first"
                )
            if changed == data:
                return before
            try:
                self.repository.commit_files({sops.NAME: changed}, message, head)
            except EngineError as error:
                if error.code != "BLU602" or not left:
                    raise
                continue
            return after
        raise AssertionError("the last try returns or raises")


def reading(
    site: SiteFolder | None,
    lab: str,
    folder: Path | None,
    file: Path | None,
    age_key: Path | None,
    env: Mapping[str, str],
) -> Cabinet:
    """To read secrets: `file`, else the forge's of a site that was up, else the lab folder's own.

    Raises UserError `BLU502`, `BLU790` where there is none of them.
    """
    key = find_key(age_key, env, site.age_key if site else Path("age.key"), create=False)
    if file:
        if not file.is_file():
            raise UserError("BLU504", str(file), "is not there")
        return FileCabinet(file.absolute(), key)
    if site and site.lab_name.is_file():
        return ForgeCabinet(Repository(site.repository / f"{lab}.git"), key)
    if folder and (folder / sops.NAME).is_file():
        return FileCabinet(folder.absolute() / sops.NAME, key)
    raise UserError("BLU790", str(site.path if site else "."), "holds no site", "start it with `blumeops up`")
