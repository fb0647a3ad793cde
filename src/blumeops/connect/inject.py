"""`op inject`: a template enters, the text with the values leaves.

The syntax is https://developer.1password.com/docs/cli/secrets-template-syntax/: `op://…` and `{{ op://… }}` are
references, `$NAME`, `${NAME}` and `${NAME:-default}` variables (in references too), `{{ "…" }}` is the text within.
It is read once, from left to right: what a value or a variable says is never read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from blumeops.base.errors import UserError

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BRACED = rf"\$\{{\s*(?:{_NAME})\s*(?::-[^}}\n]*)?\}}"
_TOKEN = re.compile(
    rf"""
      \{{\{{[ \t]*"(?P<literal>(?:[^"\\]|\\.)*)"[ \t]*\}}\}}
    | \{{\{{[ \t]*(?P<enclosed>op://(?:{_BRACED}|[^}}\n])*?)[ \t]*\}}\}}
    | (?<![A-Za-z0-9+.\\-])(?P<bare>op://(?:{_BRACED}|[A-Za-z0-9?_./$-])+)
    | (?P<variable>{_BRACED}|\${_NAME})
    """,
    re.VERBOSE | re.DOTALL,
)
_VARIABLE = re.compile(rf"\$(?:\{{\s*(?P<braced>{_NAME})\s*(?::-(?P<default>[^}}\n]*))?\}}|(?P<plain>{_NAME}))")


def inject(template: str, value: Callable[[str], str], env: Mapping[str, str]) -> str:
    """The template with each reference replaced by its value. Raises what `value` does, UserError `BLU530`."""
    names = {name.casefold(): text for name, text in env.items()}  # variables' names do not differ by case

    def variable(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"]
        text = env.get(name, names.get(name.casefold(), found["default"]))
        if text is None:
            raise UserError("BLU530", f"${name}", "could not resolve the variable: it is not in the environment")
        return text

    def token(found: re.Match[str]) -> str:
        if found["literal"] is not None:
            return re.sub(r"\\(.)", r"\1", found["literal"], flags=re.DOTALL)
        if found["variable"]:
            return _VARIABLE.sub(variable, found["variable"])
        return value(_VARIABLE.sub(variable, found["enclosed"] or found["bare"]))

    return _TOKEN.sub(token, template)
