"""`blumeops policy`: exit codes, what goes where, and JSON."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "blumeops"
GOOD = """{
  // a comment
  "groups": {"group:a": ["ann@example.com"]},
  "tagOwners": {"tag:web": [], "tag:db": []},
  "grants": [
    {"src": ["group:a"], "dst": ["tag:web"], "ip": ["tcp:443", "80"]},
    {"src": ["100.64.0.2"], "dst": ["tag:db"], "ip": ["5432"]},
  ],
  "tests": [{"src": "ann@example.com", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}],
}
"""
NODES = {
    "nodes": [
        {"name": "laptop", "user": "ann@example.com", "addresses": ["100.64.0.1"]},
        {"name": "web", "tags": ["tag:web"], "addresses": ["100.64.0.2"]},
        {"name": "db", "tags": ["tag:db"], "addresses": ["100.64.0.3"]},
    ]
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a policy and a file of nodes, and nothing of a lab."""
    (tmp_path / "policy.hujson").write_text(GOOD)
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A policy command in the folder."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "COLUMNS": "100"}
    return subprocess.run(
        [PROGRAM, "policy", *words], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=50
    )


def test_a_good_policy(folder: Path) -> None:
    """Nothing on standard output, a count on standard error, 0."""
    done = run(folder, "check", "policy.hujson")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "2 rules, 0 SSH rules, 1 tests: no errors, 0 warnings\n"
    done = run(folder, "test", "policy.hujson", "--nodes", "nodes.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "2 assertions, 0 of them fail\n")


def test_a_bad_policy(folder: Path) -> None:
    """Every finding with its place, whatever the command; 1."""
    (folder / "bad.hujson").write_text(GOOD.replace('["group:a"], "dst"', '["group:b"], "dst"'))
    finding = "bad.hujson:6:14: BLU231 group:b: is not defined in groups; did you mean group:a?\n"
    for command in ("check", "test", "matrix"):
        done = run(folder, command, "bad.hujson")
        assert (done.returncode, done.stdout) == (1, finding)
    told = json.loads(run(folder, "check", "bad.hujson", "--json").stdout)
    assert told["version"] == 1
    (one,) = told["findings"]
    assert (one["code"], one["file"], one["line"], one["column"]) == ("BLU231", "bad.hujson", 6, 14)


def test_a_failing_test(folder: Path) -> None:
    """`check` refuses, as the control plane does; `test` says which, and the rule that is in the way."""
    (folder / "bad.hujson").write_text(GOOD.replace('"tag:db:5432"', '"tag:web:80"'))
    wanted = (
        "bad.hujson:9:76: BLU272 ann@example.com to tag:web:80: should be denied, but bad.hujson:6:5 allows it; "
        "change the rule, or the test\n"
    )
    for command in ("check", "test"):
        done = run(folder, command, "bad.hujson")
        assert (done.returncode, done.stdout) == (1, wanted)
    told = json.loads(run(folder, "test", "bad.hujson", "--json").stdout)["tests"]
    assert [test["passed"] for test in told] == [True, False]
    assert [rule["line"] for rule in told[1]["because"]] == [6]


def test_the_matrix_of_nodes(folder: Path) -> None:
    """A table for people, CSV for spreadsheets, JSON for programs: the same."""
    done = run(folder, "matrix", "policy.hujson", "--nodes", "nodes.json")
    assert done.returncode == 0
    assert done.stdout == (
        "        laptop  web          db\n"
        "laptop  -       80, tcp:443  -\n"
        "web     -       -            5432\n"
        "db      -       -            -\n"
    )
    rows = list(
        csv.reader(run(folder, "matrix", "policy.hujson", "--nodes", "nodes.json", "--csv").stdout.splitlines())
    )
    assert rows[0] == ["", "laptop", "web", "db"] and rows[1] == ["laptop", "", "80 tcp:443", ""]
    told = json.loads(run(folder, "matrix", "policy.hujson", "--nodes", "nodes.json", "--json").stdout)
    assert told["reach"] == [
        {"src": "laptop", "dst": "web", "open": ["80", "tcp:443"]},
        {"src": "web", "dst": "db", "open": ["5432"]},
    ]


def test_files_that_cannot_be_read(folder: Path) -> None:
    """A file that is away, a folder, a bad file of nodes: one line each, 1; no file at all: usage, 2."""
    for path in ("none.hujson", "."):
        done = run(folder, "check", path)
        assert done.returncode == 1 and "BLU280" in done.stderr and done.stdout == ""
    (folder / "bad.json").write_text('{"nodes": [{}]}')
    done = run(folder, "matrix", "policy.hujson", "--nodes", "bad.json")
    assert done.returncode == 1 and "bad.json:1:12: BLU281" in done.stdout
    assert run(folder, "check").returncode == 2
    assert run(folder).returncode == 2


def test_a_pipe_is_a_file(folder: Path) -> None:
    """What another program prints can be checked without a file in between."""
    done = subprocess.run(
        [PROGRAM, "policy", "check", "/dev/stdin"], input=GOOD, capture_output=True, text=True, check=False,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_large_hostile_policy_ends_soon(folder: Path) -> None:
    """Megabytes of unknown names give a hundred findings, not a day of comparing; too many bytes give one."""
    sources = ", ".join(f'"tag:n{n}"' for n in range(200_000))
    tags = ", ".join(f'"tag:t{n}": []' for n in range(100_000))
    (folder / "long.hujson").write_text(
        f'{{"tagOwners": {{{tags}}}, "grants": [{{"src": [{sources}], "dst": ["*"], "ip": ["*"]}}]}}'
    )
    done = run(folder, "check", "long.hujson")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 100
    (folder / "longer.hujson").write_bytes(b"/" * (17 * 2**20))
    done = run(folder, "check", "longer.hujson")
    assert done.stdout == "longer.hujson:1:1: BLU221 longer.hujson: is larger than 16 MiB\n"
