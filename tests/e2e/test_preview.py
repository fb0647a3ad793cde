"""Branches of labs/first beside it: up, seen, changed, cut off, taken away; the lab itself never notices."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.e2e.site import BLUMEOPS, Clone, Site, running_below

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Iterator[Clone]:
    """The lab is up; a clone of it. At the end no preview is left."""
    site.run("up")
    yield site.clone(place / "clone")
    for each in site.json("preview")["previews"]:
        site.run("preview", each["branch"], "--down", code=None)


@pytest.fixture
def here(site: Site, clone: Clone) -> Site:
    """The same site, asked for from the clone, which is at main again."""
    clone.git("checkout", "-q", "--force", "main")
    return Site(clone.path, site.state, site.https, site.forge)


def branch(clone: Clone, name: str, old: str = "polling: 60m", new: str = "polling: 30m") -> None:
    """A branch of the clone with one change more than main, which is not pushed."""
    clone.git("checkout", "-q", "-b", name)
    clone.change(old, new, "An idea")
    clone.git("checkout", "-q", "main")


def previewed(site: Site, name: str) -> Site:
    """The preview of a branch, as a site."""
    (found,) = [each for each in site.json("preview")["previews"] if each["branch"] == name]
    return Site(site.folder, Path(found["state"]), found["https"], found["forge"], found["lab"])


def refs(site: Site) -> str:
    """All that the lab's own repository has."""
    argv = ["git", f"--git-dir={site.state / 'forge' / 'first.git'}", "for-each-ref"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def previews(site: Site) -> Path:
    """Where they are."""
    return site.state.with_name(f"{site.state.name}.previews")


def nothing_left(site: Site) -> bool:
    """No file and no process of any preview."""
    return not previews(site).exists() and running_below(previews(site)) == []


@contextmanager
def serving(site: Site) -> Iterator[list[bool]]:
    """The lab's Miniflux is asked again and again meanwhile, through its proxy: whether each request went well."""
    over, seen = threading.Event(), list[bool]()

    def ask() -> None:
        while not over.wait(0.05):
            seen.append(site.serves())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_a_branch_stands_beside_the_lab_and_goes_without_a_trace(here: Site, clone: Clone) -> None:
    """Both answer, each as its revision says, each with its own data and passwords; the lab never blinks, and its
    repository has not changed."""
    branch(clone, "idea")
    before, first = refs(here), here.process("miniflux")
    with serving(here) as seen:
        done = here.run("preview", "idea")
        ours = previewed(here, "idea")
        assert f"https://feed-idea.ops.localhost:{ours.https}" in done.stdout
        assert "preview    of idea at" in done.stdout
        assert ours.ask("feed-idea", "/healthcheck").stdout == "OK"
        assert ours.process("miniflux").environ()["POLLING_FREQUENCY"] == "30"
        assert first.environ()["POLLING_FREQUENCY"] == "60"
        passwords = {password(here), password(ours)}
        assert len(passwords) == 2
        assert "" not in passwords
        assert "preview of idea at" in here.run("status").stderr
        assert re.search(r"idea +[0-9a-f]{8} +settled +\d+ +all", here.run("preview").stdout)
        clone.git("checkout", "-q", "idea")
        clone.change("polling: 30m", "polling: 15m", "A better idea")
        here.run("preview", "idea")
        assert ours.process("miniflux").environ()["POLLING_FREQUENCY"] == "15"
        assert password(ours) in passwords
        gone = here.run("preview", "--down", "idea")
        assert "the preview of idea is gone, with all that it kept" in gone.stdout
    assert nothing_left(here)
    assert len(seen) > 20
    assert all(seen)
    assert here.process("miniflux") == first
    assert refs(here) == before
    assert here.run("preview", "idea", "--down").stderr == "there is no preview of idea\n"


def password(site: Site) -> str:
    """Miniflux' first."""
    argv = [str(BLUMEOPS), "op", "read", "-n", "op://first/miniflux/admin-password", "--state", str(site.state)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_branch_of_the_forge_needs_no_clone(site: Site, here: Site, clone: Clone) -> None:
    """It was pushed and not landed; some services alone are a part of it, with what they need."""
    branch(clone, "pushed")
    clone.git("push", "-q", "origin", "pushed")
    clone.git("branch", "-D", "pushed")
    site.run("preview", "pushed", "postgresql")
    ours = previewed(site, "pushed")
    assert set(ours.units()) == {"postgresql", "caddy"}
    site.run("preview", "pushed", "--down")
    assert nothing_left(site)


def test_a_branch_that_does_not_pass_is_not_brought_up(here: Site, clone: Clone) -> None:
    """Findings at their places, exit 1, and no folder; so with what is no branch, and no service of it."""
    branch(clone, "broken", "database: postgresql", "database: postgres")
    done = here.run("preview", "broken", code=1)
    assert re.search(r"services/services\.yaml:\d+:\d+: BLU113", done.stderr)
    assert "BLU601" in here.run("preview", "nowhere", code=1).stderr
    assert "BLU780" in here.run("preview", "main", "minflux", code=1).stderr
    assert "BLU784" in here.run("preview", "--down", code=1).stderr
    assert nothing_left(here)


@pytest.mark.parametrize("name", ["fix/#12", "$(touch${IFS}x)", "grün", "a'b;id", "main-123abc", "x" * 200])
def test_a_branch_may_be_called_anything_that_git_takes(here: Site, clone: Clone, name: str) -> None:
    """Its preview has a plain folder of its own, below that of previews."""
    clone.git("branch", name)
    here.run("preview", name, "caddy")
    ours = previewed(here, name)
    assert ours.state.parent == previews(here)
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,18}[a-z0-9]", ours.state.name)
    here.run("preview", name, "--down")
    assert nothing_left(here)


def test_several_at_once_have_ports_of_their_own(here: Site, clone: Clone) -> None:
    """Two branches come up at the same time; of one branch the second says that the first is at work, or follows it."""
    for name in ("one", "two"):
        clone.git("branch", name)
    running = [start(here, "preview", name, "caddy") for name in ("one", "two", "one")]
    ended = [(each.communicate()[0], each.returncode) for each in running]
    assert [code for _, code in ended][1] == 0, ended
    assert 0 in (ended[0][1], ended[2][1])
    assert all(code == 0 or "BLU792" in said for said, code in ended)
    one, two = previewed(here, "one"), previewed(here, "two")
    assert len({one.https, two.https, one.forge, two.forge, here.https, here.forge}) == 6
    for name in ("one", "two"):
        here.run("preview", name, "--down")
    assert nothing_left(here)


@pytest.mark.parametrize("seconds", [0.4, 0.7, 1.0, 1.6, 2.5])
def test_one_that_was_cut_off_is_taken_away_or_taken_up(here: Site, clone: Clone, seconds: float) -> None:
    """Killed anywhere on its way up; then once more on its way down."""
    name = f"cut-{int(seconds * 10)}"
    branch(clone, name)
    kill_after(start(here, "preview", name), seconds)
    if seconds in (0.7, 1.6):
        here.run("preview", name)
        assert previewed(here, name).ask(f"feed-{name}", "/healthcheck").stdout == "OK"
    kill_after(start(here, "preview", name, "--down"), seconds / 4)
    here.run("preview", name, "--down")
    assert nothing_left(here)
    assert here.serves()


def test_what_somebody_else_issues_is_only_lent_when_one_says_so(here: Site, clone: Clone) -> None:
    """The lab's own token goes into the preview's store by --with-secrets alone; all else there is new."""
    clone.git("checkout", "-q", "-b", "lent")
    app = clone.path / "apps" / "issued" / "app.yaml"
    app.parent.mkdir(parents=True)
    web = Path(__file__).with_name("apps") / "web"
    text = (web / "app.yaml").read_text().replace("app: web", "app: issued")
    app.write_text(
        f"{text}secrets: {{token: {{about: A token, given: true}}}}\nenv: {{TOKEN: '{{{{ secrets.token }}}}'}}\n"
    )
    (app.parent / "server.py").write_bytes((web / "server.py").read_bytes())
    with (clone.path / "services/services.yaml").open("a") as file:
        file.write("issued: {cluster: cluster}\n")
    clone.git("add", "--all")
    clone.git("commit", "-qm", "One more")
    clone.git("checkout", "-q", "main")
    refused = here.run("preview", "lent", "issued", code=1)
    assert "BLU783 op://first/issued/token: is issued by somebody else, and issued needs it" in refused.stderr
    assert nothing_left(here)
    here.run("preview", "lent", "caddy")
    assert "BLU783" in here.run("preview", "lent", "issued", code=1).stderr
    assert here.json("preview")["previews"][0]["services"] == ["caddy"]  # what was there is as it was
    here.run("preview", "lent", "--down")
    lacking = here.run("preview", "lent", "issued", "--with-secrets", code=1)
    assert "BLU516 op://first/issued/token: is not in the lab's store" in lacking.stderr
    assert nothing_left(here)
    argv = [
        str(BLUMEOPS),
        "secret",
        "set",
        "op://first/issued/token",
        "--lab",
        str(here.folder),
        "--state",
        str(here.state),
    ]
    subprocess.run(argv, input="the-real-one", text=True, check=True, capture_output=True, timeout=60)
    here.run("preview", "lent", "issued", "--with-secrets")
    ours = previewed(here, "lent")
    (found,) = {each.environ().get("TOKEN") for each in ours.processes_of("server.py")}
    assert found == "the-real-one"
    here.run("preview", "lent", "--down")
    assert nothing_left(here)


def test_a_preview_that_fails_stays_to_be_looked_at(here: Site, clone: Clone) -> None:
    """Exit 1 with what is wrong; its log is there; the lab serves on."""
    branch(clone, "fails", "  name: feed", "  name: feed\n  env: {LISTEN_ADDR: nonsense}")
    done = here.run("preview", "fails", code=1)
    assert "miniflux" in done.stdout
    ours = previewed(here, "fails")
    assert here.serves()
    assert running_below(ours.state)
    here.run("preview", "fails", "--down")
    assert nothing_left(here)


def start(site: Site, *words: str) -> subprocess.Popen[str]:
    """A command that goes on by itself, in a group of its own."""
    argv = [str(BLUMEOPS), *words, "--lab", str(site.folder), "--state", str(site.state)]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )  # fmt: skip


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    """What the manager keeps running lives on; the command and its own helpers do not."""
    time.sleep(seconds)
    for each in children(process.pid):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.kill()
    process.communicate()


def children(pid: int) -> list[psutil.Process]:
    """Of a command, in its own session: the manager has left that."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
