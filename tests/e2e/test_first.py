"""labs/first from nothing: up, a change, mistakes, a broken update, a killed controller, down. In this order."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from blumeops.app import live_here
from blumeops.base.findings import Finding
from blumeops.base.site import SiteFolder
from blumeops.checks.check import check_folder
from tests.e2e.site import BLUMEOPS, Clone, Site, running_below

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Clone:
    """A clone that every test pushes from, one after another."""
    return site.clone(place / "clone")


def eventually(true: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it gets true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(AssertionError, psutil.Error):  # a process that is between two lives
            if true():
                return True
        time.sleep(0.05)
    return False


def asked_live(site: Site, folder: Path) -> list[Finding]:
    """What `check --live` says of what runs; registries, which it asks as well, are elsewhere."""
    checked = check_folder(folder).passed
    assert checked is not None
    return list(live_here.findings(checked, SiteFolder(site.state)))


def test_up_ends_with_a_table_of_what_runs_where(site: Site) -> None:
    """`up` in an empty home exits with 0 and names each service, its state and its address."""
    done = site.run("up")
    for word in ("caddy", "postgresql", "miniflux", "healthy", f"https://feed.ops.localhost:{site.https}", "settled"):
        assert word in done.stdout
    assert "git clone" in done.stdout


def test_curl_shows_miniflux(site: Site) -> None:
    """The name is served through Caddy with a certificate of the site's own root."""
    assert "Miniflux" in site.curl("/").stdout
    assert site.serves()


def test_the_generated_password_opens_miniflux(site: Site) -> None:
    """`op read` gives the password that was generated, and Miniflux takes it."""
    password = site.run("op", "read", "op://first/miniflux/admin-password").stdout.strip()
    me = json.loads(site.curl("/v1/me", "--user", f"admin:{password}").stdout)
    assert me["username"] == "admin"


def test_status_as_json(site: Site) -> None:
    """The object has the fields that are promised, and the site has settled."""
    status = site.json("status")
    assert status["version"] == 1
    assert status["site"] == "here"
    assert status["settled"] is True
    assert status["revision"] == status["wanted_revision"]
    wanted = {"id", "kind", "place", "state", "health", "reason", "revision", "since", "url"}
    assert all(set(unit) >= wanted for unit in status["units"])
    assert {unit["state"] for unit in status["units"]} == {"running"}
    assert {unit["id"]: unit["exposed_to"] for unit in status["units"]}["miniflux"] == ["machines"]
    assert "EXPOSED AT HOME TO" in site.run("status").stdout


def test_a_second_up_changes_nothing(site: Site) -> None:
    """`up` on a lab that is up keeps every process."""
    before = site.process("miniflux").pid
    site.run("up")
    assert site.process("miniflux").pid == before


def test_plan_shows_what_a_change_would_do(site: Site, clone: Clone) -> None:
    """Before the push, `plan` says the change in words and as a diff, and exits with 3 when asked to."""
    (clone.path / "services/services.yaml").write_text(
        (clone.path / "services/services.yaml").read_text().replace("polling: 60m", "polling: 45m")
    )
    here = Site(clone.path, site.state, site.https, site.forge)
    plan = here.json("plan", "--exit-code", code=3)
    assert [change["unit"] for change in plan["changes"]] == ["miniflux"]
    assert "POLLING_FREQUENCY: 60 → 45" in plan["changes"][0]["effects"]
    assert "-env POLLING_FREQUENCY: 60" in plan["changes"][0]["diff"]
    (note,) = asked_live(site, clone.path)
    assert (note.severity, note.subject, note.code) == ("note", "miniflux", "BLU138")
    assert note.place.file == "services/services.yaml"
    clone.git("checkout", "-q", "--", ".")
    assert asked_live(site, clone.path) == []


def test_a_push_changes_what_runs(site: Site, clone: Clone) -> None:
    """The push prints the plan and the result, and the change is in the running program's environment."""
    clone.change("polling: 60m", "polling: 30m", "Poll twice an hour")
    printed = clone.push()
    assert "POLLING_FREQUENCY: 60 → 30" in printed
    assert "remote: applied" in printed
    assert site.process("miniflux").environ()["POLLING_FREQUENCY"] == "30"
    assert site.serves()
    newest = site.json("history")["history"][0]
    assert newest["outcome"] == "applied"
    assert newest["revision"] == clone.git("rev-parse", "HEAD").strip()
    assert [step["unit"] for step in newest["steps"]] == ["miniflux"]


def test_a_push_says_who_can_now_reach_what(site: Site, clone: Clone) -> None:
    """And who no longer can, when it is taken back."""
    you = "  you: {login: you@example.org, role: admin}\n"
    clone.change(you, f"{you}  household: {{login: household@example.org}}\n", "one more person", file="lab.yaml")
    clone.change("  name: feed", "  allow: [members]\n  name: feed", "members read feeds")
    assert "access: household can now reach miniflux on 443" in clone.push()
    clone.git("revert", "--no-edit", "HEAD")
    assert "access: household can no longer reach miniflux on 443" in clone.push()
    clone.git("revert", "--no-edit", "HEAD~2")
    clone.push()


def test_a_push_that_opens_something_is_refused_where_the_lab_asks_for_consent(site: Site, clone: Clone) -> None:
    """The finding says the line to write; with it in a commit the push lands and is applied."""
    you = "  you: {login: you@example.org, role: admin}\n"
    asking = f"{you}  household: {{login: household@example.org}}\ngitops: {{exposure: refuse}}\n"
    clone.change(you, asking, "consent is asked for", file="lab.yaml")
    clone.push()
    before = site.head()
    clone.change("  name: feed", "  allow: [members]\n  name: feed", "members read feeds")
    said = clone.push(code=1)
    assert "access: household can now reach miniflux on 443" in said
    assert "BLU641 exposure: somebody can now reach miniflux" in said
    assert site.head() == before
    clone.git("commit", "-q", "--amend", "-m", "Members read feeds\n\nExposure: miniflux")
    assert "remote: applied" in clone.push()
    clone.git("revert", "--no-edit", "HEAD")
    clone.push()
    clone.change(asking, you, "consent is not asked for", file="lab.yaml")
    assert "`Exposure: gitops`" in clone.push(code=1)
    clone.git("commit", "-q", "--amend", "-m", "No more asking\n\nExposure: gitops")
    clone.push()


def test_a_push_with_three_mistakes_is_refused_with_three_findings(site: Site, clone: Clone) -> None:
    """All mistakes are told at once, each at its line; main stays and the lab runs on."""
    before = clone.git("rev-parse", "origin/main").strip()
    text = (clone.path / "services/services.yaml").read_text()
    text = text.replace("  database: postgresql", "  database: postgres").replace("polling: 30m", "poling: 30m")
    (clone.path / "services/services.yaml").write_text(text + "grafana: {cluster: nowhere}\n")
    clone.git("commit", "-qam", "Three mistakes")
    printed = clone.push(code=1)
    lines = {number for number, line in enumerate(text.splitlines(), 1) if "postgres " in line or "poling" in line}
    for number in (*lines, len(text.splitlines()) + 1):
        assert f"services/services.yaml:{number}:" in printed
    assert "BLU113" in printed
    assert "BLU122" in printed
    assert "BLU111" in printed
    assert "refused: 3 errors" in printed
    assert clone.git("ls-remote", "origin", "refs/heads/main").split()[0] == before
    assert site.serves()
    clone.git("reset", "-q", "--hard", "origin/main")


def test_a_push_that_breaks_the_health_check_leaves_the_old_version(site: Site, clone: Clone) -> None:
    """An update that does not get healthy is taken back; a revert settles it."""
    clone.change("  database: postgresql", "  env: {LISTEN_ADDR: nonsense}\n  database: postgresql", "Break it")
    printed = clone.push()
    assert "rolled back" in printed
    assert "missing port in address" in printed
    assert site.serves()
    assert site.process("miniflux").environ()["LISTEN_ADDR"].startswith("127.0.0.1:")
    status = site.json("status", code=1)
    assert status["settled"] is False
    assert "miniflux" in status["problem"]
    clone.git("revert", "--no-edit", "HEAD")
    assert "applied" in clone.push()
    assert site.json("status")["settled"] is True


def test_a_link_in_place_of_the_secrets_is_refused(site: Site, clone: Clone) -> None:
    """What the controller would write through is no file: the push is refused, and everything runs on."""
    (clone.path / "secrets.sops.yaml").unlink()
    (clone.path / "secrets.sops.yaml").symlink_to("lab.yaml")
    clone.git("commit", "-qam", "A link")
    assert "secrets.sops.yaml:1:1: BLU504" in clone.push(code=1)
    clone.git("reset", "-q", "--hard", "origin/main")
    assert site.json("status")["settled"] is True


def test_secrets_that_are_in_use_may_not_vanish(site: Site, clone: Clone) -> None:
    """A push back to before they were made would lock every service out of what the old values made."""
    first = clone.git("rev-list", "--max-parents=0", "HEAD").strip()
    printed = clone.git("push", "--force", "origin", f"{first}:main", code=1)
    assert printed.count("BLU511") == 3
    assert "what runs is untouched" in printed
    assert site.serves()


def test_another_labs_name_is_refused(site: Site, clone: Clone) -> None:
    """State and data belong to one lab: a push cannot rename it."""
    clone.change("lab: first", "lab: second", "Another name", file="lab.yaml")
    assert "BLU640" in clone.push(code=1)
    clone.git("reset", "-q", "--hard", "origin/main")


def test_a_service_that_never_worked_can_be_deleted(site: Site, clone: Clone) -> None:
    """A new service that fails is told; once it is deleted, nothing of it is left and the site has settled."""
    file = clone.path / "services/services.yaml"
    before = file.read_text()
    file.write_text(
        before + "reader: {app: miniflux, cluster: cluster, database: postgresql, env: {LISTEN_ADDR: nowhere}}\n"
    )
    clone.git("commit", "-qam", "A service that cannot work")
    assert "reader: failed" in clone.push()
    assert site.units()["reader"]["state"] == "failed"
    (warned,) = (found for found in asked_live(site, clone.path) if found.severity == "warning")
    assert warned.subject == "reader"
    assert warned.message.startswith("is failed: ")
    clone.git("pull", "-q")  # its secrets were generated
    file.write_text(before)
    clone.git("commit", "-qam", "Without it")
    assert "applied" in clone.push()
    assert "reader" not in site.units()
    assert site.json("status")["settled"] is True


def test_what_a_deleted_service_kept_goes_only_when_one_says_so(site: Site) -> None:
    """Its database is told by `status`; `--prune-data` asks, takes a no, and drops it for good after a yes."""
    kept = {"id": "reader", "bytes": 0, "databases": ["postgresql"]}
    assert site.json("status")["kept"] == [kept]
    assert "kept of services that are gone: reader (a database)" in site.run("status").stderr
    assert "BLU797" in site.run("up", "--prune-data", code=1).stderr
    assert _answered(site, "no") == "nothing was deleted"
    assert site.json("status")["kept"] == [kept]
    assert _answered(site, "y") == "reader: deleted"
    assert "kept" not in site.json("status")
    assert "nothing is kept" in site.run("up", "--prune-data", "--yes").stderr
    assert site.serves()


def test_a_new_database_password_restarts_its_service_alone(site: Site, clone: Clone) -> None:
    """A value that is changed with the real `sops` reaches the database and the service; nothing else restarts."""
    before = {name: site.process(name).pid for name in ("miniflux", "caddy", "postgres")}
    environment = {**os.environ, "SOPS_AGE_KEY_FILE": str(site.state / "age.key")}
    index = '["first"]["miniflux"]["database-password"]'
    sops = [str(BLUMEOPS.with_name("sops")), "set", "--value-stdin", "secrets.sops.yaml", index]
    subprocess.run(sops, cwd=clone.path, env=environment, input='"Another0Password1Than2Before"', text=True, check=True)
    clone.git("commit", "-qam", "A new password")
    printed = clone.push()
    assert "miniflux: restart: a new value of op://first/miniflux/database-password" in printed
    assert "applied" in printed
    assert site.serves()
    after = {name: site.process(name).pid for name in before}
    assert {name for name in before if before[name] != after[name]} == {"miniflux"}
    assert "Another0Password1Than2Before" not in printed


def test_a_killed_controller_changes_nothing_for_the_services(site: Site, clone: Clone) -> None:
    """SIGKILL of the controller: services serve on, it comes back by itself, and pushes work again."""
    pids = {name: site.process(name).pid for name in ("miniflux", "caddy", "postgres")}
    killed = site.controller()
    assert killed is not None
    killed.kill()
    assert site.serves()
    site.run("sync")  # a command waits for the next one
    assert site.controller() not in (None, killed)
    clone.change("polling: 30m", "polling: 20m", "Poll three times an hour")
    assert "applied" in clone.push()
    assert site.process("miniflux").environ()["POLLING_FREQUENCY"] == "20"
    assert {name: site.process(name).pid for name in ("caddy", "postgres")} == {
        name: pid for name, pid in pids.items() if name != "miniflux"
    }


def test_a_killed_service_comes_back(site: Site) -> None:
    """SIGKILL of a service: it is started again, without anybody's help."""
    old = site.process("miniflux")
    old.kill()
    assert eventually(lambda: site.serves() and site.process("miniflux").pid != old.pid)


def test_status_waits_until_all_is_well(site: Site) -> None:
    """A database that hangs: `--wait` ends with the time that it was given, or as soon as it answers again."""
    postgres = site.process("postgres")
    postgres.suspend()
    try:
        assert eventually(lambda: not site.json("status", code=None)["settled"], seconds=30)
        hung = site.run("status", "--wait", "--timeout", "1s", code=1)
        assert "waits for " in hung.stderr
        assert hung.stderr.endswith("not settled within 1 s\n")
        waiting = subprocess.Popen([BLUMEOPS, "status", "--wait", "--lab", site.folder, "--state", site.state],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("waits for ")
    finally:
        postgres.resume()
    printed, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "3 of 3 healthy" in printed


def test_a_killed_process_manager_comes_back_with_everything(site: Site, clone: Clone) -> None:
    """SIGKILL of the manager itself: what it left is ended, all is started again, nothing runs twice."""
    before = site.process("miniflux").pid
    site.manager().kill()
    assert eventually(lambda: _answers(site) and site.serves() and site.process("miniflux").pid != before, seconds=60)
    for name in ("miniflux", "caddy", "postgres"):
        site.process(name)  # exactly one
    clone.git("pull", "-q")
    clone.change("polling: 20m", "polling: 10m", "Poll six times an hour")
    assert "applied" in clone.push()


def test_a_file_changed_by_hand_is_put_back(site: Site) -> None:
    """Drift is seen within 30 s and mended."""
    (file,) = (site.state / "units/caddy").glob("*/config/Caddyfile")
    before = file.read_text()
    file.write_text(before + "# by hand\n")
    assert eventually(lambda: file.read_text() == before, seconds=30)


def test_a_file_changed_by_hand_is_left_where_the_lab_says_so(site: Site, clone: Clone) -> None:
    """`heal: false`: status and history tell it; another unit's push leaves it; `sync` puts it back."""
    clone.git("pull", "-q")
    clone.change("{host: server}", "{host: server, heal: false}", "Try something out")
    assert "applied" in clone.push()
    (file,) = (site.state / "units/caddy").glob("*/config/Caddyfile")
    before = file.read_text()
    file.write_text(before + "# by hand\n")
    assert eventually(lambda: "by hand" in site.units()["caddy"]["reason"], seconds=30)
    clone.change("polling: 10m", "polling: 12m", "Poll five times an hour")
    assert "left so" in clone.push()
    assert file.read_text() == before + "# by hand\n"
    assert eventually(lambda: any("+# by hand" in run["changes"] for run in _drifted(site)), seconds=30)
    site.run("sync")
    assert file.read_text() == before


def _with_one_of(values: list[bytes], folder: Path) -> list[Path]:
    """Files below it with one of these values in them. Some go while we look: a database works there."""
    found = []
    for path in [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]:
        with suppress(FileNotFoundError):
            if path.is_file() and any(value in path.read_bytes() for value in values):
                found.append(path)
    return found


def test_no_secret_is_anywhere_but_where_it_is_needed(site: Site) -> None:
    """Generated values are in no Git object, log, database, unit or argument; the SOPS file holds ciphertext."""
    references = [f"op://first/{item}" for item in ("miniflux/admin-password", "miniflux/database-password")]
    references.append("op://first/postgresql/superuser-password")
    values = [site.run("op", "read", each).stdout.strip().encode() for each in references]
    repository = site.state / "forge/first.git"
    objects = subprocess.run(
        ["git", f"--git-dir={repository}", "cat-file", "--batch-all-objects", "--batch"],
        capture_output=True,
        check=True,
    )
    arguments = " ".join(" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])).encode()
    for value in values:
        assert len(value) >= 24
        assert value not in objects.stdout
        assert value not in arguments
    private = [site.state / "data/postgresql", site.state / "manager"]
    for path in _with_one_of(values, site.state):
        assert path.stat().st_mode & 0o077 == 0, f"{path} can be read by others"
        own = "secrets" in path.parts or path.name == "grants.json"
        assert own or any(path.is_relative_to(each) for each in private), path


def test_logs_shows_what_a_service_printed(site: Site) -> None:
    """The last lines of the service's log, as many as are asked for."""
    whole = site.run("logs", "miniflux", "-n", "100000").stdout.splitlines()
    assert any('msg="Created new admin user" username=admin' in line for line in whole)
    assert any('msg="Starting HTTP server"' in line for line in whole)
    assert site.run("logs", "miniflux", "-n", "2").stdout.splitlines() == whole[-2:]
    assert "listening on" in site.run("logs", "postgresql", "-n", "500").stdout


def test_down_leaves_no_process_and_up_brings_all_back(site: Site) -> None:
    """After `down` nothing runs; a second `up` needs neither downloads nor new secrets."""
    password = site.run("op", "read", "op://first/miniflux/admin-password").stdout
    site.run("down")
    assert running_below(site.state) == []
    assert {unit["state"] for unit in site.units().values()} == {"stopped"}
    assert [found.message for found in asked_live(site, site.folder)] == [
        "what runs at this site is not known: its controller does not run"
    ]
    site.run("up")
    assert site.serves()
    assert site.run("op", "read", "op://first/miniflux/admin-password").stdout == password
    site.run("down")
    assert running_below(site.state) == []


def _answers(site: Site) -> bool:
    return site.run("status", code=None).returncode == 0


def _answered(site: Site, answer: str) -> str:
    """What `up --prune-data` does after this answer on a terminal: the last line about it."""
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [str(BLUMEOPS), "up", "--prune-data", "--lab", str(site.folder), "--state", str(site.state)]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=180, check=True)
    os.close(ours)
    os.close(theirs)
    assert "reader is gone; kept: its database in postgresql\n" in done.stderr
    question = "delete it for good? [y/N] "
    (line,) = [line for line in done.stderr.splitlines() if question in line]
    return line.removeprefix(question)


def _drifted(site: Site) -> list[dict[str, Any]]:
    """The history's runs that tell of changes by hand which are left."""
    return [run for run in site.json("history")["history"] if run["outcome"] == "drifted"]
