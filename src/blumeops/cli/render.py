"""render: the real engines' files, written into a folder, or held against it or against a branch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.files import write_whole
from blumeops.base.findings import Finding
from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.cli import output
from blumeops.cli.place import lab_folder

LIST = ".blumeops-files"
"""What was rendered into a folder, a path a line: what nothing derives any more is told from what is not ours."""


def render(arguments: argparse.Namespace) -> int:
    """`blumeops render`: writes the tree; files that nothing derives any more are left alone and named. With --diff
    nothing is written."""
    passed = _passed(arguments)
    if passed is None:
        return 1
    previews = dict(arguments.preview)
    if previews and arguments.site == "here":
        raise UserError("BLU810", "--preview", "is of site home", "at site here: blumeops preview BRANCH")
    tree = _home(passed, previews) if arguments.site == "home" else _here(passed)
    if arguments.diff is not None:
        return _diff(arguments, tree)
    stale = _stale(arguments.out, tree)
    written = tree.write(arguments.out, flushed=False)
    listed = "".join(f"{path}\n" for path in [*tree, *stale])
    if not (arguments.out / LIST).is_file() or (arguments.out / LIST).read_text() != listed:
        write_whole(arguments.out / LIST, listed.encode())
    output.say_written(tree, written, arguments.json)
    if arguments.site == "home":
        output.say_findings(left_out(passed), sys.stderr)
    if not arguments.json:
        output.progress(f"{len(tree.files)} files, {len(written)} of them new or changed")
        for name, branch in previews.items():
            output.progress(f"{name}: Argo CD takes it from {branch}; rendered without --preview it is back")
    for path in stale:
        output.progress(f"{arguments.out / path}: nothing derives this any more; delete it")
    return 0


def _diff(arguments: argparse.Namespace, tree: FileTree) -> int:
    """What writing would change, as unified diffs; 3 with --exit-code when anything would."""
    out = arguments.out
    before = _of_revision(out, arguments.diff, tree) if arguments.diff else _of_folder(out, tree)
    changed = [path for path in sorted({*tree, *before}) if before.get(path) != tree.files.get(path)]
    if arguments.json:
        output.say_json({"version": 1, "changed": changed})
    else:
        for path in changed:
            for line in _unified(path, before.get(path), tree.files.get(path)):
                output.say(line)
        output.progress(f"{len(changed)} of {len(tree.files)} files differ")
    return 3 if changed and arguments.exit_code else 0


def _unified(path: str, before: bytes | None, after: bytes | None) -> list[str]:
    import difflib

    one, other = ((data or b"").decode(errors="replace").splitlines() for data in (before, after))
    names = ("/dev/null" if before is None else f"a/{path}", "/dev/null" if after is None else f"b/{path}")
    return list(difflib.unified_diff(one, other, *names, lineterm=""))


def _stale(out: Path, tree: FileTree) -> list[str]:
    """What was rendered there once, is there still, and is not derived any more."""
    try:
        known = (out / LIST).read_text().splitlines()
    except OSError:
        return []
    return [path for path in known if path not in tree.files and (out / path).is_file()]


def _of_folder(out: Path, tree: FileTree) -> dict[str, bytes]:
    paths = [*tree, *_stale(out, tree)]
    return {path: (out / path).read_bytes() for path in paths if (out / path).is_file()}


def _of_revision(out: Path, revision: str, tree: FileTree) -> dict[str, bytes]:
    """The same files at a revision of the Git repository that the folder is in. Raises UserError `BLU764`."""
    from blumeops.base.processes import run

    argv = ["git", "-C", str(out), "ls-tree", "-r", "-z", "--name-only", "--end-of-options", revision, "."]
    done = run(argv)
    if done.code:
        raise UserError("BLU764", str(out), f"git cannot show {revision} there: {done.words}", "name a branch of it")
    listed = {path for path in done.stdout.decode(errors="surrogateescape").split("\0") if path}
    shown = run(["git", "-C", str(out), "show", f"{revision}:./{LIST}"]).stdout.decode(errors="replace").splitlines()
    wanted = sorted(listed & {*tree, *shown})
    return {path: run(["git", "-C", str(out), "show", f"{revision}:./{path}"]).stdout for path in wanted}


def _passed(arguments: argparse.Namespace) -> CheckedLab | None:
    """The lab when it passes the checks; else None, with the findings told."""
    checked = check_folder(lab_folder(arguments))
    output.say_findings(checked.findings, sys.stderr)
    if checked.passed is None:
        output.progress(output.count(checked.findings, len(checked.facts.services)))
    return checked.passed


def left_out(passed: CheckedLab) -> list[Finding]:
    """A warning for each service that has no files at site `home`."""
    from blumeops.render import ansible, kubernetes

    reasons = {**ansible.left_out(passed), **kubernetes.left_out(passed)}
    hint = "it runs at site `here`; at `home` bring its `role:` or `manifests:`, or set it up by hand"
    return [
        Finding(
            "BLU126", passed.lab.service_place(name), name, f"is not rendered for `home`: {reason}", hint,
            severity="warning",
        )
        for name, reason in sorted(reasons.items())
    ]  # fmt: skip


def _here(passed: CheckedLab) -> FileTree:
    from blumeops.render import local

    return local.render(passed)


def _home(passed: CheckedLab, previews: Mapping[str, str]) -> FileTree:
    from blumeops.render.ansible import render as for_hosts
    from blumeops.render.kubernetes import render as for_clusters
    from blumeops.render.tailscale import render as for_tailnet

    return FileTree(
        {**for_hosts(passed).files, **for_clusters(passed, previews=previews).files, **for_tailnet(passed).files}
    )
