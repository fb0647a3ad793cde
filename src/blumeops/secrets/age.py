"""The age key that opens the lab's SOPS file: a path enters, a `Key` leaves.

The file is age-keygen's: comments, then one `AGE-SECRET-KEY-…` a line (https://age-encryption.org). The identity
itself is checked, never kept: SOPS reads the file. A file that others can read is refused, and a file that is
there is never written over, so that no secret loses its key.

Instead of the key a file may have the line `keyring: age1…`: then the platform's keyring has it, under that name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage  # type: ignore[import-untyped]  # ships no types

from blumeops.base.errors import UserError
from blumeops.base.files import PRIVATE, cannot_write, make_whole, write_whole
from blumeops.secrets import keyrings

VARIABLE = "SOPS_AGE_KEY_FILE"
_MARK = "AGE-SECRET-KEY-"
_ELSEWHERE = "keyring: "


@dataclass(frozen=True, slots=True)
class Key:
    """A key file, and the public keys (`age1…`) of the identities in it."""

    path: Path
    recipients: tuple[str, ...]
    in_keyring: bool = False


def find_key(option: Path | None, env: Mapping[str, str], default: Path, *, create: bool) -> Key:
    """The key of `--age-key`, else of `SOPS_AGE_KEY_FILE`, else of `default`, which alone may be created.

    A file that a person named must be there: a mistyped path must not become a second key.
    """
    named = option or (Path(env[VARIABLE]) if env.get(VARIABLE) else None)
    if named:
        return load(named.expanduser())
    return load_or_create(default) if create else load(default)


def load_or_create(path: Path) -> Key:
    """The key in `path`; a new one, in a file of its owner's alone (0600), where there is none.

    Two processes that create it at once get the same one. Raises UserError `BLU502`, EngineError `BLU903`.
    """
    if not path.exists():
        _create(path)
    return load(path)


def load(path: Path) -> Key:
    """The key in `path`. Raises UserError `BLU502` for a file that is away, open to others, empty or damaged,
    Unavailable `BLU527` where the keyring has it and does not give it."""
    name, found = _lines(path)
    if not found:
        raise _unusable(path, "holds no age key", "a key starts with " + _MARK)
    try:
        recipients = tuple(str(pyrage.x25519.Identity.from_str(line).to_public()) for line in found)
    except pyrage.IdentityError:
        # without the cause: it is about a line that nobody should see
        raise _unusable(path, "holds a damaged age key", "bring the file back from where you keep a copy") from None
    if name and name not in recipients:
        raise _unusable(path, "names another key than the keyring has under its name", "bring back the right one")
    return Key(path, recipients, bool(name))


def for_sops(path: Path) -> dict[str, str]:
    """The variable by which SOPS gets the key in `path`. Raises as `load` does."""
    name, found = _lines(path)
    return {"SOPS_AGE_KEY": "\n".join(found)} if name else {VARIABLE: str(path.absolute())}


def into_keyring(path: Path) -> Key:
    """Move the key from its file to the keyring; the file then says so. Raises as `load` does."""
    key = load(path)
    if not key.in_keyring:
        keyrings.write(key.recipients[0], "\n".join(_lines(path)[1]))
        about = "# The age key of a lab is in the keyring of this user, under this name.\n"
        write_whole(path, f"{about}{_ELSEWHERE}{key.recipients[0]}\n", PRIVATE)
    return load(path)


def from_keyring(path: Path) -> Key:
    """Move the key back to its file. Raises as `load` does."""
    key = load(path)
    if key.in_keyring:
        about = "".join(f"# public key: {each}\n" for each in key.recipients)
        write_whole(path, about + "".join(f"{line}\n" for line in _lines(path)[1]), PRIVATE)
        keyrings.remove(key.recipients[0])
    return load(path)


def _lines(path: Path) -> tuple[str, list[str]]:
    """The name in the keyring, if the key is there, and the lines of the key."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise _unusable(path, "is not a file")
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _unusable(path, "can be read by others than its owner", f"chmod 600 {path}")
            lines = file.read(65536).decode(errors="replace").split("\n")
    except OSError as error:
        hint = "name the age key with --age-key" if isinstance(error, FileNotFoundError) else ""
        raise _unusable(path, f"cannot be read: {error.strerror}", hint) from error
    found = [line.strip() for line in lines if line.startswith(_MARK)]
    name = next((line.removeprefix(_ELSEWHERE).strip() for line in lines if line.startswith(_ELSEWHERE)), "")
    return ("", found) if found or not name else (name, keyrings.read(name).splitlines())


def _create(path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = f"# created: {created}\n# public key: {identity.to_public()}\n{identity}\n".encode()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    make_whole(path, content, PRIVATE)


def _unusable(path: Path, reason: str, hint: str = "") -> UserError:
    return UserError("BLU502", str(path), reason, hint)
