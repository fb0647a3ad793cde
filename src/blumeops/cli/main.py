"""`blumeops`: the arguments of every command, and what becomes of errors.

Each command's code is imported when it is called: the others cost it nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import NoReturn

from blumeops.base.errors import BlumeError
from blumeops.cli import op_arguments


class _Version(argparse.Action):
    """Looks the version up when it is asked for: that costs more than the whole parser."""

    def __call__(self, *_: object) -> None:
        from importlib.metadata import version

        print(f"blumeops {version('blumeops')}")
        sys.exit(0)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    everywhere, without_lab = _everywhere(lab=True), _everywhere(lab=False)
    key = argparse.ArgumentParser(add_help=False)
    key.add_argument("--age-key", type=Path, metavar="FILE", help="the key of the SOPS file")

    top = argparse.ArgumentParser(
        prog="blumeops", description="One Git repository, one home lab: described once, proved, kept running.",
    )  # fmt: skip
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, about: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, parents=[everywhere, *parents])

    init = commands.add_parser("init", help="a new lab of one's own, in Git", parents=[without_lab])
    init.add_argument("folder", type=Path, metavar="DIR", help="a folder that is not there yet, or is empty")
    init.add_argument("--name", metavar="NAME", help="the lab's name (default: the folder's)")
    init.add_argument("--example", choices=["first", "blumeops"], help="copy this lab of the project")
    init.add_argument("--age-key", type=Path, metavar="FILE", help="the key of its secrets, made if it is not there")
    init.add_argument("--state", type=Path, metavar="DIR", help="where `up` will keep its state: the key lies there")
    init.add_argument("--hook", action="store_true", help="check before each push to main, by a pre-push hook")
    command("check", "all findings from the description alone; nothing is changed")
    show = command("show", "what is derived from the description, and from which line of it")
    show.add_argument("service", nargs="?", metavar="SERVICE", help="all about this one (default: a table of all)")
    plan = command("plan", "what a sync would change, in words and as diffs", key)
    plan.add_argument("revision", nargs="?", metavar="REV", help="a revision of the forge (default: the lab's folder)")
    plan.add_argument("--exit-code", action="store_true", help="exit with 3 when there are changes")
    plan.add_argument("--fail-on-exposure", action="store_true", help="exit with 1 when who reaches what changes")
    plan.add_argument("--no-diff", action="store_true", help="the words alone")
    plan.add_argument("--markdown", action="store_true", help="for the comment of a pull request; diffs are folded")
    reach = command("reach", "may SRC reach DST, by which name, and by which line")
    reach.add_argument("src", nargs="?", metavar="SRC", help="a person, host, cluster or service, internet or lan")
    reach.add_argument("dst", nargs="?", metavar="DST[:PORT]", help="the same; KIND:NAME where a name stands for two")
    reach.add_argument("--site", choices=["here", "home"], default="home", help="default: home")
    reach.add_argument("--matrix", action="store_true", help="everybody and everything, as a table")
    reach.add_argument("--csv", action="store_true", help="print the matrix as CSV")
    whatif = command("whatif", "what is lost, and for whom, when a host, cluster or service is down")
    whatif.add_argument("what", nargs="?", metavar="HOST-OR-SERVICE", help="default: all single points of failure")
    render = command("render", "the real engines' files, for the real devices")
    render.add_argument("--site", choices=["here", "home"], default="home", help="default: home")
    render.add_argument("--out", type=Path, metavar="DIR", required=True, help="the folder to write into")
    command("doctor", "what this machine lacks to run the lab, and the command that gets it", key)
    up = command("up", "start the site and bring the lab to its revision", key)
    up.add_argument("--site", choices=["here"], default="here", help=argparse.SUPPRESS)
    down = command("down", "stop it all; what it keeps is kept", key)
    for each in (up, down):
        each.add_argument(
            "--prune-data", action="store_true",
            help="delete for good what is kept of services that are gone from the lab; it is shown, and you are asked",
        )  # fmt: skip
        each.add_argument("--yes", action="store_true", help="do not ask")
    command("sync", "bring the lab to its revision now, instead of at the next push")
    rollback = command("rollback", "back to a revision that was applied, as a new commit on main; data stays as it is")
    rollback.add_argument(
        "revision", nargs="?", metavar="REV", help="default: the last one that was applied and differs from main"
    )
    run = command("run", "start a job now, and follow it to its end: 0 when it went well")
    run.add_argument("job", metavar="JOB", help="a service of kind `job`: a backup")
    status = command("status", "every unit: revision, health, why")
    status.add_argument("--wait", action="store_true", help="until it has settled, or the last sync has failed")
    status.add_argument("--timeout", type=_seconds, metavar="TIME", help="with --wait: not longer than this: 90s, 5m")
    logs = command("logs", "what services printed")
    logs.add_argument("services", nargs="+", metavar="SERVICE", help="a service, or `controller`")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as they print")
    logs.add_argument(
        "-n", "--lines", type=_count, metavar="N", help="the last N lines (default: 50; with --since all)"
    )
    logs.add_argument("--since", type=_moment, metavar="TIME", help="not what is older: 10m, 2h, 2026-11-25T10:00:00Z")
    logs.add_argument("--grep", metavar="TEXT", default="", help="only lines with this text")
    history = command("history", "what happened: every revision, what it changed, how it ended")
    history.add_argument("-n", "--limit", type=_count, default=10, metavar="N", help="the last N (default: 10)")
    _op(commands.add_parser("op", help="1Password's command, answered from the lab's store"), everywhere, key)
    secrets = commands.add_parser("secret", help="references to secrets, their store, and new values; none is shown")
    _secrets(secrets.add_subparsers(dest="secret_command", metavar="COMMAND", required=True), everywhere, key)
    policies = commands.add_parser("policy", help="anybody's Tailscale policy file: checked, tested, as a matrix")
    _policies(policies.add_subparsers(dest="policy_command", metavar="COMMAND", required=True), without_lab)
    hook = commands.add_parser("hook", help="the push gate in a Git repository of your own: a forge's, or a clone")
    _hooks(hook.add_subparsers(dest="hook_command", metavar="COMMAND", required=True), without_lab)
    schema = commands.add_parser("schema", help="the JSON Schema of a lab's files, for editors", parents=[without_lab])
    schema.add_argument("kind", nargs="?", choices=["lab", "services", "app"], help="default: lab; with --out: all")
    schema.add_argument("--out", type=Path, metavar="DIR", help="write KIND.schema.json into this folder")
    completion = commands.add_parser("completion", help="a script for your shell to complete commands")
    completion.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    controller = commands.add_parser("controller", parents=[everywhere, key])
    controller.add_argument("--port", type=int, required=True)
    controller.add_argument("--dns", type=int, required=True)
    credential = commands.add_parser("credential")
    credential.add_argument("--state", type=Path, required=True)
    credential.add_argument("operation")
    credential.set_defaults(traceback=False)
    return top


def _secrets(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    everywhere: argparse.ArgumentParser,
    key: argparse.ArgumentParser,
) -> None:
    """The commands below `secret`."""

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, parents=[everywhere, key])

    command("list", "each reference: who uses it, how it gets there, how old it is")
    command("check", "what the store lacks, what nobody uses, and whether the key opens it")
    put = command("set", "give a secret the value that stands on standard input, and restart who uses it")
    put.add_argument("reference", metavar="op://VAULT/ITEM/FIELD")
    rotate = command("rotate", "make new values, restart exactly who uses them, and go back if one is not healthy")
    rotate.add_argument("names", nargs="+", metavar="SECRET", help="op://VAULT/ITEM/FIELD, SERVICE.SECRET or SERVICE")
    recipients = command("recipients", "whose age keys open the store; with changes it is encrypted anew")
    recipients.add_argument(
        "--add", action="append", default=[], metavar="age1…", help="a public key that opens it too"
    )
    recipients.add_argument(
        "--remove", action="append", default=[], metavar="age1…", help="one that shall not any more"
    )


def _op(op: argparse.ArgumentParser, everywhere: argparse.ArgumentParser, key: argparse.ArgumentParser) -> None:
    """The commands below `op`: op's own, and the one that writes the program of that name."""
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument("--file", type=Path, metavar="FILE", help="this SOPS file, instead of the lab's store")
    op.add_argument("-v", "--version", action="version", version=op_arguments.VERSION, help=argparse.SUPPRESS)
    commands = op_arguments.add(op, everywhere, key, store)
    about = "write the program `op` into a folder, for the PATH of playbooks and scripts"
    shim = commands.add_parser("shim", help=about, description=about, parents=[everywhere, key, store])
    shim.add_argument("folder", type=Path, metavar="DIR", help="where; made if it is not there")


def _policies(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], everywhere: argparse.ArgumentParser
) -> None:
    """The commands below `policy`."""
    for name, about in (
        ("check", "all that Tailscale would refuse the file for, its tests too"),
        ("test", "run the policy's own tests and sshTests"),
        ("matrix", "who reaches what, at which ports: nodes, or the policy's own names"),
    ):
        command = commands.add_parser(name, help=about, description=about, parents=[everywhere])
        command.add_argument("file", type=Path, metavar="FILE", help="a policy file (HuJSON)")
        about_nodes = "the tailnet's nodes: our JSON, or what `tailscale status --json` prints"
        command.add_argument("--nodes", type=Path, metavar="NODES", help=about_nodes)
        if name == "matrix":
            command.add_argument("--csv", action="store_true", help="print the table as CSV")


def _hooks(commands: argparse._SubParsersAction[argparse.ArgumentParser], everywhere: argparse.ArgumentParser) -> None:
    """The commands below `hook`."""
    for name, about in (
        ("install", "let every push be judged before it lands; somebody else's hook is left alone"),
        ("remove", "take our hook away again"),
        ("status", "whether our hook is there, and works"),
    ):
        command = commands.add_parser(name, help=about, description=about, parents=[everywhere])
        about_folder = "a bare repository, or a clone (default: here)"
        command.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="REPO", help=about_folder)
        if name == "install":
            command.add_argument("--branch", metavar="NAME", help="the lab's branch (default: the repository's first)")
            command.add_argument("--fail-on-exposure", action="store_true", help="refuse what changes who reaches what")


def _everywhere(*, lab: bool) -> argparse.ArgumentParser:
    """What commands share; `lab`: those that are about one."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group("everywhere")
    if lab:
        group.add_argument("--lab", type=Path, metavar="DIR", help="the lab's folder (default: here and upwards)")
        group.add_argument(
            "--state", type=Path, metavar="DIR", help="the site's state (default: the platform's folder)"
        )
    group.add_argument("--json", action="store_true", help="print the result as JSON")
    group.add_argument("--traceback", action="store_true", help=argparse.SUPPRESS)
    return parent


def _count(text: str) -> int:
    """A number that is not negative."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)


def _seconds(text: str) -> float:
    """Seconds of a duration, or of a number of them."""
    from blumeops.lab.quantities import seconds

    try:
        return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else seconds(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s or 5m") from None


def _moment(text: str) -> float:
    """Seconds since 1970: of a duration before now, or of a time of day and date, without a zone that of here."""
    from datetime import datetime

    from blumeops.lab.quantities import seconds

    try:
        return (
            time.time() - seconds(text) if re.fullmatch("[0-9a-z]+", text) else datetime.fromisoformat(text).timestamp()
        )
    except (ValueError, OverflowError):
        said = f"{text!r} is no time: write 10m, 2h or 2026-11-25T10:00:00Z"
        raise argparse.ArgumentTypeError(said) from None


_MODULES = {
    "init": "init", "schema": "init", "doctor": "doctor",
    "show": "show",
    "check": "describe", "plan": "describe", "render": "describe", "up": "run", "down": "run", "sync": "run",
    "rollback": "run", "run": "job",
    "controller": "run", "credential": "credential", "status": "watch", "logs": "logs", "history": "watch",
    "hook": "hook", "op": "op", "secret": "secret", "policy": "policy", "reach": "reach", "whatif": "whatif",
}  # fmt: skip


def main(argv: list[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 done, 1 refused or unhealthy, 2 usage, 3 changes pending, 4 away, 70 our bug."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # looking for plugins takes as long as all the rest of it
    arguments = argparse.Namespace(command="blumeops", traceback=False)
    if sys.stdout is None or sys.stderr is None:  # closed by whoever called: what is said has to go somewhere
        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
        sys.stderr = sys.stderr or sys.stdout
    try:
        top = parser()
        arguments = top.parse_args(argv)
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
    sys.exit(code)


def _run(top: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Call the command; returns its exit code."""
    if arguments.command is None:
        top.print_help()
        return 2
    if arguments.command == "completion":
        import shtab

        print(shtab.complete(top, arguments.shell))
        return 0
    module = importlib.import_module(f"blumeops.cli.{_MODULES[arguments.command]}")
    code: int = getattr(module, arguments.command)(arguments)
    return code


def _let_go_of_stdout() -> None:
    """What could not be written is not tried again when the interpreter ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
