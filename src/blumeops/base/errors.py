"""What can go wrong, as a tree of four.

    BlumeError
    ├── UserError     the description, or what was asked for, is wrong: change it
    ├── EngineError   a tool that we drive refused or failed
    ├── Unavailable   something is away for now, or cannot be had here: try again, or get it
    └── Bug           our mistake: report it

Every error has a stable `code`, a `subject` (the thing that it is about), one line of public `message`,
a `hint` (what to do) and, where a file is to blame, a `place`. The private cause is the exception's
`__cause__`: it is for developers and never printed, since it may hold what nobody should see.
"""

from __future__ import annotations

from blumeops.base.findings import Place


class BlumeError(Exception):
    """An error with a public text. `str()` gives the one line that a person reads."""

    exit_code = 1

    def __init__(self, code: str, subject: str, message: str, hint: str = "", place: Place | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.subject = subject
        self.message = message
        self.hint = hint
        self.place = place

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{where}{self.code} {self.subject}: {self.message}{hint}"


class UserError(BlumeError):
    """The description or the request is wrong."""


class EngineError(BlumeError):
    """A tool that we drive refused or failed."""


class Unavailable(BlumeError):
    """Away for now, or not to be had on this machine."""

    exit_code = 4


class Bug(BlumeError):
    """Ours to mend."""

    exit_code = 70
