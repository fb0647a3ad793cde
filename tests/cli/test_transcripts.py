"""Commands as a person types them: exit code, standard output and standard error, word by word.

A transcript is `$ command`, `? exit code`, then the lines of standard output, and those of standard error behind
`! `. `UPDATE_GOLDEN=1 pytest tests/cli` writes them anew. REPO is this repository, TMP an empty folder of the test's;
the home folder is empty too, and nothing of the person's own environment is there.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "transcripts"
REPO = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "blumeops"
TRANSCRIPTS = sorted(HERE.glob("*.txt"))


def run(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in `folder`, with an environment of its own."""
    words = [word.replace("REPO", str(REPO)).replace("TMP", str(folder)) for word in shlex.split(line)]
    assert words[0] == "blumeops"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "COLUMNS": "100", **environment}
    return subprocess.run(
        [PROGRAM, *words[1:]], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=50
    )


def told(line: str, folder: Path) -> str:
    """One command as it stands in a transcript."""
    done = run(line, folder)
    out = "".join(f"{row}\n" for row in done.stdout.splitlines())
    err = "".join(f"! {row}\n" for row in done.stderr.splitlines())
    said = f"? {done.returncode}\n{out}{err}"
    return f"$ {line}\n" + said.replace(str(folder.resolve()), "TMP").replace(str(folder), "TMP").replace(
        str(REPO), "REPO"
    )


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript_is_repeated(transcript: Path, tmp_path: Path) -> None:
    """The same commands, one after another in one folder, say the same."""
    kept = transcript.read_text()
    lines = [line[2:] for line in kept.splitlines() if line.startswith("$ ")]
    found = "\n".join(told(line, tmp_path) for line in lines)
    if os.environ.get("UPDATE_GOLDEN"):
        transcript.write_text(found)
    assert found == transcript.read_text()


def test_there_are_transcripts() -> None:
    """An empty folder would prove nothing."""
    assert len(TRANSCRIPTS) >= 5
