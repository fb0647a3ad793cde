"""What looks for leaked secrets finds each that is planted, and nothing else."""

from __future__ import annotations

import base64
import html
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.leaks import Allowed, Found, Seeker, Watch, never_met, unexpected

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda value: f"postgres://user:{quote(value, safe='')}@127.0.0.1",
    "in JSON": lambda value: json.dumps({"a": value}),
    "in JSON in JSON": lambda value: json.dumps(json.dumps([value])),
    "in Python": repr,
    "in HTML": lambda value: html.escape(value),
    "in hexadecimal": lambda value: value.encode().hex(),
    "in HEXADECIMAL": lambda value: f"x{value.encode().hex().upper()}",
    "in base64": lambda value: base64.b64encode(value.encode()).decode(),
    "in base64, second": lambda value: base64.b64encode(f"a{value}b".encode()).decode(),
    "in base64, third": lambda value: base64.b64encode(f"ab{value}".encode()).decode(),
    "in base64 of URLs": lambda value: base64.urlsafe_b64encode(f"abc{value}?".encode()).decode(),
    "one line of it": lambda value: value.splitlines()[0],
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("more", ["", "'\"\\$x {{ y }} %s ä\nsecond line"])
@pytest.mark.parametrize("own", [True, False])
def test_a_value_is_found_in_each_form(name: str, more: str, own: bool) -> None:
    """Also between other text; of two canaries it is told which."""
    seeker = Seeker()
    value = seeker.plant("one", more) if own else seeker.know("one", f"a7Tz0qLm31xWp9{more}")
    seeker.plant("two")
    assert seeker.names_in(f"some text {FORMS[name](value)} and more".encode()) == {"one"}
    assert seeker.names_in(b"some text and more" * 1000) == set()


def test_files_are_looked_into(tmp_path: Path) -> None:
    """Names, links, contents with their rights, and rows of databases."""
    seeker = Seeker()
    value = seeker.plant("pat")
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "b"
    file.write_text(f"x{value}")
    file.chmod(0o640)
    (tmp_path / "link").symlink_to(value)
    (tmp_path / f"n-{value}").touch()
    with sqlite3.connect(tmp_path / "d.sqlite") as database:
        database.execute("PRAGMA page_size = 512")
        database.execute("CREATE TABLE t (c)")
        database.executemany("INSERT INTO t VALUES (?)", [["." * n + value] for n in range(300, 1500, 7)])
    database.close()
    found = seeker.in_files(tmp_path)
    assert Found("a/b", "pat", 0o640, os.geteuid()) in found
    assert {each.place for each in found} == {"a/b", "link link", f"name n-{value}", "d.sqlite"}


def test_objects_that_nothing_leads_to_are_looked_into(tmp_path: Path) -> None:
    """A blob without a commit, compressed as Git does."""
    seeker = Seeker()
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "r.git")], check=True)
    assert not seeker.in_repository(tmp_path / "r.git")
    argv = ["git", f"--git-dir={tmp_path / 'r.git'}", "hash-object", "-w", "--stdin"]
    subprocess.run(argv, input=seeker.plant("pat").encode(), check=True, capture_output=True)
    assert seeker.in_repository(tmp_path / "r.git") == {Found("objects of r.git", "pat")}
    assert not seeker.in_files(tmp_path)


def test_processes_are_looked_at() -> None:
    """Arguments and environment; whose it is, by its mark."""
    seeker = Seeker()
    one, two = seeker.plant("one"), seeker.plant("two")
    program = "import sys; sys.stdin.read()"
    env = os.environ | {"TOKEN": two, "MARKED": "/here/it.is"}
    with Watch(seeker, "MARKED") as watch:
        argv = [sys.executable, "-c", program, one]
        with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE) as process:
            looks = watch.looks
            while watch.looks < looks + 3:
                pass
            process.communicate()
    assert Found("environment of /here/it.is", "two") in watch.found
    assert [each.canary for each in watch.found if each.place.startswith("arguments of")] == ["one"]


def test_only_what_is_allowed_is_expected() -> None:
    """The place, the canary and the rights must fit; a rule that nothing needs is told."""
    rules = {
        "file": Allowed(r"secrets/\w+", "pat|key", "it needs it", 0o600),
        "argv": Allowed("arguments of .*", ".*", "never"),
    }
    good = Found("secrets/a", "pat", 0o400, 0)
    bad = [Found("secrets/a", "pat", 0o644, 0), Found("secrets/a/b", "pat", 0o600, 0), Found("secrets/a", "x", 0o600)]
    assert unexpected([good, *bad], rules.values()) == sorted(map(str, bad))
    assert never_met([good], rules) == ["argv"]
