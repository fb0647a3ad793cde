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
from blumeops.lab.yaml import read
from blumeops.secrets import sops
from blumeops.secrets.age import Key, find_key
from blumeops.secrets.cabinet import Cabinet, Contents, Edit, FileCabinet, edited, opened
from blumeops.secrets.references import Reference
from blumeops.secrets.store import Store

_TRIES = 3
_ONE = threading.Lock()
"""One change at a time in this process: only pushes of others make one begin again."""


def nothing_in_use() -> Collection[Reference]:
    """For those who only read."""
    return ()


@dataclass(frozen=True, slots=True)
class Where:
    """Whose secrets: `folder` describes the lab, if that is known; `inside_op`: asked by a program of op's name."""

    site: SiteFolder | None
    lab: str
    folder: Path | None
    inside_op: bool = False


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


@dataclass(frozen=True)
class OutsideCabinet:
    """A store outside of the lab's repository: what the lab names of it, since it is asked by reference alone."""

    store: Store
    references: tuple[Reference, ...]

    def read(self) -> Contents:
        """As Cabinet says. Raises Unavailable `BLU524`."""
        return Contents(self.store.read(self.references))

    def change(self, edit: Callable[[Contents], Edit], message: str) -> Contents:
        """Never. Raises UserError `BLU532`."""
        raise UserError("BLU532", "the store", "is changed by its own means", message.strip())


def reading(where: Where, file: Path | None, age_key: Path | None, env: Mapping[str, str]) -> Cabinet:
    """To read secrets: `file`, else the forge's of a site that was up, else the lab folder's own; or what the lab says
    instead of a SOPS file.

    Raises UserError `BLU502`, `BLU790` where there is none of them, `BLU530` where 1Password's own op would have to be
    asked by a program that stands in its place.
    """
    default = where.site.age_key if where.site else Path("age.key")
    if file:
        if not file.is_file():
            raise UserError("BLU504", str(file), "is not there")
        return FileCabinet(file.absolute(), find_key(age_key, env, default, create=False))
    if where.site and where.site.lab_name.is_file():
        repository = Repository(where.site.repository / f"{where.lab}.git")
        head = repository.head()
        if head and kept_in(repository.content(head, "lab.yaml")) != "sops":
            return _outside(where, repository)
        return ForgeCabinet(repository, find_key(age_key, env, default, create=False))
    if where.folder and kept_in((where.folder / "lab.yaml").read_bytes()) != "sops":
        return _outside(where, None)
    if where.folder and (where.folder / sops.NAME).is_file():
        return FileCabinet(where.folder.absolute() / sops.NAME, find_key(age_key, env, default, create=False))
    raise UserError(
        "BLU790", str(where.site.path if where.site else "."), "holds no site", "start it with `blumeops up`"
    )


def kept_in(description: bytes | None) -> str:
    """Where a lab.yaml says that secrets are at site `here`. Read by itself: to check a whole lab takes longer than all
    the rest of a call."""
    data = read(description or b"", "lab.yaml").data
    setting = data.get("secrets") if isinstance(data, dict) else None
    return str(setting.get("here", "sops")) if isinstance(setting, dict) else "sops"


def _outside(where: Where, repository: Repository | None) -> OutsideCabinet:
    from blumeops.checks.check import check_folder
    from blumeops.loop.revision import read_revision
    from blumeops.secrets.inventory import inventory
    from blumeops.secrets.stores import Stores

    checked = None
    if repository and where.site:
        checked = read_revision(repository, where.site.work, repository.resolve("main")).checked
    elif where.folder:
        checked = check_folder(where.folder).passed
    if checked is None or where.site is None:
        raise UserError("BLU515", where.lab, "does not pass the checks, so that nobody knows its secrets", "mend it")
    setting = checked.lab.settings.secrets
    if setting.here == "op" and where.inside_op:
        raise UserError("BLU530", "this op", "the lab's secrets are in 1Password: call 1Password's own op")
    keeper = Stores(Key(where.site.age_key, ()), where.site.path).keeper(setting)
    assert keeper is not None
    return OutsideCabinet(keeper, tuple(entry.reference for entry in inventory(checked.lab, checked.facts)))
