"""Values in Ansible's files: every literal comes out as the value that went in, whatever characters it has.

Enters: pieces of text, literal or a Jinja expression. Leaves: text for a variable in YAML, a template of a file,
one word of a systemd unit, a string of a plist. Ansible treats the first two differently: a backslash within an
expression is doubled in YAML and not in a file, so none is ever written there; in YAML a newline at the end is
dropped; and a carriage return is a newline to Jinja in both.
https://jinja.palletsprojects.com/templates/#escaping, systemd.syntax(7), systemd.service(5) "COMMAND LINES"
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass

_MARKER = re.compile(r"\{(?:[{%#]|\Z)")
_SETTINGS = "#jinja2:"
"""Text that begins with this sets how Jinja reads it, says Ansible."""
_NOT_QUOTABLE = re.compile(r"(['\\\r\n])")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_/:=.,@+-]+")


@dataclass(frozen=True, slots=True)
class Expression:
    """A Jinja expression. `tame`: its value is a path of ours, which needs no quotes anywhere."""

    text: str
    tame: bool = True


Said = tuple[str | Expression, ...]


def quoted(text: str) -> str:
    """`text` as a string within a Jinja expression: `'op://lab/miniflux/password'`."""
    pieces = (f"'%c' % {ord(piece)}" if _NOT_QUOTABLE.match(piece) else f"'{piece}'" for piece in _split(text))
    return " ~ ".join(pieces) or "''"


def in_variable(said: Said) -> str:
    """For a value in YAML. What has nothing to evaluate is the plain text, which Ansible does not touch."""
    literal = all(isinstance(piece, str) and not re.search(r"\{[{%#]", piece) for piece in said)
    if literal and not (said and str(said[0]).startswith(_SETTINGS)):
        return "".join(piece for piece in said if isinstance(piece, str))
    text = in_file(said)
    if text.startswith(_SETTINGS):
        text = f"{{{{ '{_SETTINGS}' }}}}{text.removeprefix(_SETTINGS)}"
    return text[:-1] + "{{ '%c' % 10 }}" if text.endswith("\n") else text


def in_file(said: Said) -> str:
    """For a template file."""
    return "".join(f"{{{{ {piece.text} }}}}" if isinstance(piece, Expression) else _inert(piece) for piece in said)


def in_unit(said: Said) -> str:
    """One word of a line in the template of a systemd unit, quoted where it must be."""
    words = []
    for piece in said:
        if isinstance(piece, str):
            plain = _PLAIN_WORD.fullmatch(piece)
            words.append(piece if plain else _inert(_doubled(json.dumps(piece, ensure_ascii=False))))
        elif piece.tame:
            words.append(f"{{{{ {piece.text} }}}}")
        else:
            words.append(
                f"{{{{ {piece.text} | to_json(ensure_ascii=false) | replace('%', '%%') | replace('$', '$$') }}}}"
            )
    return "".join(words) or '""'


def in_plist(said: Said) -> str:
    """The text of a string element in the template of a plist."""
    return "".join(
        f"{{{{ {piece.text} | escape }}}}"
        if isinstance(piece, Expression)
        else _inert(html.escape(piece, quote=False).replace("\r", "&#13;"))
        for piece in said
    )


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("\r", "&#13;")


def _doubled(text: str) -> str:
    return text.replace("%", "%%").replace("$", "$$")


def _split(text: str) -> list[str]:
    return [piece for piece in _NOT_QUOTABLE.split(text) if piece]


def _inert(text: str) -> str:
    """Literal text that Jinja leaves as it is."""
    return _MARKER.sub(lambda match: f"{{{{ '{match[0]}' }}}}", text).replace("\r", "{{ '%c' % 13 }}")
