"""policy check, test and matrix: anybody's Tailscale policy file, without a lab. Nothing is changed."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.findings import Finding, errors, in_order
from blumeops.cli import output
from blumeops.facts import policy as engine
from blumeops.facts.policy.hujson import MOST_BYTES
from blumeops.facts.policy.survey import Survey, survey


def policy(arguments: argparse.Namespace) -> int:
    """`blumeops policy …`."""
    commands = {"check": _check, "test": _test, "matrix": _matrix}
    return commands[arguments.policy_command](arguments)


def _check(arguments: argparse.Namespace) -> int:
    """Everything that the control plane would refuse the file for; 0 without errors, else 1."""
    tailnet, wrong = _tailnet(arguments)
    read = engine.read(_bytes(arguments.file), str(arguments.file))
    findings = [*wrong, *read.findings]
    if read.policy:
        findings += engine.foreign_domains(read.policy, tailnet) if tailnet else []
        findings += [trial.finding() for trial in engine.run_tests(read.policy, tailnet) if not trial.passed]
    findings = in_order(findings)
    if arguments.json:
        output.say_json({"version": 1, "findings": [finding.as_json() for finding in findings]})
    else:
        output.say_findings(findings)
        output.progress(_count(findings, read.policy))
    return 1 if errors(findings) else 0


def _test(arguments: argparse.Namespace) -> int:
    """Every assertion of the policy's tests; 0 when all hold, else 1."""
    read, tailnet = _read(arguments)
    if read is None:
        return 1
    trials = engine.run_tests(read, tailnet)
    failed = [trial for trial in trials if not trial.passed]
    if arguments.json:
        told = [
            {
                "file": trial.place.file, "line": trial.place.line, "column": trial.place.column, "text": trial.text,
                "passed": trial.passed, "why": trial.why,
                "because": [{"file": r.place.file, "line": r.place.line, "text": str(r)} for r in trial.because],
            }
            for trial in trials
        ]  # fmt: skip
        output.say_json({"version": 1, "tests": told})
    else:
        output.say_findings([trial.finding() for trial in failed])
        output.progress(
            f"{len(trials)} assertions, {len(failed)} of them fail" if trials else "the policy has no tests"
        )
    return 1 if failed else 0


def _matrix(arguments: argparse.Namespace) -> int:
    """Who reaches what: nodes, or the policy's own names."""
    read, tailnet = _read(arguments)
    if read is None:
        return 1
    found = survey(read, tailnet)
    if arguments.json:
        output.say_json(_as_json(found))
    elif arguments.csv:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["", *found.destinations])
        writer.writerows(
            [source, *(" ".join(cell) for cell in row)] for source, row in zip(found.sources, found.cells, strict=True)
        )
        sys.stdout.write(out.getvalue())
    else:
        rows = [
            [source, *(", ".join(cell) or "-" for cell in row)]
            for source, row in zip(found.sources, found.cells, strict=True)
        ]
        for line in output.table(["", *found.destinations], rows):
            output.say(line)
    return 0


def _as_json(found: Survey) -> dict[str, object]:
    reach = [
        {"src": source, "dst": destination, "open": list(cell)}
        for source, row in zip(found.sources, found.cells, strict=True)
        for destination, cell in zip(found.destinations, row, strict=True)
        if cell
    ]
    return {"version": 1, "sources": list(found.sources), "destinations": list(found.destinations), "reach": reach}


def _read(arguments: argparse.Namespace) -> tuple[engine.Policy | None, engine.Tailnet | None]:
    """The policy and the tailnet; findings are told, and None says that nothing can be concluded."""
    tailnet, wrong = _tailnet(arguments)
    read = engine.read(_bytes(arguments.file), str(arguments.file))
    findings = errors([*wrong, *read.findings])
    output.say_findings(findings, sys.stderr if arguments.json else sys.stdout)
    return (None if findings else read.policy), tailnet


def _tailnet(arguments: argparse.Namespace) -> tuple[engine.Tailnet | None, tuple[Finding, ...]]:
    if arguments.nodes is None:
        return None, ()
    return engine.read_tailnet(_bytes(arguments.nodes), str(arguments.nodes))


def _bytes(path: Path) -> bytes:
    """A file, as far as it is read at all: one byte more than may be is enough to say so."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError("BLU280", str(path), f"cannot be read: {error.strerror}", "name a policy file") from error


def _count(findings: list[Finding], read: engine.Policy | None) -> str:
    wrong = len(errors(findings))
    if read is None or wrong:
        return f"{wrong} errors, {len(findings) - wrong} warnings"
    rules = f"{len(read.rules)} rules, {len(read.ssh)} SSH rules, {len(read.tests) + len(read.ssh_tests)} tests"
    return f"{rules}: no errors, {len(findings)} warnings"
