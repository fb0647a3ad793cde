"""The command line, as its parser knows it, in Markdown: one part a command."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Collection, Iterable, Iterator

from blumeops.cli import commands as cli
from blumeops.cli import main
from blumeops.cli.examples import EXAMPLES

INNER = ("controller", "credential")
"""Commands that BlumeOps and Git start, not people."""


def each(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every command below `parser`, those inside others too, without those that only hold others."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield parser
    for action in inner:
        for command in action.choices.values():
            yield from each(command)


def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """What a command takes, as far as people are to know."""
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    return [action for action in shown if action.dest != "help" and action.nargs != argparse.PARSER]


def page() -> str:
    """All commands."""
    top = cli.parser()
    found = list(each(top))
    status = next(command for command in found if _name(command) == "status")
    (group,) = (group for group in status._action_groups if group.title == "everywhere")
    common = {action.option_strings[-1]: action for action in group._group_actions if action in options(status)}
    own = [_part(command, common.keys()) for command in found if _name(command).split()[0] not in INNER]
    inner = [_part(command, common.keys()) for command in found if _name(command).split()[0] in INNER]
    return "\n".join([
        "## Everywhere\n", *_table(common.values()), "",
        "`blumeops --version` prints the version, `--help` after any command what it takes.\n", *own,
        "## Started by BlumeOps and Git\n", *inner,
    ])  # fmt: skip


def _part(command: argparse.ArgumentParser, common: Collection[str]) -> str:
    name = _name(command)
    depth = "###" if name.split()[0] in INNER else "##"
    own = [action for action in options(command) if not (action.option_strings and action.option_strings[-1] in common)]
    usage = " ".join(["blumeops", name, *(_usage(action) for action in own)])
    lines = [f"{depth} {name}\n", f"    {usage}\n", f"{_about(command, name)}\n"]
    examples = [f"    {line}" for line in EXAMPLES.get(name, ())]
    return "\n".join([*lines, *((*examples, "") if examples else ()), *((*_table(own), "") if own else ())])


def _table(actions: Iterable[argparse.Action]) -> list[str]:
    rows = []
    for action in actions:
        value = _escaped(_metavar(action))
        label = ", ".join(f"`{option}`" for option in action.option_strings) or f"`{value}`"
        if action.option_strings and action.nargs != 0:
            label += f" `{value}`"
        rows.append(f"| {label} | {_escaped(action.help or '')} |")
    return ["| | |", "| --- | --- |", *rows]


def _usage(action: argparse.Action) -> str:
    shown = action.option_strings[-1] if action.option_strings else ""
    if action.nargs != 0:
        shown = f"{shown} {_metavar(action)}".strip()
    return shown if action.required else f"[{shown}]"


def _metavar(action: argparse.Action) -> str:
    if action.choices and not action.metavar:
        return "|".join(str(choice) for choice in action.choices)
    return str(action.metavar or action.dest.upper())


def _about(command: argparse.ArgumentParser, name: str) -> str:
    about = command.description or ""
    if not about:  # `add_parser` keeps `help` for itself
        holder = cli.parser()
        for word in name.split():
            (action,) = (each for each in holder._actions if isinstance(each, argparse._SubParsersAction))
            about = next((str(choice.help) for choice in action._choices_actions if choice.dest == word), "")
            holder = action.choices[word]
    if not about:
        module = importlib.import_module(f"blumeops.cli.{main._MODULES[name]}")
        about = (getattr(module, name).__doc__ or "").splitlines()[0]
    return about[:1].upper() + about[1:].rstrip(".") + "."


def _name(command: argparse.ArgumentParser) -> str:
    return command.prog.removeprefix("blumeops ")


def _escaped(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
