"""Completion for fish, of which shtab knows nothing: the parser enters, a script leaves.

Options of a command can follow its name alone, so what comes before them are the names: each line of the script has
them as its condition. https://fishshell.com/docs/current/cmds/complete.html
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

_HEAD = r"""# Made by `blumeops completion fish`.
function __blumeops_only  # nothing but these names stands before the cursor
    set -l said (commandline -opc | string match --invert -- '-*')
    set -e said[1]
    test "$said" = "$argv"
end
function __blumeops_in  # what stands there begins with these names
    set -l said (commandline -opc | string match --invert -- '-*')
    set -e said[1]
    set -l count (count $argv)
    test "$said[1..$count]" = "$argv"
end
complete -c blumeops -e
complete -c blumeops -f
"""


def script(top: argparse.ArgumentParser) -> str:
    """The whole script."""
    return _HEAD + "".join(f"complete -c blumeops {line}\n" for line in _of(top, ()))


def _of(parser: argparse.ArgumentParser, names: tuple[str, ...]) -> Iterator[str]:
    inside = "__blumeops_in " + " ".join(names) if names else "__blumeops_only"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            only = _quoted(" ".join(["__blumeops_only", *names]))
            for about in action._choices_actions:
                yield f"-n {only} -a {about.dest} -d {_quoted(about.help or '')}"
            for name in (about.dest for about in action._choices_actions):
                yield from _of(action.choices[name], (*names, name))
        elif action.help != argparse.SUPPRESS:
            told = f"-n {_quoted(inside)}{_option(action)}{_value(action)}"
            yield f"{told} -d {_quoted(action.help or '')}" if action.option_strings else told


def _option(action: argparse.Action) -> str:
    return "".join(
        f" -l {option[2:]}" if option.startswith("--") else f" -s {option[1:]}" for option in action.option_strings
    )


def _value(action: argparse.Action) -> str:
    """What it takes: one of some words, the name of a file, or what cannot be guessed."""
    option = action.option_strings and action.nargs != 0
    if action.choices:
        return f"{' -x' if option else ''} -a {_quoted(' '.join(map(str, action.choices)))}"
    if action.type is Path:
        return " -r -F" if option else " -F"
    return " -x" if option else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
