"""Reading a large revision in a process of its own first: a hostile one neither blocks nor bloats the controller.

What enters: a checkout. What leaves: None when it can be read here too, else the findings that refuse it. Small labs
are read at once: how much a lab can become is bounded by its size and by its weight (`weight`), and a process more
costs a push a quarter of a second.

Run as a program (`python -m blumeops.loop.probe FOLDER`) it is that process: JSON on stdout, within `base.limits`.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blumeops.base.errors import Bug
from blumeops.base.findings import Finding, Place, errors
from blumeops.base.limits import CPU_SECONDS, MEMORY, TOO_MUCH, WALL_SECONDS, limit_this_process
from blumeops.checks.check import check_folder
from blumeops.lab.files import CATALOGUE
from blumeops.lab.load import Loaded
from blumeops.lab.model import app_key
from blumeops.render import local

LARGE = 200 << 10
"""Bytes of description from which on it is read in another process first."""
HEAVY = 8 << 20
"""And so much that it may become when each service gets its app's strings."""
RENDERED = 64 << 20
"""The most bytes of what is made from a lab for this site: so much the controller has to hold."""
_PER_LOOKUP = 8
"""The least characters that a lookup takes: `{{a.b}}`."""
_SHORT = 60
"""Characters that a lookup becomes when it is a name, an address or a path."""

log = logging.getLogger(__name__)


def is_large(folder: Path) -> bool:
    """Whether the files that the reader reads are large together."""
    files = [folder / "lab.yaml", *(folder / "services").glob("*"), *(folder / "apps").rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file()) > LARGE


def weight(loaded: Loaded, folder: Path) -> int:
    """At most so many characters does the lab become, about: each service has all that its app says, and each lookup in
    that may be as long as the longest text that the service gives."""
    sizes: dict[str, int] = {}
    total = 0
    for name, service in loaded.lab.services.items():
        key = app_key(name, service)
        provider = loaded.lab.services.get(service.database or "")
        for app in (key, app_key(service.database or "", provider) if provider else ""):
            if app not in sizes:
                own = folder / "apps" / app
                root = own if own.is_dir() else CATALOGUE / app
                plain = bool(app) and not app.startswith("=") and root.is_dir()
                sizes[app] = sum(file.stat().st_size for file in root.rglob("*") if file.is_file()) if plain else 0
            longest = max((len(str(value)) for value in (*service.options.values(), *service.env.values())), default=0)
            total += sizes[app] + sizes[app] // _PER_LOOKUP * max(longest, _SHORT)
    return total


def refusal(folder: Path) -> list[Finding] | None:
    """What refuses the checkout, found out in another process; None when nothing does. Raises Bug `BLU699`."""
    argv = [sys.executable, "-I", "-m", __name__, str(folder)]
    env = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=WALL_SECONDS + 5, env=env)
    except subprocess.TimeoutExpired:
        return [_too_much()]
    if done.returncode == TOO_MUCH or done.returncode < 0:
        return [_too_much()]
    if done.returncode:
        log.error("reading a revision failed: %s", done.stderr[-2000:].decode(errors="replace"))
        raise Bug("BLU699", "forge", "the examination itself failed, a bug; the controller's log says more")
    answer = json.loads(done.stdout)
    return None if answer["passed"] else [_finding(each) for each in answer["findings"]]


def _too_much() -> Finding:
    most = f"{CPU_SECONDS} s of processor time, or {MEMORY >> 20} MiB"
    hint = "describe less: this is more than a lab of 25,000 services needs"
    return Finding("BLU630", Place("lab.yaml", 1, 1), "lab", f"takes more than {most} to be read", hint)


def _becomes_too_large() -> Finding:
    message = f"becomes more than {RENDERED >> 20} MiB for the services that use its apps"
    return Finding("BLU630", Place("lab.yaml", 1, 1), "lab", message, "shorten the templates that many services use")


def _finding(found: Mapping[str, Any]) -> Finding:
    place = Place(found["file"], found["line"], found["column"])
    return Finding(found["code"], place, found["subject"], found["message"], found["hint"], found["severity"])


def main(folder: str) -> int:
    """Read, check and render the checkout, and say what refuses it."""
    limit_this_process(lambda: None)
    try:
        checked = check_folder(Path(folder))
        findings = list(checked.findings)
        if checked.passed:
            tree = local.render(checked.passed)
            if sum(map(len, tree.files.values())) > RENDERED:
                findings.append(_becomes_too_large())
            else:
                local.units(tree)
        passed = checked.passed is not None and not errors(findings)
        sys.stdout.write(json.dumps({"passed": passed, "findings": [each.as_json() for each in findings]}))
    except MemoryError:
        return TOO_MUCH
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
