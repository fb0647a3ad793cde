"""Files of a push enter; what looks like a secret in them leaves, by file, line and rule. The values are not told.

The rules are Betterleaks' (https://betterleaks.com, the successor of Gitleaks), a program: settings, ignore lists and
marks in the files do not count, since whoever pushes writes those. What is none is named in `lab.yaml`, with a reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.errors import EngineError
from blumeops.base.files import scratch
from blumeops.base.processes import run
from blumeops.secrets import sops

SECONDS = 60.0
_NAMED = re.compile(r"""[^:=]*[:=]\s*["']?(op://[A-Za-z0-9._/ -]+|\{\{[^{}]*\}\})["']?\s*([,}#]|$)""")
_ROOM = 'ulimit -S -v "$(ulimit -H -v)" 2>/dev/null; exec "$@"'
"""Go reserves far more addresses than it uses (45 MB): the ceiling of who calls it is no measure for it."""
_LEAKS = 1
_PART = re.compile(r"[^/\0-\x1f\x7f]{1,200}")
_DEEPEST = 32
_CIPHERTEXT = re.compile(rb"(?m)ENC\[AES256_GCM,[^\]\n]*\]|^sops:\n(?:[ \t].*\n?|\n)*")
"""What SOPS writes: encrypted values, and its own data at the end."""


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """What looks like a secret: in which of the files, from 0; line and column from 1; by which rule."""

    at: int
    line: int
    column: int
    rule: str


def program() -> str | None:
    """The scanner of this environment, else the one on PATH; None where there is none."""
    own = Path(sysconfig.get_path("scripts")) / "betterleaks"
    return str(own) if own.is_file() else shutil.which("betterleaks")


def look(files: Iterable[tuple[str, bytes]], work: Path, seconds: float = SECONDS) -> list[Leak]:
    """What looks like a secret in these files (path, content), in their order; none where there is no scanner. The
    paths are nowhere written to as they are: they may be anything. Of a SOPS file what is encrypted is not looked at.

    Raises EngineError `BLU902` when it takes longer than `seconds`, `BLU522` when it fails.
    """
    found = program()
    if not found:
        return []
    with scratch(work, "scan-") as place:
        count = 0
        for count, (path, content) in enumerate(files, 1):
            file = place / "files" / str(count - 1) / _legal(path)
            file.parent.mkdir(parents=True)
            file.write_bytes(_clear(content) if path == sops.NAME else content)
        if not count:
            return []
        report = place / "report.json"
        argv = [
            "/bin/sh", "-c", _ROOM, "sh", found, "files", "--silent", "--no-banner", "--redact",
            "--no-allow-signatures", "--regex-engine=stdlib", "--max-archive-depth=0",
            f"--output={report}", f"--exit-code={_LEAKS}",
        ]  # fmt: skip
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(place), "GOMEMLIMIT": "256MiB"}
        done = run(argv, env=env, cwd=place, seconds=seconds)
        if done.code not in (0, _LEAKS) or not report.is_file():
            raise EngineError("BLU522", "betterleaks", f"failed: {done.words}", "look for secrets by hand")
        told = json.loads(report.read_bytes())["findings"]
        return sorted({_leak(each) for each in told if not _names_one(place, each["location"])})


def _legal(path: str) -> Path:
    """The same path where it is harmless, since some rules go by it; else a plain name."""
    parts = path.split("/")
    harmless = len(parts) <= _DEEPEST and len(os.fsencode(path)) <= 512 and all(
        _PART.fullmatch(part) and part not in {".", ".."} and part.lower() != ".git" for part in parts
    )  # fmt: skip
    return Path(path if harmless else "file")


def _clear(content: bytes) -> bytes:
    """A SOPS file without what is encrypted in it, every line where it was."""
    return _CIPHERTEXT.sub(lambda found: b"\n" * found[0].count(b"\n"), content)


def _names_one(place: Path, location: Mapping[str, object]) -> bool:
    """Whether a reference or a lookup stands there, and no value: rules go by the key before it."""
    lines = (place / str(location["path"])).read_bytes().decode(errors="replace").split("\n")
    line, column = int(str(location["start_line"])), int(str(location["start_column"]))
    return bool(_NAMED.match(lines[line - 1][max(column - 2, 0) :]))


def _leak(found: Mapping[str, object]) -> Leak:
    location = found["location"]
    assert isinstance(location, dict)
    number = int(str(location["path"]).split("/")[1])
    return Leak(number, int(location["start_line"]), int(location["start_column"]), str(found["rule_id"]))
