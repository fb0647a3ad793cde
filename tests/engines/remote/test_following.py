"""A lab that follows a forge elsewhere, from the first `up` to everything that can go wrong with it."""

from __future__ import annotations

import subprocess

from tests.engines.forge.live import Client
from tests.engines.remote.fake_forge import FakeForge
from tests.engines.remote.lab import SECRET, RemoteLab
from tests.eventually import eventually

GIT_LINK = "120000"


def test_a_push_elsewhere_is_applied_by_webhook_and_reported(lab: RemoteLab, forge: FakeForge) -> None:
    """A webhook brings the new revision at once; the commit status goes from pending to success; our forge is closed,
    and the token stands in no log and no argument."""
    first = lab.head()
    assert "change it  push to branch main of" in lab.run("up").stdout
    eventually(lambda: forge.said(first)[-1:] == ["success"])
    second = lab.push("Second")
    assert forge.deliver(lab.hook, SECRET) == 202
    eventually(lambda: lab.status_now()["revision"] == second)
    eventually(lambda: forge.said(second) == ["pending", "success"])
    status = lab.status_now()
    assert status["settled"] is True
    assert status["remote"]["seen"] == second
    assert f"follows {forge.url}, branch main: at {second[:8]}" in lab.run("status").stdout
    pushed = lab.git("-c", f"credential.helper=!{lab.helper}", "push", lab.own, "HEAD:refs/heads/idea", code=1)
    assert f"refused: this lab follows {forge.url}, branch main: push there" in pushed
    assert forge.token not in lab.log()
    assert not forge.refused_statuses


def test_a_revision_that_fails_the_checks_is_not_applied(lab: RemoteLab, forge: FakeForge) -> None:
    """It is fetched, refused with every finding in status and history, and reported with the first; the lab runs on,
    and what mends it is applied."""
    lab.run("up")
    good = lab.head()
    bad = lab.push("Bad", "services/a.yaml", "a: {host: nowhere, app: caddy}\nb: {hosts: x}\n")
    refused = lab.run("sync", code=1)
    assert "services/a.yaml:1:11: BLU110" in refused.stderr
    assert "services/a.yaml:2:5: BLU101" in refused.stderr
    assert "refused: " in refused.stderr
    eventually(lambda: forge.said(bad) == ["failure"])
    said = next(each["description"] for each in forge.statuses if each["sha"] == bad)
    assert said.startswith("refused: ")
    assert "BLU1" in said
    assert len(said) <= 140
    status = lab.status_now()
    assert (status["revision"], status["remote"]["refused"]) == (good, bad)
    seen = lab.run("status", code=1).stdout
    assert f"{bad[:8]} is refused, and not applied" in seen
    assert "BLU110" in seen
    assert "refused" in lab.run("history").stdout
    kept = ["git", "-C", str(lab.state / "forge/first.git"), "cat-file", "-e", bad]
    assert subprocess.run(kept, capture_output=True).returncode, "what was refused is kept"
    mended = lab.push("Mended", "services/a.yaml", "")
    lab.run("sync")
    assert lab.status_now()["revision"] == mended
    assert lab.status_now()["remote"]["refused"] == ""


def test_hostile_content_is_refused_as_in_a_push(lab: RemoteLab, forge: FakeForge) -> None:
    """A link out of the tree does not get past the fetch."""
    lab.run("up")
    client = Client(lab.folder)
    revision = client.commit_raw([(GIT_LINK, client.blob(b"/etc/passwd"), "services/link")])
    lab.git("push", "-q", "-f", "origin", f"{revision}:main")
    assert "BLU610 repository: is a link out of the repository" in lab.run("sync", code=1).stderr
    eventually(lambda: forge.said(revision) == ["failure"])


def test_a_remote_that_is_away_is_told_and_waited_for(lab: RemoteLab, forge: FakeForge) -> None:
    """Nothing is torn down and `up` goes on; status says since when and why; when it is back it is followed again."""
    lab.run("up")
    forge.away = True
    synced = lab.run("sync")
    assert "BLU624" in synced.stderr
    assert "what runs, runs on" in synced.stderr
    status = lab.status_now()
    assert status["settled"] is True
    assert "BLU624" in status["remote"]["problem"]
    assert status["remote"]["since"]
    lab.run("down")
    lab.run("up")
    assert "BLU624" in lab.run("status").stdout
    forge.away = False
    news = lab.push("Back")
    lab.run("sync")
    assert lab.status_now()["revision"] == news
    assert lab.status_now()["remote"]["problem"] == ""


def test_a_rewound_branch_is_followed_and_said(lab: RemoteLab) -> None:
    """Who rewrites the branch has decided so: main goes there, and a line says what it leaves."""
    lab.run("up")
    second = lab.push("Second")
    lab.run("sync")
    lab.git("reset", "-q", "--hard", "HEAD~1")
    other = lab.push("Other", force=True)
    lab.run("sync")  # or the look that follows each sync was faster
    assert lab.status_now()["revision"] == other
    assert f"main was rewound or rewritten: ours left {second[:8]}" in lab.run("status").stdout
    assert f"ours left {second[:8]}" in lab.log()


def test_looking_at_an_interval(lab: RemoteLab) -> None:
    """Without any webhook the interval brings it."""
    lab.every = "1s"
    lab.write()
    lab.push("Often")
    lab.run("up")
    news = lab.push("News")
    eventually(lambda: lab.status_now()["revision"] == news)


def test_the_remote_changes_hands(lab: RemoteLab, forge: FakeForge) -> None:
    """From the site's own forge to a remote and back: each step is said before it is taken, none locks anybody out."""
    with_remote = (lab.folder / "lab.yaml").read_text()
    alone = "lab: first\n" + with_remote[with_remote.index("here:") :]
    lab.push("Alone", "lab.yaml", alone)
    lab.run("up")
    lab.git("remote", "set-url", "--push", "origin", lab.own)
    lab.git("config", "credential.helper", f"!{lab.helper}")
    (lab.folder / "lab.yaml").write_text(with_remote)
    lab.git("commit", "-qam", "Follow")
    assert f"note: from then on the lab follows {forge.url}, branch main" in lab.git("push", "origin", "HEAD:main")
    eventually(lambda: "is behind ours" in lab.status_now().get("remote", {}).get("problem", ""))
    # Not reached yet, so the site's own forge is still open: a wrong address could be mended.
    (lab.folder / "notes.md").write_text("more")
    lab.git("add", "-A")
    lab.git("commit", "-qm", "More")
    lab.git("push", "origin", "HEAD:main")
    lab.git("push", "-q", str(forge.repository), "HEAD:main")
    lab.run("sync")
    assert lab.status_now()["remote"]["seen"] == lab.head()
    assert "push there" in lab.git("push", "origin", "HEAD:idea", code=1)
    (lab.folder / "lab.yaml").write_text(alone)
    lab.git("commit", "-qam", "Alone again")
    lab.git("push", "-q", str(forge.repository), "HEAD:main")
    assert f"does not follow {forge.url} any more" in lab.run("sync").stderr
    eventually(lambda: "remote" not in lab.status_now())
    (lab.folder / "notes.md").write_text("most")
    lab.git("commit", "-qam", "Most")
    lab.git("push", "origin", "HEAD:main")
    assert lab.status_now()["revision"] == lab.head()


APP = """\
app: sleeper
version: "1"
sources: [{path: sleep}]
command: [sleep, "1000"]
secrets: {word: {}}
env: {WORD: "{{ secrets.word }}"}
state: none
"""


def test_generated_secrets_go_to_the_remote(lab: RemoteLab, forge: FakeForge) -> None:
    """The commit with new secrets is pushed to the remote before it counts; where the remote refuses it, it waits on a
    branch of our own, the person pushes it, and those very values are used."""
    lab.run("up")
    forge.may_push = False
    (lab.folder / "apps/sleeper").mkdir(parents=True)
    (lab.folder / "apps/sleeper/app.yaml").write_text(APP)
    (lab.folder / "lab.yaml").write_text(
        (lab.folder / "lab.yaml").read_text() + "hosts: {box: {os: linux, role: compute}}\n"
    )
    lab.push("Sleep", "services/s.yaml", "sleeper: {host: box, secrets: {word: op://first/sleeper/word}}\n")
    refused = lab.run("sync", code=1).stderr
    assert "BLU628" in refused
    assert f"git pull {lab.own} generated-secrets && git push" in refused
    pulled = lab.git("ls-remote", lab.own, "generated-secrets").split()[0]
    lab.run("sync", code=1)
    assert lab.git("ls-remote", lab.own, "generated-secrets").split()[0] == pulled
    lab.git("pull", "-q", lab.own, "generated-secrets")
    lab.git("push", "-q", "origin", "HEAD:main")
    lab.run("sync")
    assert lab.head() == pulled
    assert lab.status_now()["revision"] == pulled
    forge.may_push = True
    lab.push("Another", "services/s.yaml", "sleeper: {host: box, secrets: {word: op://first/sleeper/other}}\n")
    assert "to the remote, with the secrets that were generated" in lab.run("sync").stderr
    theirs = lab.git("ls-remote", str(forge.repository), "main").split()[0]
    assert theirs != lab.head()
    assert lab.status_now()["revision"] == theirs


def test_a_rollback_goes_to_the_remote_first(lab: RemoteLab, forge: FakeForge) -> None:
    """Main is never ahead of the remote: a rollback is pushed there, or refused where the remote does not take it."""
    lab.run("up")
    second = lab.push("Second")
    lab.run("sync")
    forge.may_push = False
    assert "BLU624" in lab.run("rollback", code=1).stderr
    assert lab.status_now()["revision"] == second
    forge.may_push = True
    lab.run("rollback")
    theirs = lab.git("ls-remote", str(forge.repository), "main").split()[0]
    assert lab.status_now()["revision"] == theirs != second
