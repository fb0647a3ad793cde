"""The whole command line: every command with its arguments, in the groups of the help."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from pathlib import Path

from blumeops.cli.arguments import Parser, Subcommands, Version, count, duration, everywhere, moment, previewed, shared
from blumeops.cli.examples import EXAMPLES, GROUPS


class _Top(Parser):
    """The program's own: its help shows the commands in their groups."""

    commands: Subcommands

    def format_help(self) -> str:
        """Usage, the commands by group, options, examples."""
        lines = [self.format_usage(), self.description or ""]
        for group, names in GROUPS.items():
            lines += ["", f"{group}:", *(self._told(name) for name in names)]
        lines += ["", "options:", "  -h, --help  show this help; after a command, that command's"]
        lines += ["  --version   show the version"]
        return "\n".join(lines) + "\n" + self.said_examples()

    def _told(self, name: str) -> str:
        about = self.commands.choices[name].description or ""
        width = max(40, shutil.get_terminal_size().columns - 2)
        return textwrap.fill(about, width, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14)


class _Commands:
    """Adds commands, with what they share."""

    def __init__(self, into: Subcommands) -> None:
        self.into = into
        self.lab, self.anywhere = everywhere(lab=True), everywhere(lab=False)
        self.key = argparse.ArgumentParser(add_help=False)
        self.key.add_argument("--age-key", type=Path, metavar="FILE", help="the key of the SOPS file")

    def add(self, name: str, about: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """A command about a lab."""
        return self.add_bare(name, about, self.lab, *parents)

    def add_bare(self, name: str, about: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """A command that takes nothing but what its parents do."""
        return self.into.add_parser(name, help=about, description=about, parents=list(parents))

    def holder(self, name: str, about: str) -> Subcommands:
        """A command that holds others."""
        inner = self.add_bare(name, about)
        return inner.add_subparsers(dest=f"{name}_command", metavar="COMMAND", required=True)


def parser(command: str = "") -> argparse.ArgumentParser:
    """The whole command line; with the name of a command no more of it than parses that one: its group."""
    Parser.examples = EXAMPLES
    top = _Top(prog="blumeops", description="One Git repository, one home lab: described once, proved, kept running.")
    top.add_argument("--version", action=Version, nargs=0, help="show the version")
    top.commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    commands = _Commands(top.commands)
    groups = {
        "start": _start, "look": _look, "change": _change, "secrets": _secrets, "network": _network,
        "other engines and forges": _elsewhere, "your shell and editor": _shell,
    }  # fmt: skip
    of_command = [group for group, names in GROUPS.items() if command in names]
    for group in of_command or GROUPS:
        groups[group](commands)
    if not of_command:
        _own(commands.into, commands.lab, commands.key)
    return top


def _start(commands: _Commands) -> None:
    init = commands.add_bare("init", "a new lab of one's own, in Git", commands.anywhere)
    init.add_argument("folder", type=Path, metavar="DIR", help="a folder that is not there yet, or is empty")
    init.add_argument("--name", metavar="NAME", help="the lab's name (default: the folder's)")
    init.add_argument("--example", choices=["first", "blumeops"], help="copy this lab of the project")
    init.add_argument("--age-key", type=Path, metavar="FILE", help="the key of its secrets, made if it is not there")
    init.add_argument("--state", type=Path, metavar="DIR", help="where `up` will keep its state: the key lies there")
    init.add_argument("--hook", action="store_true", help="check before each push to main, by a pre-push hook")
    about = "with the workflow that comments the plan on each pull request, for Forgejo's runner"
    init.add_argument("--workflow", action="store_true", help=about)
    commands.add("doctor", "what this machine lacks to run the lab, and the command that gets it", commands.key)
    up = commands.add("up", "start the site and bring the lab to its revision", commands.key)
    up.add_argument("--site", choices=["here"], default="here", help=argparse.SUPPRESS)
    about = "let this folder of the machine stand in for a share, from now on; repeatable; without PATH no more"
    up.add_argument("--share", action="append", default=[], type=shared, metavar="HOST/SHARE=PATH", help=about)
    down = commands.add("down", "stop it all; what it keeps is kept", commands.key)
    for each in (up, down):
        each.add_argument(
            "--prune-data", action="store_true",
            help="delete for good what is kept of services that are gone from the lab; it is shown, and you are asked",
        )  # fmt: skip
        each.add_argument("--yes", action="store_true", help="do not ask")


def _look(commands: _Commands) -> None:
    status = commands.add("status", "every unit: revision, health, why")
    status.add_argument("--wait", action="store_true", help="until it has settled, or the last sync has failed")
    status.add_argument("--timeout", type=duration, metavar="TIME", help="with --wait: not longer than this: 90s, 5m")
    logs = commands.add("logs", "what services printed, with *** in place of the lab's secrets", commands.key)
    logs.add_argument("services", nargs="+", metavar="SERVICE", help="a service, or `controller`")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as they print")
    logs.add_argument("-n", "--lines", type=count, metavar="N", help="the last N lines (default: 50; with --since all)")
    logs.add_argument("--since", type=moment, metavar="TIME", help="not what is older: 10m, 2h, 2026-11-25T10:00:00Z")
    logs.add_argument("--grep", metavar="TEXT", default="", help="only lines with this text")
    logs.add_argument("--raw", action="store_true", help="as it was printed, with the secrets that are in it")
    history = commands.add("history", "what happened: every revision, what it changed, how it ended")
    history.add_argument("-n", "--limit", type=count, default=10, metavar="N", help="the last N (default: 10)")
    show = commands.add("show", "what is derived from the description, and from which line of it")
    show.add_argument("service", nargs="?", metavar="SERVICE", help="all about this one (default: a table of all)")
    whatif = commands.add("whatif", "what is lost, and for whom, when a host, cluster or service is down")
    whatif.add_argument("what", nargs="?", metavar="HOST-OR-SERVICE", help="default: all single points of failure")


def _change(commands: _Commands) -> None:
    check = commands.add("check", "all findings from the description alone; nothing is changed", commands.key)
    about = "ask the secret store, registries, indexes and what runs here as well; engines of site home are not asked"
    check.add_argument("--live", action="store_true", help=about)
    plan = commands.add("plan", "what a sync would change, in words and as diffs", commands.key)
    ends = plan.add_mutually_exclusive_group()
    ends.add_argument("revision", nargs="?", metavar="REV", help="a revision of the forge (default: the lab's folder)")
    about = "from this revision of the lab's own Git repository instead of what is applied; no site is asked"
    ends.add_argument("--from", dest="begin", metavar="REV", help=about)
    plan.add_argument("--to", dest="end", metavar="REV", help="with --from: to this one (default: the lab's folder)")
    plan.add_argument("--merge-base", action="store_true", help="with --from and --to: from where the two part")
    plan.add_argument("--exit-code", action="store_true", help="exit with 3 when there are changes")
    plan.add_argument("--fail-on-exposure", action="store_true", help="exit with 1 when who reaches what changes")
    plan.add_argument("--no-diff", action="store_true", help="the words alone")
    plan.add_argument("--markdown", action="store_true", help="for the comment of a pull request; diffs are folded")
    about = "a branch beside the lab that runs, with ports, data and secrets of its own"
    preview = commands.add("preview", about, commands.key)
    preview.add_argument("branch", nargs="?", metavar="BRANCH", help="or a revision (default: all previews are listed)")
    preview.add_argument("services", nargs="*", metavar="SERVICE", help="these, and what they need (default: all)")
    preview.add_argument("--down", action="store_true", help="take it away, with all that it kept")
    about = "take what cannot be generated from the lab's store"
    preview.add_argument("--with-secrets", action="store_true", help=about)
    lock = commands.add("lock", "write down which bytes each image is: the digest that its registry has for its tag")
    lock.add_argument("--check", action="store_true", help="write nothing, and exit with 3 when something would change")
    commands.add("sync", "bring the lab to its revision now, instead of at the next push")
    about = "back to a revision that was applied, as a new commit on main; data stays as it is"
    about_revision = "default: the last one that was applied and differs from main"
    commands.add("rollback", about).add_argument("revision", nargs="?", metavar="REV", help=about_revision)
    run = commands.add("run", "start a job now, and follow it to its end: 0 when it went well")
    run.add_argument("job", metavar="JOB", help="a service of kind `job`: a backup")


def _secrets(commands: _Commands) -> None:
    inner = commands.holder("secret", "references to secrets, their store, and new values; none is shown")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return inner.add_parser(name, help=about, description=about, parents=[commands.lab, commands.key])

    command("list", "each reference: who uses it, how it gets there, how old it is")
    command("check", "what the store lacks, what nobody uses, and whether the key opens it")
    put = command("set", "give a secret the value that stands on standard input, and restart who uses it")
    put.add_argument("reference", metavar="op://VAULT/ITEM/FIELD")
    rotate = command("rotate", "make new values, restart exactly who uses them, and go back if one is not healthy")
    rotate.add_argument("names", nargs="+", metavar="SECRET", help="op://VAULT/ITEM/FIELD, SERVICE.SECRET or SERVICE")
    key = command("key", "where the age key lies that opens the store; or move it")
    places = key.add_mutually_exclusive_group()
    places.add_argument(
        "--store-in-keyring", action="store_true", help="into this user's keyring; its file then names it alone"
    )
    places.add_argument("--from-keyring", action="store_true", help="back into its file")
    recipients = command("recipients", "whose age keys open the store; with changes it is encrypted anew")
    recipients.add_argument(
        "--add", action="append", default=[], metavar="age1…", help="a public key that opens it too"
    )
    recipients.add_argument(
        "--remove", action="append", default=[], metavar="age1…", help="one that shall not any more"
    )
    _op(commands)


def _op(commands: _Commands) -> None:
    """op's own, the one that writes the program of that name, and the API beside it."""
    from blumeops.cli import connect_arguments, op_arguments

    op = commands.add_bare("op", "1Password's command, answered from the lab's store")
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument("--file", type=Path, metavar="FILE", help="this SOPS file, instead of the lab's store")
    op.add_argument("-v", "--version", action="version", version=op_arguments.VERSION, help=argparse.SUPPRESS)
    inner = op_arguments.add(op, commands.lab, commands.key, store)
    about = "write the program `op` into a folder, for the PATH of playbooks and scripts"
    shim = inner.add_parser("shim", help=about, description=about, parents=[commands.lab, commands.key, store])
    shim.add_argument("folder", type=Path, metavar="DIR", help="where; made if it is not there")
    connect = commands.holder("connect", "1Password's Connect API in front of the lab's store, and its tokens")
    connect_arguments.add(connect, commands.lab, commands.key)


def _network(commands: _Commands) -> None:
    reach = commands.add("reach", "may SRC reach DST, by which name, and by which line")
    reach.add_argument("src", nargs="?", metavar="SRC", help="a person, host, cluster or service, internet or lan")
    reach.add_argument("dst", nargs="?", metavar="DST[:PORT]", help="the same; KIND:NAME where a name stands for two")
    reach.add_argument("--site", choices=["here", "home"], default="home", help="default: home")
    reach.add_argument("--matrix", action="store_true", help="everybody and everything, as a table")
    reach.add_argument("--csv", action="store_true", help="print the matrix as CSV")
    policies = commands.holder("policy", "anybody's Tailscale policy file: checked, tested, as a matrix")
    for name, about in (
        ("check", "all that Tailscale would refuse the file for, its tests too"),
        ("test", "run the policy's own tests and sshTests"),
        ("matrix", "who reaches what, at which ports: nodes, or the policy's own names"),
    ):
        command = policies.add_parser(name, help=about, description=about, parents=[commands.anywhere])
        command.add_argument("file", type=Path, metavar="FILE", help="a policy file (HuJSON)")
        about_nodes = "the tailnet's nodes: our JSON, or what `tailscale status --json` prints"
        command.add_argument("--nodes", type=Path, metavar="NODES", help=about_nodes)
        if name == "matrix":
            command.add_argument("--csv", action="store_true", help="print the table as CSV")


def _elsewhere(commands: _Commands) -> None:
    render = commands.add("render", "the real engines' files, for the real devices")
    render.add_argument("--site", choices=["here", "home"], default="home", help="default: home")
    render.add_argument("--out", type=Path, metavar="DIR", required=True, help="the folder to write into")
    against = "write nothing, print what would change of the folder, or since REV of the Git repository that it is in"
    render.add_argument("--diff", nargs="?", const="", metavar="REV", help=against)
    render.add_argument("--exit-code", action="store_true", help="with --diff: exit with 3 when anything would change")
    about = "at home, let Argo CD take this service from that branch; repeatable"
    render.add_argument("--preview", action="append", default=[], type=previewed, metavar="SERVICE=BRANCH", help=about)
    hooks = commands.holder("hook", "the push gate in a Git repository of your own: a forge's, or a clone")
    for name, about in (
        ("install", "let every push be judged before it lands; somebody else's hook is left alone"),
        ("remove", "take our hook away again"),
        ("status", "whether our hook is there, and works"),
        ("workflow", "write the workflow that comments the plan on each pull request, for the forge's own runner"),
    ):
        command = hooks.add_parser(name, help=about, description=about, parents=[commands.anywhere])
        about_folder = f"{'' if name == 'workflow' else 'a bare repository, or '}a clone (default: here)"
        command.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="REPO", help=about_folder)
        if name == "install":
            command.add_argument("--branch", metavar="NAME", help="the lab's branch (default: the repository's first)")
            command.add_argument("--fail-on-exposure", action="store_true", help="refuse what changes who reaches what")
        if name == "workflow":
            command.add_argument("--branch", metavar="NAME", help="the lab's branch (default: the repository's first)")
            command.add_argument(
                "--for",
                dest="forge",
                choices=["forgejo", "gitea", "github"],
                default="forgejo",
                help="default: forgejo",
            )
    comment = commands.add_bare("comment", "let one comment on a pull request say a text", commands.anywhere)
    comment.add_argument("url", metavar="URL", help="of the pull request; BLUMEOPS_FORGE_TOKEN is the forge's token")
    comment.add_argument("file", nargs="?", type=Path, metavar="FILE", help="Markdown (default: standard input)")


def _shell(commands: _Commands) -> None:
    completion = commands.add_bare("completion", "a script for your shell to complete commands")
    completion.add_argument("shell", choices=["bash", "zsh", "fish", "tcsh"])
    schema = commands.add_bare("schema", "the JSON Schema of a lab's files, for editors", commands.anywhere)
    schema.add_argument("kind", nargs="?", choices=["lab", "services", "app"], help="default: lab; with --out: all")
    schema.add_argument("--out", type=Path, metavar="DIR", help="write KIND.schema.json into this folder")


def _own(commands: Subcommands, *parents: argparse.ArgumentParser) -> None:
    """What we and Git call ourselves; no help tells of it."""
    controller = commands.add_parser("controller", parents=parents)
    controller.add_argument("--port", type=int, required=True)
    controller.add_argument("--dns", type=int, required=True)
    credential = commands.add_parser("credential")
    credential.add_argument("--state", type=Path, required=True)
    credential.add_argument("operation")
    credential.set_defaults(traceback=False)
