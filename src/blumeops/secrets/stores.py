"""The store that a lab names for site `here`: its settings, SOPS file and the site's keys enter, a `Store` leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from blumeops.lab.settings import SecretsSetting
from blumeops.secrets import connect_store, op_store
from blumeops.secrets.age import Key
from blumeops.secrets.store import Keeper, Remembering, SopsStore, Store

TOKENS = ("remote-token", op_store.TOKEN_FILE, connect_store.TOKEN_FILE)
"""Files that a person may put into the state folder before the first `up`."""


@dataclass(frozen=True, slots=True)
class Stores:
    """`key` opens the SOPS file; `tokens`: the folder with the files of tokens, readable by us alone."""

    key: Key
    tokens: Path
    _kept: dict[str, Remembering] = field(default_factory=dict, repr=False)

    def of(self, setting: SecretsSetting, data: bytes | None) -> Store:
        """The store of a revision with these settings and this SOPS file."""
        return self.keeper(setting) or SopsStore(data, self.key.path)

    def keeper(self, setting: SecretsSetting) -> Remembering | None:
        """The one outside of the repository, if the lab names it: the same until it is told to forget."""
        made: dict[str, Callable[[], Keeper]] = {
            "op": lambda: op_store.OpStore(self.tokens / op_store.TOKEN_FILE),
            "connect": lambda: connect_store.ConnectStore(
                setting.connect or "http://localhost:8080", self.tokens / connect_store.TOKEN_FILE
            ),
        }
        if setting.here not in made:
            return None
        name = f"{setting.here} {setting.connect}"
        if name not in self._kept:
            self._kept[name] = Remembering(made[setting.here]())
        return self._kept[name]

    def forget(self) -> None:
        """Ask anew from now on."""
        for each in self._kept.values():
            each.forget()
