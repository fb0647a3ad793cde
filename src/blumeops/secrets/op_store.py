"""1Password by its own command `op`: references enter, values leave. It is only read from.

All that is wanted is asked for at once, as a template on standard input; when that fails, one by one, so that what is
missing is told from a vault that is away. `op` signs in by itself (the desktop app), or by a service account's token.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import BlumeError, Unavailable, UserError
from blumeops.base.processes import Completed, run
from blumeops.secrets.references import Reference

TOKEN_FILE = "op-token"  # noqa: S105  # a file's name
_MISSING = re.compile(
    r"isn't an? (item|vault|field|section)|does not have a field|(couldn't|could not) find|not found in", re.IGNORECASE
)
_PASSED = re.compile(r"PATH|HOME|USER|XDG_.*|OP_.*|TMPDIR|SSH_AUTH_SOCK")


@dataclass(frozen=True, slots=True)
class OpStore:
    """`token`: a file with the token of a service account; where there is none, `op` asks whom it knows."""

    token: Path
    program: str = "op"

    def read(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """As Store says."""
        wanted = sorted(set(references))
        if not wanted:
            return {}
        mark = f"-- {secrets.token_hex(16)} "
        template = "".join(f"{mark}{index}\n{{{{ {reference} }}}}\n" for index, reference in enumerate(wanted))
        done = self._op("inject", stdin=template.encode())
        if done.code:
            return {each: value for each in wanted if (value := self._one(each)) is not None}
        pieces = done.stdout.decode().split(mark)[1:]
        values = [piece.partition("\n")[2].removesuffix("\n") for piece in pieces]
        return dict(zip(wanted, values, strict=True))

    def write(self, values: Mapping[Reference, str]) -> None:
        """`op` would take values by its arguments, which every user of the machine sees: not from here."""
        named = ", ".join(map(str, sorted(values)))
        raise UserError("BLU525", named, "is not in 1Password, and is not put there from here", "make it there")

    def _one(self, reference: Reference) -> str | None:
        done = self._op("read", "--no-newline", str(reference))
        if not done.code:
            return done.stdout.decode()
        if _MISSING.search(done.stderr.decode(errors="replace")):
            return None
        raise Unavailable("BLU524", "op", f"does not answer: {done.words}", "sign in: op signin")

    def _op(self, *arguments: str, stdin: bytes = b"") -> Completed:
        env = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
        try:
            token = self.token.read_text().strip()
        except OSError:
            token = ""
        try:
            return run(
                [self.program, *arguments],
                stdin=stdin,
                env=env | ({"OP_SERVICE_ACCOUNT_TOKEN": token} if token else {}),
                seconds=60,
            )
        except BlumeError as error:
            hint = "get it from 1Password: its command-line tool"
            raise Unavailable("BLU524", "op", error.message, hint) from error
