"""How a site begins: two at once, a folder that is no lab, one without Git, without a commit, or with changes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.site import BLUMEOPS, GIT, Site, running_below
from tests.e2e.small import SERVICES, make_small_site, started, web

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def site(place: Path) -> Iterator[Site]:
    """The smallest lab, of one service; in a folder without Git, not up. Nothing of it is left at the end."""
    made = make_small_site(place)
    yield made
    made.run("down", code=None)
    assert running_below(made.state) == []
    shutil.rmtree(made.folder)
    shutil.rmtree(made.state)


def git(site: Site, *arguments: str) -> None:
    """Git in the lab's folder."""
    subprocess.run([*GIT, "-C", str(site.folder), *arguments], check=True, capture_output=True)


def change(site: Site, old: str, new: str) -> None:
    """Change the services' file, which must say `old`."""
    text = (site.folder / SERVICES).read_text()
    assert old in text
    (site.folder / SERVICES).write_text(text.replace(old, new))


def at_once(site: Site, *commands: str) -> list[tuple[int, str]]:
    """Start commands at the same time; the exit code and the words of each."""
    argv = [[str(BLUMEOPS), command, "--lab", str(site.folder), "--state", str(site.state)] for command in commands]
    running = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for each in argv]
    return [(each.wait(100), text) for each in running for text in [each.communicate()[0]]]


def test_what_needs_nothing_of_each_other_starts_at_the_same_time(site: Site) -> None:
    """Two services that take more than a second each: together they take hardly longer than one."""
    server = site.folder / "apps" / "web" / "server.py"
    server.write_text(server.read_text().replace("port, word,", "time.sleep(1)\nport, word,", 1))
    with (site.folder / SERVICES).open("a") as file:
        file.write("other: {app: web, host: server, ports: {http: 8001}}\n")
    site.run("up")
    run = next(run for run in site.json("history")["history"] if run["steps"])
    steps = {step["unit"]: step["seconds"] for step in run["steps"]}
    assert steps.keys() == {"web", "other"}
    assert min(steps.values()) >= 1
    took = datetime.fromisoformat(run["ended"]) - datetime.fromisoformat(run["started"])
    assert took.total_seconds() < sum(steps.values()) - 0.6, (took, steps)


def test_several_at_once_make_one_site(site: Site) -> None:
    """One brings it up; each other follows it, or says in one line that it is on its way; nothing is there twice."""
    for _ in range(3):
        ended = at_once(site, *["up"] * 4)
        codes = [code for code, _ in ended]
        assert 0 in codes, ended
        for code, said in ended:
            assert code == 0 or re.fullmatch(r"blumeops: BLU792 .*: another up or down is at work; .*\n", said), said
        assert started(site) == {"manager": 1, "controller": 1, "web": 1}
        history = site.json("history")["history"]
        assert len([run for run in history if run["changes"]]) == 1, history
        site.run("down")
        assert running_below(site.state) == []
        for path in site.state.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_up_again_and_down_beside_each_other(site: Site) -> None:
    """`up` of what is up follows; with `down` at the same time one of them is first, and the site is whole or gone."""
    site.run("up")
    pid = [word for word in running_below(site.state) if "server.py" in word]
    assert [code for code, _ in at_once(site, "up")] == [0]
    assert [word for word in running_below(site.state) if "server.py" in word] == pid
    for code, said in at_once(site, "up", "down"):
        assert "Traceback" not in said
        assert code == 0 or "BLU792" in said or "BLU79" in said, said
    there = started(site)
    assert there in ({"manager": 1, "controller": 1, "web": 1}, {"manager": 0, "controller": 0, "web": 0}), there


def test_a_folder_that_is_no_lab(site: Site, place: Path) -> None:
    """One line, and no state is made."""
    nothing = place / "nothing"
    nothing.mkdir()
    argv = [str(BLUMEOPS), "up", "--state", str(place / "new")]
    done = subprocess.run(argv, cwd=nothing, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("blumeops: BLU005 ")
    assert not (place / "new").exists()
    nothing.rmdir()


def test_in_the_labs_folder_state_alone_is_enough(site: Site) -> None:
    """The second time as the first: the folder that we are in is the lab that the state is of."""
    for _ in range(2):
        argv = [str(BLUMEOPS), "up", "--state", str(site.state)]
        done = subprocess.run(argv, cwd=site.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_plain_folder(site: Site) -> None:
    """Without Git the forge begins with the files as they are; a change of them is told, not applied in silence."""
    assert "is not the same" not in site.run("up").stderr
    change(site, "w0", "w1")
    assert f"{site.folder} is not the same: push to change it" in site.run("up").stderr
    assert web(site)[1] == "w0"


def test_a_repository_without_a_commit(site: Site) -> None:
    """`git init` and no more: its files are what the forge begins with."""
    git(site, "init", "-q", "-b", "main")
    assert "the forge begins with" in site.run("up").stderr
    assert web(site)[1] == "w0"


def added(site: Site) -> None:
    """A file that Git does not know yet."""
    (site.folder / "services" / "more.yaml").write_text("web2: {host: server, app: web, ports: {http: 8001}}\n")


@pytest.mark.parametrize("edit", [lambda site: change(site, "w0", "w1"), added], ids=["changed", "untracked"])
def test_changes_that_are_not_committed(site: Site, edit: Callable[[Site], None]) -> None:
    """What is committed runs, and that the folder is not the same is said at the very first `up`."""
    git(site, "init", "-q", "-b", "main")
    git(site, "add", "--all")
    git(site, "commit", "-q", "-m", "first")
    edit(site)
    said = site.run("up").stderr
    assert f"{site.folder} is not the same: commit what you changed, and push" in said
    assert web(site)[1] == "w0"
    assert list(site.units()) == ["web"]


def test_a_last_commit_that_does_not_pass(site: Site) -> None:
    """The files pass, what is committed does not: the forge does not begin with that, and it is said what to do."""
    git(site, "init", "-q", "-b", "main")
    change(site, "host: server", "host: nowhere")
    git(site, "add", "--all")
    git(site, "commit", "-q", "-m", "broken")
    change(site, "host: nowhere", "host: server")
    said = site.run("up", code=1).stderr
    assert "BLU110 web: there is no host `nowhere`" in said
    assert "BLU606 " in said
    assert "commit what you changed" in said
    assert running_below(site.state) == []
    git(site, "commit", "-qam", "mended")
    site.run("up")
    assert web(site)[1] == "w0"
