"""`blumeops`: which command is called, and what becomes of errors.

Each command's code is imported when it is called: the others cost it nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import sys
from typing import NoReturn

from blumeops.base.errors import BlumeError
from blumeops.cli import commands

_MODULES = {
    "init": "init", "schema": "init", "doctor": "doctor",
    "show": "show",
    "check": "describe", "plan": "plan", "render": "render", "up": "run", "down": "run", "sync": "run",
    "rollback": "run", "run": "job", "preview": "preview",
    "controller": "run", "credential": "credential", "status": "watch", "logs": "logs", "history": "watch",
    "hook": "hook", "comment": "comment", "op": "op", "connect": "connect", "secret": "secret", "policy": "policy",
    "reach": "reach", "whatif": "whatif", "lock": "lock",
}  # fmt: skip

_ENDS_SOON = {"check", "plan", "render", "show", "reach", "whatif"}
"""Commands that end before there is much garbage: looking for it takes a tenth of their time."""


def main(argv: list[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 done, 1 refused or unhealthy, 2 usage, 3 changes pending, 4 away, 70 our bug."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # looking for plugins takes as long as all the rest of it
    arguments = argparse.Namespace(command="blumeops", traceback=False)
    if sys.stdout is None or sys.stderr is None:  # closed by whoever called: what is said has to go somewhere
        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
        sys.stderr = sys.stderr or sys.stdout
    try:
        words = sys.argv[1:] if argv is None else argv
        top = commands.parser(*words[:1])
        arguments = top.parse_args(words)
        code = _run(top, arguments)
        sys.stdout.flush()
    except BlumeError as error:
        if getattr(arguments, "json", False):
            told = {"code": error.code, "subject": error.subject, "message": error.message, "hint": error.hint}
            print(json.dumps({"version": 1, "error": told}, ensure_ascii=False))
        print(f"blumeops: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("blumeops: stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        _let_go_of_stdout()
        code = 0
    except OSError as error:
        _let_go_of_stdout()
        print(f"blumeops: BLU903 {error.filename or arguments.command}: {error.strerror or error}", file=sys.stderr)
        code = 1
    except Exception as error:
        if arguments.traceback:
            raise
        print(f"blumeops: BLU999 a bug: {type(error).__name__}; --traceback shows where", file=sys.stderr)
        code = 70
    gc.freeze()  # at its end the interpreter looks for garbage, whatever it was told: not among what is frozen
    sys.exit(code)


def _run(top: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Call the command; returns its exit code."""
    if arguments.command is None:
        top.print_help()
        return 2
    if arguments.command == "completion":
        print(_completion(commands.parser(), arguments.shell))
        return 0
    if arguments.command in _ENDS_SOON:
        gc.disable()
    module = importlib.import_module(f"blumeops.cli.{_MODULES[arguments.command]}")
    code: int = getattr(module, arguments.command)(arguments)
    return code


def _completion(top: argparse.ArgumentParser, shell: str) -> str:
    """The script by which a shell completes our words."""
    if shell == "fish":
        from blumeops.cli import fish

        return fish.script(top)
    import shtab

    return shtab.complete(top, shell)


def _let_go_of_stdout() -> None:
    """What could not be written is not tried again when the interpreter ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
