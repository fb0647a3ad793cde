"""Secrets of a lab that runs: listed, set, made anew, taken back, and who opens the store. In order."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bcrypt
import pyrage  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.e2e.site import BLUMEOPS, Clone, Site
from tests.e2e.test_first import eventually

pytestmark = pytest.mark.timeout(240)

APP = Path(__file__).with_name("apps") / "picky"
WORD, TOKEN = "op://first/picky/word", "op://first/picky/token"
DATABASE = "op://first/miniflux/database-password"


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Clone:
    """labs/first and a service with two secrets: it is up."""
    shutil.copytree(APP, site.folder / "apps" / "picky")
    with (site.folder / "services" / "services.yaml").open("a") as file:
        file.write("picky: {host: server}\n")
    site.run("up")
    return site.clone(place / "clone")


def value(site: Site, reference: str) -> str:
    """What `op read` says."""
    return site.run("op", "read", "--no-newline", reference).stdout


def set_value(site: Site, reference: str, new: bytes, code: int = 0) -> str:
    """`secret set`, with the value on its standard input; what it said."""
    argv: list[str | Path] = [BLUMEOPS, "secret", "set", reference, "--lab", site.folder, "--state", site.state]
    done = subprocess.run(argv, input=new, capture_output=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return (done.stdout + done.stderr).decode()


def serves(site: Site, word: str, token: str) -> bool:
    """Whether the service has these very values."""
    return site.ask("picky").stdout == hashlib.sha256((word + token).encode()).hexdigest()


def pids(site: Site) -> dict[str, int]:
    """The process of each program."""
    return {name: site.process(name).pid for name in ("caddy", "postgres", "miniflux")}


def test_each_secret_is_listed_with_its_users_and_no_value(site: Site, clone: Clone) -> None:
    """Who uses it, how it gets there, since when; and `check` finds nothing."""
    listed = {each["reference"]: each for each in site.json("secret", "list")["secrets"]}
    assert listed[WORD]["uses"][0]["here"] == ["environment (WORD)"]
    assert listed[TOKEN]["uses"][0]["here"] == ["private file"]
    postgres = listed["op://first/postgresql/superuser-password"]["uses"][0]
    assert postgres["here"] == ["private file", "environment of the command that makes miniflux's database"]
    assert listed[DATABASE]["uses"][0]["home"] == "ExternalSecret in miniflux of cluster"
    assert all(each["stored"] for each in listed.values())
    now = datetime.now(UTC)
    ages = [now - datetime.strptime(each["since"], "%Y-%m-%dT%H:%M:%S.%f%z") for each in listed.values()]
    assert all(timedelta(0) < age < timedelta(hours=1) for age in ages), ages
    assert site.json("secret", "check") == {"version": 1, "findings": []}
    told = site.run("secret", "list").stdout
    assert not [each for each in listed if value(site, each) in told]


def test_a_new_value_restarts_exactly_who_uses_it(site: Site, clone: Clone) -> None:
    """`set` reaches the process, the rest runs on, and main has the commit."""
    before, token = pids(site), value(site, TOKEN)
    said = set_value(site, WORD, b"good \xc3\xa4 'word'\n")
    assert f"{WORD}: a new value" in said
    assert "restarts: picky" in said
    assert "good" not in said
    assert serves(site, "good ä 'word'", token)
    assert pids(site) == before
    clone.git("pull", "-q")
    assert "Set 1 secret" in clone.git("log", "-1")
    assert "good" not in clone.git("show")


def test_rotating_a_database_password_reaches_the_database(site: Site, clone: Clone) -> None:
    """The role has the new password, Miniflux starts with it, and PostgreSQL was not restarted."""
    before, old = pids(site), value(site, DATABASE)
    site.run("secret", "rotate", "miniflux.database_password")
    new = value(site, DATABASE)
    assert new != old
    assert site.serves()
    assert f":{new}@" in site.process("miniflux").environ()["DATABASE_URL"]
    after = pids(site)
    assert after.pop("miniflux") != before.pop("miniflux")
    assert after == before


def test_a_value_that_is_not_liked_is_taken_back(site: Site, clone: Clone) -> None:
    """The old version serves all the time, main has the old value again, and the lab settles."""
    word, token = value(site, WORD), value(site, TOKEN)
    said = set_value(site, WORD, b"bad word", code=1)
    assert "not healthy with the new value: picky" in said
    assert "has the old values again" in said
    assert value(site, WORD) == word
    assert serves(site, word, token)
    assert site.is_settled(site.head())
    clone.git("pull", "-q")
    assert "Take back 1 secret" in clone.git("log", "-1")


def test_what_somebody_has_set_meanwhile_is_not_taken_back(site: Site) -> None:
    """One sets a value that is not liked; before that has failed, another sets a good one, which stays."""
    word, token = value(site, WORD), value(site, TOKEN)
    with ThreadPoolExecutor() as beside:
        first = beside.submit(set_value, site, WORD, b"slow word", code=1)
        assert eventually(lambda: value(site, WORD) == "slow word")
        set_value(site, WORD, b"the good one")
        assert "nothing is taken back" in first.result()
    assert value(site, WORD) == "the good one"
    assert serves(site, "the good one", token)
    assert site.is_settled(site.head())
    set_value(site, WORD, word.encode())


def test_what_is_made_of_a_secret_follows_it(site: Site) -> None:
    """The line of htpasswd is that of the new token; keys are keys, and the other half stays."""
    public = value(site, "op://first/picky/ssh-public")
    assert public.startswith("ssh-ed25519 ")
    site.run("secret", "rotate", TOKEN)
    line = value(site, "op://first/picky/line").strip()
    assert line.startswith("caller:")
    assert bcrypt.checkpw(value(site, TOKEN).encode(), line.partition(":")[2].encode())
    assert value(site, "op://first/picky/ssh-public") == public


def test_all_secrets_of_a_service_at_once(site: Site, clone: Clone) -> None:
    """A service's name means all of its own."""
    word, token = value(site, WORD), value(site, TOKEN)
    site.run("secret", "rotate", "picky")
    assert value(site, WORD) != word
    assert value(site, TOKEN) != token
    assert serves(site, value(site, WORD), value(site, TOKEN))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["rotate", "nobody"], "BLU513"),
        (["rotate", "op://first/picky/nothing"], "BLU513"),
        (["rotate", "postgresql.superuser_password"], "BLU513"),
        (["set", "word"], "BLU501"),
        (["set", WORD], "BLU519"),
    ],
)
def test_what_cannot_be_changed_is_said(site: Site, arguments: list[str], code: str) -> None:
    """One line, exit 1, and main stays."""
    head = site.head()
    assert code in site.run("secret", *arguments, code=1).stderr
    assert site.head() == head


def test_another_key_opens_the_store_and_does_not_any_more(site: Site, clone: Clone, place: Path) -> None:
    """A recipient that is added reads what is there; removed, it does not read what comes; ours cannot be removed."""
    identity = pyrage.x25519.Identity.generate()
    other, key = str(identity.to_public()), place / "other.key"
    key.write_text(f"{identity}\n")
    key.chmod(0o600)
    mine = site.run("secret", "recipients").stdout.split()
    word = value(site, WORD)
    site.run("secret", "recipients", "--add", other)
    assert site.run("secret", "recipients").stdout.split() == [*mine, other]
    assert site.run("op", "read", "-n", WORD, "--age-key", str(key)).stdout == word
    said = site.run("secret", "recipients", "--remove", other).stderr
    assert "rotate what matters" in said
    site.run("op", "read", WORD, "--age-key", str(key), code=1)
    assert "BLU512" in site.run("secret", "recipients", "--remove", mine[0], code=1).stderr
    clone.git("pull", "-q")
    assert other not in (clone.path / ".sops.yaml").read_text()
    assert mine[0] in (clone.path / ".sops.yaml").read_text()
    assert value(site, WORD) == word


def test_a_push_with_a_secret_in_it_is_refused(site: Site, clone: Clone) -> None:
    """With file and line, and without the value; with a reason in lab.yaml it lands."""
    clone.git("pull", "-q")
    token = "ghp_" + hashlib.sha256(b"nobody's").hexdigest()[:36]
    (clone.path / "notes.md").write_text(f"# Notes\n\nuse {token}\n")
    clone.git("add", "-A")
    clone.git("commit", "-qm", "Notes")
    said = clone.push(code=1)
    assert "notes.md:3:5: BLU521 github-pat: looks like a secret" in said
    assert token not in said
    # Taken out by a second commit it is in Git all the same: of main, of another branch, and of a tag.
    (clone.path / "notes.md").write_text("# Notes\n")
    clone.git("commit", "-qam", "Nothing to use")
    for refs in (["HEAD:refs/heads/main"], ["HEAD:refs/heads/idea"], ["HEAD:refs/tags/t"]):
        said = clone.git("push", "origin", *refs, code=1)
        assert "mend that commit, for a later one leaves it in Git: git rebase -i" in said
        assert token not in said
    allow = "secrets:\n  store: sops\n  vault: first\n  allow: [{file: notes.md, reason: it opens nothing at all}]"
    clone.change("secrets: {store: sops, vault: first}", allow, "Allow it", "lab.yaml")
    clone.push()
    assert eventually(lambda: site.is_settled(site.head()))


def test_what_nobody_uses_any_more_is_said(site: Site, clone: Clone) -> None:
    """A service that is gone leaves its secrets: warned of, exit 0."""
    clone.git("pull", "-q")
    clone.change("picky: {host: server}\n", "", "No picky")
    clone.push()
    assert eventually(lambda: site.is_settled(site.head()))
    found = site.json("secret", "check")["findings"]
    left = {f"op://first/picky/{name}" for name in ("word", "token", "line", "ssh", "ssh-public")}
    assert {(each["code"], each["subject"]) for each in found} == {("BLU517", name) for name in left}
