"""Where secret values come from: references enter, values leave. One small border for every store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blumeops.secrets import sops
from blumeops.secrets.references import Reference


class Store(Protocol):
    """Anything that can be asked for secrets. References that it does not have are absent from the answer."""

    def read(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """The values of those references that the store has."""
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
