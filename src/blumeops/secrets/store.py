"""Where secret values come from: references enter, values leave. One small border for every store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blumeops.base.errors import Unavailable
from blumeops.secrets import sops
from blumeops.secrets.references import Reference


class Store(Protocol):
    """Anything that can be asked for secrets. References that it does not have are absent from the answer."""

    def read(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """The values of those references that the store has. Raises Unavailable `BLU524` when it cannot be asked."""
        ...


class Keeper(Store, Protocol):
    """A store outside of the lab's repository, which takes values at once."""

    def write(self, values: Mapping[Reference, str]) -> None:
        """Keep these. Raises UserError `BLU525` where it takes none from here, Unavailable `BLU524`."""
        ...


@dataclass(frozen=True, slots=True)
class SopsStore:
    """The SOPS file of one revision: `data` is its content, None where the revision has no such file."""

    data: bytes | None
    key_file: Path
    name: str = sops.NAME

    def read(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """As Store says. Raises what `sops.decrypt` does; a lab without the file needs no key."""
        if self.data is None:
            return {}
        values = sops.decrypt(self.data, self.key_file, self.name)
        return {reference: values[reference] for reference in references if reference in values}


class Remembering:
    """A store that is asked once for each reference, until it is told to forget. Values are in memory alone."""

    def __init__(self, store: Keeper) -> None:
        self._store = store
        self._known: dict[Reference, str | None] = {}
        self._before: dict[Reference, str | None] = {}

    def read(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """As Store says: all that is not known is asked for at once. While the store is away, what it said before
        counts, if it said anything of all that is wanted."""
        wanted = set(references)
        if new := wanted - self._known.keys():
            try:
                found = self._store.read(new)
            except Unavailable:
                if not new <= self._before.keys():
                    raise
                return {each: value for each in wanted if (value := (self._before | self._known)[each]) is not None}
            self._known |= {each: found.get(each) for each in new}
        return {each: value for each in wanted if (value := self._known[each]) is not None}

    def write(self, values: Mapping[Reference, str]) -> None:
        """As Keeper says."""
        self._store.write(values)
        self._known |= values

    def forget(self) -> None:
        """Ask anew from now on."""
        self._before |= self._known
        self._known.clear()
