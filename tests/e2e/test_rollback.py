"""A lab that `init` made comes up with nothing left to generate; and `rollback` brings back what worked. In order."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import BLUMEOPS, Clone, Site
from tests.ports import free_port

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    """A lab made by `init`, with ports that are free; not yet up."""
    folder, state = place / "lab", place / "state"
    subprocess.run(
        [BLUMEOPS, "init", folder, "--name", "first", "--state", state], check=True, capture_output=True, cwd=place
    )
    made = Site(folder, state, free_port(), free_port(), dns=free_port())
    ports = f"https: {made.https}, forge: {made.forge}, dns: {made.dns}"
    Clone(folder).change("https: 8443, forge: 8480", ports, "Ports", "lab.yaml")
    yield made
    made.run("down", code=None)


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Clone:
    """A clone that every test pushes from, one after another."""
    return site.clone(place / "clone")


def head(clone: Clone) -> str:
    """The revision of main at the forge."""
    return clone.git("ls-remote", "origin", "refs/heads/main").split()[0]


def polling(site: Site) -> str:
    """How often Miniflux polls: from the environment of the process itself."""
    return site.process("miniflux").environ()["POLLING_FREQUENCY"]


def test_a_new_lab_comes_up_with_the_secrets_that_init_made(site: Site) -> None:
    """Nothing is generated, main is the very commit of the folder, and the key is the one that `init` told."""
    done = site.run("up")
    assert "generating" not in done.stderr
    assert "git pull" not in done.stderr
    assert "is not the same" not in done.stderr
    assert f"keep       {site.state}/age.key" in done.stdout
    assert site.json("status")["revision"] == Clone(site.folder).git("rev-parse", "HEAD").strip()
    password = site.run("op", "read", "op://first/miniflux/admin-password").stdout.strip()
    assert json.loads(site.curl("/v1/me", "--user", f"admin:{password}").stdout)["username"] == "admin"


def test_there_is_nothing_to_go_back_to_at_first(site: Site) -> None:
    """The only revision that was applied is the present one; one that nobody knows is told as such."""
    assert "BLU760" in site.run("rollback", code=1).stderr
    assert "BLU601" in site.run("rollback", "nonsense", code=1).stderr
    assert "BLU762" in site.run("rollback", "main", code=1).stderr


def test_a_rollback_is_a_new_commit_with_the_files_of_before(site: Site, clone: Clone) -> None:
    """It says what changes and what does not, is followed to its end, and loses nothing of the history."""
    before = head(clone)
    clone.change("polling: 60m", "polling: 45m", "Poll less")
    clone.push()
    pushed = head(clone)
    assert polling(site) == "45"
    done = site.run("rollback")
    assert polling(site) == "60"
    told = done.stderr.splitlines()
    assert told[0] == f"back to {before[:8]}"
    assert "  miniflux: restart: POLLING_FREQUENCY: 45 → 60" in told
    assert "note: only versions and configuration go back; what miniflux stored stays as it is" in told
    clone.git("pull", "-q", "--ff-only")
    assert clone.git("rev-parse", "HEAD").strip() == site.json("status")["revision"] != before
    assert clone.git("rev-parse", "HEAD~1").strip() == pushed
    assert clone.git("diff", "--stat", before, "HEAD") == ""
    assert clone.git("log", "-1", "--format=%s").startswith(f"Roll back to {before[:8]}: ")
    assert site.serves()


def test_a_second_rollback_goes_there_again(site: Site, clone: Clone) -> None:
    """The last applied revision that differs is the one that was left; with JSON the status is the result."""
    status = site.json("rollback")
    assert (status["settled"], polling(site)) == (True, "45")
    clone.git("pull", "-q", "--ff-only")


def test_a_broken_push_is_taken_back_by_a_rollback(site: Site, clone: Clone) -> None:
    """What is on main and could not be applied is left; the last one that could is wanted again."""
    good = head(clone)
    clone.change("  database: postgresql", "  env: {LISTEN_ADDR: nonsense}\n  database: postgresql", "Break it")
    assert "rolled back" in clone.push()
    broken = head(clone)
    assert site.json("status", code=1)["settled"] is False
    assert "BLU761" in site.run("rollback", broken[:10], code=1).stderr
    site.run("rollback")
    assert site.json("status")["settled"] is True
    assert site.json("status")["problem"] == ""
    clone.git("pull", "-q", "--ff-only")
    assert clone.git("diff", "--stat", good, "HEAD") == ""


def test_secrets_do_not_go_back(site: Site, clone: Clone) -> None:
    """A value that was changed stays; one that only the old revision's file has comes from there, by its old value."""
    environment = {**os.environ, "SOPS_AGE_KEY_FILE": str(site.state / "age.key")}

    def sops(*words: str, stdin: str = "") -> None:
        argv = [str(BLUMEOPS.with_name("sops")), *words]
        subprocess.run(argv, cwd=clone.path, env=environment, input=stdin, text=True, check=True)

    services = clone.path / "services/services.yaml"
    before = services.read_text()
    old = head(clone)
    password = site.run("op", "read", "op://first/miniflux/admin-password").stdout
    services.write_text(before[: before.index("miniflux:")])
    clone.git("commit", "-qam", "Without Miniflux")
    assert "miniflux" in clone.push()
    sops("unset", "secrets.sops.yaml", '["first"]["miniflux"]["admin-password"]')
    sops(
        "set", "--value-stdin", "secrets.sops.yaml", '["first"]["miniflux"]["database-password"]', stdin='"Another0One"'
    )
    clone.git("commit", "-qam", "Other secrets")
    clone.push()
    done = site.run("rollback", old)
    assert "what miniflux stored stays" in done.stderr
    assert site.serves()
    assert site.run("op", "read", "op://first/miniflux/database-password").stdout == "Another0One\n"
    assert site.run("op", "read", "op://first/miniflux/admin-password").stdout == password
    assert "generating" not in done.stderr
    clone.git("pull", "-q", "--ff-only")


def test_a_revision_that_does_not_pass_the_checks_is_refused(site: Site, clone: Clone) -> None:
    """It may have passed those of an older BlumeOps. The findings are told; main and all that runs stay."""
    before = head(clone)
    clone.git("switch", "-qc", "try")
    clone.change("database: postgresql", "database: nowhere", "Nonsense")
    clone.git("push", "-q", "origin", "try")
    bad = clone.git("rev-parse", "HEAD").strip()
    clone.git("switch", "-q", "main")
    with sqlite3.connect(site.state / "status.db") as database:
        columns = "revision, started, ended, outcome, message, changes"
        database.execute(f"INSERT INTO run ({columns}) VALUES (?, 1, 2, 'applied', '', '[]')", [bad])
    database.close()
    done = site.run("rollback", bad, code=1)
    assert "BLU113 miniflux: there is no service `nowhere`" in done.stderr
    assert "refused: 1 error; what runs is untouched" in done.stderr
    assert head(clone) == before
    assert site.serves()


def test_plan_names_a_secret_that_was_changed_by_hand(site: Site, clone: Clone) -> None:
    """By its reference, never its value; without the key the rest of the plan is told, and that this is not known."""
    environment = {**os.environ, "SOPS_AGE_KEY_FILE": str(site.state / "age.key")}
    argv = [str(BLUMEOPS.with_name("sops")), "set", "--value-stdin", "secrets.sops.yaml"]
    argv.append('["first"]["miniflux"]["database-password"]')
    here = Site(clone.path, site.state, site.https, site.forge)
    assert here.run("plan").stdout == "nothing changes\n"
    subprocess.run(argv, cwd=clone.path, env=environment, input='"Canary0Word"', text=True, check=True)
    told = here.run("plan", "--exit-code", code=3).stdout
    assert told.startswith(
        "miniflux: restart: secrets changed\n  a new value of op://first/miniflux/database-password\n"
    )
    assert "Canary" not in told
    assert "- `a new value of op://first/miniflux/database-password`" in here.run("plan", "--markdown").stdout
    lost = here.run("plan", "--age-key", str(clone.path / "nothing"))
    assert lost.stdout == "nothing changes\n"
    assert "note: whether secrets have new values is not known: BLU502" in lost.stderr
    clone.git("checkout", "-q", "--", ".")


def test_logs_are_followed_over_an_update(site: Site, clone: Clone) -> None:
    """The new instance writes another file; its lines come without a word, and none of an older run of that file."""
    argv = [str(BLUMEOPS), "logs", "miniflux", "-f", "-n", "1", "--lab", str(site.folder), "--state", str(site.state)]
    lines: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout
            following.stdout.readline()  # it follows from here on
            clone.change("polling: 45m", "polling: 50m", "Poll less")
            clone.push()
            while not any("server" in line and "listen" in line for line in lines):
                lines.append(following.stdout.readline())
        finally:
            following.terminate()
    assert sum("server" in line and "listen" in line for line in lines) == 1


def test_logs_since_a_time_of_several_services(site: Site) -> None:
    """Each line has its service and its time; what is older is left out; a service that is not is told as such."""
    told = [
        json.loads(line)
        for line in site.run("logs", "miniflux", "postgresql", "--since", "1h", "--json").stdout.split("\n")
        if line
    ]
    assert {line["service"] for line in told} == {"miniflux", "postgresql"}
    times = [line["time"] for line in told if line["time"]]
    assert times == sorted(times)
    assert len(times) >= 5
    newest = site.run("logs", "miniflux", "postgresql", "--since", times[-1]).stdout.splitlines()
    assert 1 <= len(newest) < len(told)
    assert site.run("logs", "miniflux", "--since", "2999-01-01").stdout == ""
    assert "did you mean miniflux?" in site.run("logs", "minifux", code=1).stderr
    assert "BLU708" in site.run("logs", "../forge-token", code=1).stderr


def test_without_a_controller_there_is_no_rollback(site: Site, clone: Clone) -> None:
    """Main stays where it is; the command says what to do."""
    before = head(clone)
    site.run("down")
    done = site.run("rollback", code=4)
    assert "BLU794 controller: does not run; start it with `blumeops up`" in done.stderr
    repository = ["git", f"--git-dir={site.state}/forge/first.git", "rev-parse", "main"]
    assert subprocess.run(repository, capture_output=True, text=True).stdout.strip() == before
