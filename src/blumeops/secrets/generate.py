"""New secret values, from the operating system's randomness: recipes enter, values leave.

A public key and an htpasswd line are made of another secret, a new one or one that is there.
"""

from __future__ import annotations

import math
import os
import secrets
import string
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import EngineError, UserError
from blumeops.base.files import PRIVATE
from blumeops.base.processes import must, run
from blumeops.facts.derive import Recipe
from blumeops.secrets.references import Reference
from blumeops.secrets.store import Store

ALPHABET = string.ascii_letters + string.digits
"""Safe in URLs, shells, YAML and connection strings, without quoting."""

_SHM = "/dev/shm"  # noqa: S108 - the folders in there are private, and of random names
_IN_MEMORY = _SHM if os.access(_SHM, os.W_OK) else None
"""For private keys on their way: what a process that is killed leaves there, no disk has. None: where files go."""
LEAST_BITS = 64
RSA_BITS = "3072"


@dataclass(frozen=True, slots=True)
class Given:
    """A store with values that a person gives in place of its own."""

    values: Mapping[Reference, str]
    store: Store

    def read(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """As Store says."""
        wanted = set(references)
        ours = {each: self.values[each] for each in wanted & self.values.keys()}
        return self.store.read(wanted - ours.keys()) | ours


def generate(length: int = 32, alphabet: str = ALPHABET) -> str:
    """`length` characters of `alphabet`, each equally likely. Raises UserError `BLU508` below 64 bits of it."""
    characters = sorted(set(alphabet))
    if length * math.log2(max(len(characters), 1)) < LEAST_BITS:
        raise UserError(
            "BLU508", "new secret", f"{length} of {len(characters)} characters can be guessed", "make it longer"
        )
    return "".join(secrets.choice(characters) for _ in range(length))


def made(recipes: Mapping[Reference, Recipe], store: Store) -> dict[Reference, str]:
    """A value for each; what is made of a secret that is not among them is made of the one that `store` has.

    Raises UserError `BLU508`, `BLU509` (what it is made of is nowhere), EngineError `BLU505` for a private key that
    cannot be read, Unavailable `BLU901` without `ssh-keygen`.
    """
    values = {reference: _first(recipe) for reference, recipe in recipes.items() if not recipe.source}
    sources = {reference: Reference.parse(recipe.source) for reference, recipe in recipes.items() if recipe.source}
    known = store.read(set(sources.values()) - values.keys()) | values
    for reference, source in sources.items():
        if source not in known:
            message = f"is made of {source}, which is not there"
            raise UserError("BLU509", str(reference), message, "put that there first")
        values[reference] = _second(recipes[reference], known[source])
    return values


def _first(recipe: Recipe) -> str:
    if recipe.kind == "characters":
        return generate(recipe.length, recipe.alphabet or ALPHABET)
    with tempfile.TemporaryDirectory(prefix="blumeops-", dir=_IN_MEMORY) as folder:
        file = Path(folder) / "key"
        bits = ["-b", RSA_BITS] if recipe.kind == "rsa" else []
        argv = ["ssh-keygen", "-q", "-t", recipe.kind, *bits, "-N", "", "-C", "", "-f", str(file)]
        must(run(argv), "BLU505", "ssh-keygen")
        return file.read_text()


def _second(recipe: Recipe, source: str) -> str:
    if recipe.kind == "htpasswd":
        import bcrypt

        # bcrypt takes 72 bytes: more would be the same password as their beginning
        if len(source.encode()) > 72:
            raise UserError("BLU508", recipe.source, "is longer than the 72 bytes that bcrypt takes", "make it shorter")
        return f"{recipe.user}:{bcrypt.hashpw(source.encode(), bcrypt.gensalt(10)).decode()}\n"
    with tempfile.TemporaryDirectory(prefix="blumeops-", dir=_IN_MEMORY) as folder:
        file = Path(folder) / "key"
        file.touch(PRIVATE)
        file.write_text(
            "\n".join(source.splitlines()) + "\n"
        )  # a store may keep it without its end, which OpenSSH needs
        done = run(["ssh-keygen", "-y", "-P", "", "-f", str(file)])  # asked for a passphrase, it would ask a terminal
        if done.code:
            hint = "is it a private key of OpenSSH's, whole and without a passphrase?"
            raise EngineError("BLU505", recipe.source, "cannot be read by ssh-keygen", hint)
        return done.stdout.decode()
