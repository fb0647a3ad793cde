"""Reading what was pushed: within limits of time and memory, which a hostile lab meets and an ordinary one does not."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from blumeops.forge.history import MOST_SAID
from blumeops.forge.repository import Repository
from blumeops.lab.load import load
from blumeops.loop import probe
from blumeops.loop.revision import read_revision

LAB = "lab: x\nhosts: {b: {os: linux, role: compute}}\n"
APP = """\
app: t
version: "1"
sources: [{path: sleep}]
command: [sleep, "1"]
state: none
options: {o: {type: string, default: x}}
files: {c: {path: /c.txt, template: c}}
"""
LABS = Path(__file__).parents[3] / "labs"


def services(count: int, option: str = "x") -> str:
    """So many services of the app."""
    return "".join(f"s{number}: {{host: b, app: t, options: {{o: {option}}}}}\n" for number in range(count))


def committed(repository: Repository, files: dict[str, str]) -> str:
    """A lab of these files, on main."""
    return repository.commit_files({path: text.encode() for path, text in files.items()}, "x", repository.head())


@pytest.fixture
def repository(state: Path) -> Repository:
    """An empty one."""
    return Repository.create_or_open(state / "forge" / "x.git", state / "s")


HOSTILE = {
    "a large template in many services": (services(2000), "x" * 60_000, "becomes more than 64 MiB"),
    "a long option looked up often": (services(400, "y" * 300), "{{ options.o }}\n" * 4000, "to be read"),
    "beyond all memory": (services(2000, "y" * 60), "{{ options.o }}\n" * 15_000, "to be read"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_small_push_that_becomes_large_is_refused(repository: Repository, state: Path, case: str) -> None:
    """A few kilobytes that unfold into gigabytes: refused in seconds, by a process that stays below its ceiling, while
    this one does not grow."""
    description, template, words = HOSTILE[case]
    files = {"lab.yaml": LAB, "apps/t/app.yaml": APP, "apps/t/c": template, "services/s.yaml": description}
    name = committed(repository, files)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    revision = read_revision(repository, state / "work", name)
    assert [finding.code for finding in revision.findings] == ["BLU630"]
    assert words in revision.findings[0].message
    assert revision.checked is None
    assert time.monotonic() - started < 35
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 << 10, "KiB more here"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 800 << 10


def test_trailers_are_read_no_further_than_a_person_writes(repository: Repository) -> None:
    """Commits whose messages are small in a pack and large in memory; what the newest one says counts all the same."""
    old = committed(repository, {"a": "0"})
    for number in range(3):
        said = "x\n\n" + f"Exposure: {'a' * 1000}\n" * 8000 if number < 2 else "x\n\nExposure: web\n"
        repository.commit_files({"a": f"{number + 1}".encode()}, said, repository.head())
    found = repository.trailers("Exposure", old, repository.resolve("main"))
    assert found[0] == "web"
    assert sum(map(len, found)) <= MOST_SAID
    assert {*found[1:]} == {"a" * 1000}


def test_what_takes_too_long_is_ended(repository: Repository, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does not come back is ended, and the push refused."""
    monkeypatch.setattr(probe, "WALL_SECONDS", -4.9)
    name = committed(repository, {"lab.yaml": LAB + "#" * (300 << 10)})
    assert "to be read" in read_revision(repository, state / "work", name).findings[0].message


def test_a_large_lab_is_told_all_its_mistakes(repository: Repository, state: Path) -> None:
    """The other process' findings are those of this one, place by place; a large lab without mistakes is read whole."""
    files = {"lab.yaml": LAB, "apps/t/app.yaml": APP, "apps/t/c": "x", "services/s.yaml": services(6000)}
    files["services/t.yaml"] = "bad: {host: nowhere, app: t}\nworse: {hosts: b}\n"
    refused = read_revision(repository, state / "work", committed(repository, files))
    assert {each.code for each in refused.findings} >= {"BLU110", "BLU101"}
    assert {each.place.file for each in refused.findings} == {"services/t.yaml"}
    whole = read_revision(repository, state / "work", committed(repository, files | {"services/t.yaml": ""}))
    assert len(whole.units) == 6000


@pytest.mark.parametrize("lab", ["first", "blumeops"])
def test_an_ordinary_lab_is_read_at_once(lab: str) -> None:
    """The labs of the project cost no process more."""
    assert not probe.is_large(LABS / lab)
    assert probe.weight(load(LABS / lab), LABS / lab) < probe.HEAVY / 4
