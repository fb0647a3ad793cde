"""Who may ask the Connect API for what: one private file of tokens. A token enters, what it allows leaves.

A token reads `bco_ID_SECRET`: the ID is no secret and names it in lists and logs, the secret has 256 bits from the
operating system and is never stored: only its SHA-256 is, which needs no salt and no slow hash at that strength. Each
token is for named vaults, to read or also to write, and may end. The file is read anew when it changes: a token that is
revoked is refused from the next request on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.files import PRIVATE, locked, private_folder, write_whole

FOLDER = "connect"
"""In a site's state: with the file of tokens and the audit log. It may be there before the site is."""

_FORM = re.compile(r"bco_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. `created` and `expires`: seconds since 1970; None: it does not end."""

    id: str
    name: str
    digest: str
    vaults: tuple[str, ...]
    write: bool
    created: float
    expires: float | None


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a token is refused. `id`: whose it claims to be, if there is one of that identifier."""

    why: str
    id: str = ""


class Tokens:
    """The tokens in the file `path`, which need not be there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[object, dict[str, Token]] = (None, {})

    def all(self) -> list[Token]:
        """Every token, oldest first. Raises UserError `BLU533` for a damaged file."""
        return sorted(self._read().values(), key=lambda token: token.created)

    def create(
        self, name: str, vaults: Sequence[str], *, write: bool, seconds: float | None, now: float
    ) -> tuple[Token, str]:
        """A new token, and its text, which nobody will see again. Raises UserError `BLU533` where the name is taken."""
        secret = secrets.token_urlsafe(32)
        number = secrets.token_hex(6)
        token = Token(
            number, name, _digest(secret), tuple(sorted(set(vaults))), write, now, now + seconds if seconds else None
        )
        private_folder(self.path.parent)
        with locked(self.path.with_suffix(".lock")):
            known = self._read()
            if any(each.name == name for each in known.values()):
                raise UserError("BLU533", name, "is the name of a token already", "revoke that one, or choose another")
            self._write({**known, number: token})
        return token, f"bco_{number}_{secret}"

    def revoke(self, wanted: str) -> Token:
        """Take away the token of that identifier or name; returns it. Raises UserError `BLU533`."""
        private_folder(self.path.parent)
        with locked(self.path.with_suffix(".lock")):
            known = self._read()
            found = [token for token in known.values() if wanted in (token.id, token.name)]
            if not found:
                hint = "`blumeops connect token list` shows them"
                raise UserError("BLU533", wanted, "is neither the name nor the identifier of a token", hint)
            self._write({number: token for number, token in known.items() if token not in found})
        return found[0]

    def claimed(self, text: str) -> str:
        """The identifier of the token that this claims to be; empty where there is none of that identifier."""
        found = _FORM.fullmatch(text)
        return found[1] if found and found[1] in self._read() else ""

    def find(self, text: str, now: float) -> Token | Wrong:
        """The token behind `text`. The comparison takes as long for a wrong secret as for the right one."""
        found = _FORM.fullmatch(text)
        token = self._read().get(found[1]) if found else None
        same = hmac.compare_digest(token.digest if token else _NOBODY, _digest(found[2] if found else text))
        if token is None:
            return Wrong("no token of ours")
        if not same:
            return Wrong("wrong secret", token.id)
        if token.expires is not None and now >= token.expires:
            return Wrong("expired", token.id)
        return token

    def _read(self) -> dict[str, Token]:
        try:
            with self.path.open("rb") as file:
                seen = os.fstat(file.fileno())
                stamp = (seen.st_mtime_ns, seen.st_ino, seen.st_size)
                if stamp == self._known[0]:
                    return self._known[1]
                data = file.read()
        except FileNotFoundError:
            return {}
        try:
            tokens = [Token(**{**each, "vaults": tuple(each["vaults"])}) for each in json.loads(data)["tokens"]]
        except (ValueError, TypeError, KeyError) as error:
            raise UserError("BLU533", str(self.path), "is damaged", "delete it, and create the tokens anew") from error
        self._known = (stamp, {token.id: token for token in tokens})
        return self._known[1]

    def _write(self, tokens: dict[str, Token]) -> None:
        data = {"version": 1, "tokens": [asdict(token) for token in tokens.values()]}
        write_whole(self.path, json.dumps(data, indent=1) + "\n", PRIVATE)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
