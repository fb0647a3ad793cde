"""Files of a push enter; findings leave for what looks like a secret in them. The values themselves are in none.

The rules are Betterleaks' (https://betterleaks.com, the successor of Gitleaks), a program: settings, ignore lists and
marks in the files do not count, since whoever pushes writes those. What is none is named in `lab.yaml`, with a reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from blumeops.base.errors import EngineError
from blumeops.base.files import scratch
from blumeops.base.findings import Finding, Place, in_order
from blumeops.base.processes import run
from blumeops.secrets import sops

LARGEST = 1
"""MiB: larger files are not looked at."""
_SECONDS = 60.0
_NAMED = re.compile(r"""[^:=]*[:=]\s*["']?(op://[A-Za-z0-9._/ -]+|\{\{[^{}]*\}\})["']?\s*([,}#]|$)""")
_ROOM = 'ulimit -S -v "$(ulimit -H -v)" 2>/dev/null; exec "$@"'
"""Go reserves far more addresses than it uses (45 MB): the ceiling of who calls it is no measure for it."""
_LEAKS = 1


def program() -> str | None:
    """The scanner of this environment, else the one on PATH; None where there is none."""
    own = Path(sysconfig.get_path("scripts")) / "betterleaks"
    return str(own) if own.is_file() else shutil.which("betterleaks")


def look(folder: Path, paths: Iterable[str], work: Path) -> list[Finding]:
    """What looks like a secret in those files below `folder`, in their order. Links are not followed, and the SOPS file
    is not looked at: what is in it is encrypted, which others check. None where there is no scanner.

    Raises EngineError `BLU902` when it takes longer than a minute, `BLU522` when it fails.
    """
    found = program()
    wanted = [path for path in paths if path != sops.NAME and _is_file(folder / path)]
    if not found or not wanted:
        return []
    with scratch(work, "scan-") as place:
        for path in wanted:
            (place / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / path, place / "files" / path)
        report = place / "report.json"
        argv = [
            "/bin/sh", "-c", _ROOM, "sh", found, "files", "--silent", "--no-banner", "--redact",
            "--no-allow-signatures", "--regex-engine=stdlib", "--max-archive-depth=0",
            f"--max-target-megabytes={LARGEST}", f"--output={report}", f"--exit-code={_LEAKS}",
        ]  # fmt: skip
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(place), "GOMEMLIMIT": "256MiB"}
        done = run(argv, env=env, cwd=place, seconds=_SECONDS)
        if done.code not in (0, _LEAKS) or not report.is_file():
            raise EngineError("BLU522", "betterleaks", f"failed: {done.words}", "look for secrets by hand")
        told = [_finding(each) for each in json.loads(report.read_bytes())["findings"]]
        return in_order(each for each in told if not _names_one(folder, each.place))


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _names_one(folder: Path, place: Place) -> bool:
    """Whether a reference or a lookup stands there, and no value: rules go by the key before it."""
    lines = (folder / place.file).read_bytes().decode(errors="replace").split("\n")
    return bool(_NAMED.match(lines[place.line - 1][max(place.column - 2, 0) :]))


def _finding(found: dict[str, object]) -> Finding:
    location = found["location"]
    assert isinstance(location, dict)
    file = str(location["path"]).removeprefix("files/")
    place = Place(file, int(location["start_line"]), int(location["start_column"]))
    hint = "take it out of Git, and no longer use it; or say in lab.yaml: secrets: {allow: [{file, rule, reason}]}"
    return Finding(
        "BLU521", place, str(found["rule_id"]), "looks like a secret, and everybody with the files has it", hint
    )
