"""init and schema: a new lab's files, and what editors need to know of them."""

from __future__ import annotations

import argparse
import shlex
import sys

from blumeops.base.tree import FileTree
from blumeops.cli import output
from blumeops.lab.schema import SCHEMAS, schema_files


def init(arguments: argparse.Namespace) -> int:
    """`blumeops init`: a lab of one's own, as a Git repository with its first commit, its key and its secrets."""
    from blumeops.app import new_lab
    from blumeops.base.site import SiteFolder, default_state
    from blumeops.checks.check import check_folder
    from blumeops.cli.hook import install_in

    folder = arguments.folder.absolute()
    name = arguments.name or new_lab.legal_name(folder.resolve().name)
    site = SiteFolder((arguments.state or default_state(name)).absolute())
    made = new_lab.make_lab(folder, name, site, arguments.example, arguments.age_key, arguments.workflow)
    output.say_findings(check_folder(folder).findings, sys.stderr)
    hook = install_in(folder).path if arguments.hook else None
    if arguments.json:
        output.say_json({
            "version": 1, "lab": made.name, "folder": str(folder), "files": list(made.files),
            "revision": made.revision, "hook": str(hook) if hook else None,
            "age_key": str(made.key),
        })  # fmt: skip
    else:
        for file in made.files:
            output.say(file)
        output.progress(f"{made.name} begins with {made.revision[:8]}, in {folder}")
        if hook:
            output.progress(f"a push to its main branch is checked first, by {hook}")
        output.progress(f"its secrets are encrypted for the key in {made.key}")
        output.progress("  keep a copy of that file elsewhere: without it nobody can open them any more")
        named = "".join(f" {word}" for word in _for_up(arguments))
        output.progress(f"next, in that folder: blumeops doctor{named}, then blumeops up{named}")
    return 0


def _for_up(arguments: argparse.Namespace) -> list[str]:
    """What `doctor` and `up` have to be told to find the key again."""
    words = ["--state", str(arguments.state.absolute())] if arguments.state else []
    words += ["--age-key", str(arguments.age_key.absolute())] if arguments.age_key else []
    return [shlex.quote(word) for word in words]


def schema(arguments: argparse.Namespace) -> int:
    """`blumeops schema`: prints one, or writes all, or the one that is named, into a folder."""
    if arguments.out is None:
        output.say_json(SCHEMAS[arguments.kind or "lab"]())
        return 0
    tree = FileTree(schema_files(*([arguments.kind] if arguments.kind else [])))
    written = tree.write(arguments.out)
    output.say_written(tree, written, arguments.json)
    return 0
