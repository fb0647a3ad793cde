"""The rendered tasks that download a release, run by Ansible here: verified, unpacked once, first on PATH."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.checks.check import check_folder
from blumeops.engines.local.programs import release
from blumeops.render.ansible import render
from tests.engines.local.release_server import Publisher, publishing
from tests.engines.local.test_releases import packed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TOOL = b"#!/bin/sh\necho tool\n"
APP = """\
app: tool
version: "1.4"
sources:
  - release: "{url}"
    sha256: {{{platform}: {sha256}}}
    {more}
command: [tool]
health: {{http: /}}
ports: {{http: 8000}}
state: none
"""
OURS = (
    "See that there is a download",
    "Make the folder of the program",
    "Download",
    "Unpack",
    "Let it be run",
    "Call it",
)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A server with one release, as a tar and as the program itself."""
    with publishing() as made:
        made.files |= {"/tool.tar.gz": packed(("tool-1.4/tool-of-here", TOOL)), "/tool": TOOL}
        yield made


def play(folder: Path, publisher: Publisher, path: str, more: str = "", content: bytes = b"") -> dict[str, Any]:
    """Render a lab with that release, and run the tasks of it that download, with a folder of ours for /opt."""
    lab, out = folder / "lab", folder / "out"
    for each in (lab, out):
        shutil.rmtree(each, ignore_errors=True)
    (lab / "apps/tool").mkdir(parents=True)
    (lab / "services").mkdir()
    (lab / "lab.yaml").write_text("lab: small\nhosts: {server: {os: linux, role: compute}}\n")
    (lab / "services/services.yaml").write_text("tool: {host: server}\n")
    digest = hashlib.sha256(content or publisher.files[path]).hexdigest()
    text = APP.format(url=publisher.url(path), platform=release.platform(), sha256=digest, more=more)
    (lab / "apps/tool/app.yaml").write_text(text)
    checked = check_folder(lab)
    assert checked.passed, checked.findings
    render(checked.passed).write(out)
    role = out / "ansible/roles/tool"
    variables = (role / "vars/linux.yml").read_text().replace("/opt/tool/", f"{folder}/opt/")
    tasks = [task for task in yaml.safe_load((role / "tasks/linux.yml").read_text()) if task["name"].startswith(OURS)]
    for task in tasks:
        task.pop("notify", None)
    found = {"name": "Run it", "ansible.builtin.command": "tool", "environment": {"PATH": "{{ tool_path }}"},
             "register": "ran", "changed_when": False}  # fmt: skip
    book = [{"hosts": "localhost", "connection": "local", "vars": yaml.safe_load(variables), "tasks": [*tasks, found]}]
    (folder / "book.yml").write_text(json.dumps(book))
    env = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
    program = Path(sys.executable).with_name("ansible-playbook")
    argv = [str(program), "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", "book.yml"]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return {"code": done.returncode, "words": done.stdout + done.stderr, "changed": "changed=0 " not in done.stdout}


def test_an_archive_is_unpacked_once(publisher: Publisher, state: Path) -> None:
    """And linked by the name that the command calls; the second run asks for nothing and changes nothing."""
    more = 'bin: "tool-{{ version }}"\n    program: tool-of-here'
    first = play(state, publisher, "/tool.tar.gz", more)
    assert (first["code"], first["changed"]) == (0, True), first["words"]
    asked = len(publisher.asked)
    second = play(state, publisher, "/tool.tar.gz", more)
    assert (second["code"], second["changed"]) == (0, False), second["words"]
    assert len(publisher.asked) == asked


@pytest.mark.skipif(not shutil.which("unzip"), reason="no unzip on this machine")
def test_a_zip_is_unpacked_too(publisher: Publisher, state: Path) -> None:
    """With a program that it does not mark as one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tool-of-here", TOOL)
    publisher.files["/tool.zip"] = file.getvalue()
    done = play(state, publisher, "/tool.zip", "program: tool-of-here")
    assert (done["code"], done["changed"]) == (0, True), done["words"]


def test_a_bare_program_is_put_in_its_place(publisher: Publisher, state: Path) -> None:
    """And a new one, whose SHA-256 is another, in a place of its own."""
    assert play(state, publisher, "/tool")["code"] == 0
    publisher.files["/tool"] = b"#!/bin/sh\necho another\n"
    done = play(state, publisher, "/tool")
    assert (done["code"], done["changed"]) == (0, True), done["words"]
    assert len(list((state / "opt").iterdir())) == 2


def test_another_file_is_not_taken(publisher: Publisher, state: Path) -> None:
    """The run ends before anything is unpacked."""
    done = play(state, publisher, "/tool", content=b"something else")
    assert done["code"] != 0
    assert "did not match" in done["words"]
    assert not list(state.rglob("opt/*/tool"))
