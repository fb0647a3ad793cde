"""Wiring of the Connect API: which store stands behind it, where its tokens and its log lie, who hears of changes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from blumeops.app import site as app
from blumeops.app.ask import request_sync
from blumeops.app.cabinets import ForgeCabinet, kept_in
from blumeops.app.running import must_exist
from blumeops.base.errors import BlumeError, UserError
from blumeops.base.site import SiteFolder
from blumeops.connect.answers import Door
from blumeops.connect.audit import Attempts, Audit
from blumeops.connect.journal import Journal
from blumeops.connect.tokens import FOLDER, Tokens
from blumeops.forge.repository import Repository
from blumeops.loop.admission import references
from blumeops.loop.revision import read_revision
from blumeops.secrets.age import Key, find_key
from blumeops.secrets.cabinet import Cabinet, FileCabinet
from blumeops.secrets.references import Reference


def tokens(site: SiteFolder) -> Tokens:
    """The tokens of a site."""
    return Tokens(site.path / FOLDER / "tokens.json")


def door(
    site: SiteFolder, lab: str, file: Path | None, age_key: Path | None, say: Callable[[str], None], *, loopback: bool
) -> Door:
    """What stands behind the API. `say`: gets each line of the audit log. Raises UserError `BLU502`, `BLU790`."""
    if not file:
        must_exist(site)  # before the key, which would be what is missing
    key = find_key(age_key, os.environ, site.age_key, create=False)
    cabinet: Cabinet = FileCabinet(file.absolute(), key) if file else _forge(site, lab, key)
    audit = Audit(site.path / FOLDER / "audit.log", say, time.time)
    changed = _nothing if file else _Syncs(site, say).ask
    return Door(cabinet, tokens(site), audit, Attempts(time.monotonic), Journal(), time.time, changed, loopback)


def _nothing() -> None:
    """Nobody follows a file of one's own."""


def _forge(site: SiteFolder, lab: str, key: Key) -> ForgeCabinet:
    repository: Repository = app.existing_repository(site, lab)

    def in_use() -> set[Reference]:
        return {reference for unit in app.applied(site).values() for reference in references(unit)}

    head = repository.head()
    outside = kept_in(repository.content(head, "lab.yaml")) if head else "sops"
    if outside != "sops":
        raise UserError("BLU532", lab, f"keeps its secrets in another store ({outside})", "let clients ask that one")

    def refusal(revision: str) -> str:
        checked = read_revision(repository, site.work, revision).checked
        remote = checked.lab.settings.gitops.url if checked else None
        return f"the lab follows {remote}, and main must not be ahead of it" if remote else ""

    return ForgeCabinet(repository, key, in_use, refusal)


class _Syncs:
    """Asks the controller to sync after changes: one at a time, once more if there were others meanwhile."""

    def __init__(self, site: SiteFolder, say: Callable[[str], None]) -> None:
        self._site = site
        self._say = say
        self._wanted = threading.Event()
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Returns at once. A controller that does not run will sync when it starts."""
        self._wanted.set()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with self._lock:
            if not self._wanted.is_set():
                return
            self._wanted.clear()
            try:
                for _ in request_sync(self._site):
                    pass
            except BlumeError as error:
                self._say(str(error))
