"""A backup as a person has it: borgmatic with Borg, of a lab with a database; what is in it, and who could read it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from blumeops.engines.local.programs import cache_folder
from tests.e2e.site import BLUMEOPS, Site, make_site

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

PASSPHRASE = "op://first/borgmatic/passphrase"


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    """labs/first with borgmatic, up; the job's program can be had, or there is nothing to test."""
    made = make_site(place)
    with (made.folder / "services" / "services.yaml").open("a") as file:
        file.write("borgmatic: {host: server}\n")
    made.run("up", code=None)
    unit = made.units()["borgmatic"]
    if unit["state"] == "unavailable":
        made.run("down", code=None)
        pytest.skip(f"no Borg for this machine: {unit['reason']}")
    yield made
    made.run("down", code=None)


@pytest.fixture(scope="module")
def borg(site: Site, place: Path) -> Borg:
    """Borg as a person would use it, with the lab's passphrase."""
    return Borg(site.state / "data/borgmatic/data/repository", read(site, PASSPHRASE), place / "borg")


class Borg:
    """Reads one repository."""

    def __init__(self, repository: Path, passphrase: str, folder: Path) -> None:
        self.repository, self.passphrase, self.folder = repository, passphrase, folder
        folder.mkdir()
        found = [*cache_folder().glob("programs/deb-borgbackup-*/usr/bin/borg")]
        self.program = shutil.which("borg") or str(found[0])

    def __call__(self, *words: str, code: int = 0) -> str:
        """What it prints; `{}` is the repository."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "BORG_PASSPHRASE": self.passphrase}
        argv = [self.program, *(word.format(self.repository) for word in words)]
        done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=self.folder, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout

    def archives(self) -> list[str]:
        """Their names, the oldest first."""
        return self("list", "--short", "{}").split()


def read(site: Site, reference: str) -> str:
    """A secret of the lab."""
    return site.run("op", "read", reference).stdout.strip()


def test_up_does_not_wait_for_the_backup(site: Site) -> None:
    """The lab settles, and says when the backup comes."""
    unit = site.units()["borgmatic"]
    assert (unit["state"], unit["job"]["at"], unit["job"]["runs"]) == ("scheduled", "02:00", [])
    assert unit["reason"].startswith("next ")
    assert site.json("status")["settled"]


def test_two_backups_and_no_secret_in_an_argument(site: Site, borg: Borg) -> None:
    """Each run is an archive. While they run, no process of this machine has a secret among its arguments."""
    secrets = [borg.passphrase, read(site, "op://first/miniflux/database-password")]
    told: set[str] = set()
    for _ in range(2):
        running = subprocess.Popen(
            [str(BLUMEOPS), "run", "borgmatic", "--lab", str(site.folder), "--state", str(site.state)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        while running.poll() is None:
            told |= {" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])}
        _, said = running.communicate()
        assert running.returncode == 0, said.decode()
    assert any("borg create" in words for words in told)
    assert not [words for words in told for secret in secrets if secret in words]
    assert len(borg.archives()) == 2
    unit = site.units()["borgmatic"]
    assert "last ok: " in unit["reason"]
    assert [run["outcome"] for run in unit["job"]["runs"]] == ["ok", "ok"]


def test_what_is_in_it(site: Site, borg: Borg) -> None:
    """Files as they are, to the byte; the database as a dump that PostgreSQL reads, not as the files of its server."""
    archive = borg.archives()[-1]
    names = borg("list", "--short", f"{{}}::{archive}").splitlines()
    assert not [name for name in names if "/data/postgresql/" in name]
    root = next(name for name in names if name.endswith("authorities/local/root.crt"))
    borg("extract", f"{{}}::{archive}", root)
    assert (borg.folder / root).read_bytes() == Path("/", root).read_bytes()
    (dump,) = [name for name in names if "postgresql_databases" in name and name.endswith("/miniflux")]
    borg("extract", f"{{}}::{archive}", dump)
    argv = [_pg_restore(), "--list", str(borg.folder / dump)]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "TABLE DATA public feeds" in listed


def test_a_database_is_restored(site: Site, borg: Borg) -> None:
    """By what the how-to page says: what was deleted after the backup is there again, while the site stays up."""
    user = f"admin:{read(site, 'op://first/miniflux/admin-password')}"

    def titles() -> list[str]:
        return [each["title"] for each in json.loads(site.curl("/v1/categories", "--user", user).stdout)]

    made = site.curl("/v1/categories", "--user", user, "--json", '{"title": "kept for ever"}').stdout
    site.run("run", "borgmatic")
    site.curl(f"/v1/categories/{json.loads(made)['id']}", "--user", user, "-X", "DELETE")
    assert "kept for ever" not in titles()
    archive = borg.archives()[-1]
    names = borg("list", "--short", f"{{}}::{archive}").splitlines()
    (dump,) = [name for name in names if "postgresql_databases" in name and name.endswith("/miniflux")]
    borg("extract", f"{{}}::{archive}", dump)
    port = site.units()["postgresql"]["url"].rpartition(":")[2]
    env = {"PATH": os.environ["PATH"], "PGPASSWORD": read(site, "op://first/miniflux/database-password")}
    argv = [
        _pg_restore(), "--host", "127.0.0.1", "--port", port, "--username", "miniflux", "--dbname", "miniflux",
        "--clean", "--if-exists", "--no-owner", str(borg.folder / dump),
    ]  # fmt: skip
    subprocess.run(argv, env=env, check=True, capture_output=True, timeout=60)
    assert "kept for ever" in titles()


def _pg_restore() -> str:
    packages = Path(sysconfig.get_paths()["purelib"])
    return str(next(packages.glob("*/**/bin/pg_restore")))


def test_a_database_that_is_away_fails_the_backup_clearly(site: Site) -> None:
    """Nothing is started: the run says what it waits for in vain, and stands in the status."""
    site.process("postgres").suspend()
    try:
        assert "BLU715 borgmatic: needs postgresql" in site.run("run", "borgmatic", code=1).stderr
    finally:
        site.process("postgres").resume()
    assert site.units()["borgmatic"]["state"] == "failed"
    site.run("run", "borgmatic")
    site.run("status")


def test_a_wrong_passphrase_fails_clearly(site: Site, borg: Borg) -> None:
    """The run says that it is the passphrase, and shows neither; the repository is as it was."""
    before = borg.archives()
    wrong = "wrong-4c1f0a92"
    subprocess.run(
        [str(BLUMEOPS), "secret", "set", PASSPHRASE, "--lab", str(site.folder), "--state", str(site.state)],
        input=wrong, text=True, check=True, capture_output=True,
    )  # fmt: skip
    site.run("run", "borgmatic", code=1)
    unit = site.units()["borgmatic"]
    assert unit["state"] == "failed"
    assert "passphrase" in unit["reason"]
    assert wrong not in str(unit)
    assert borg.passphrase not in str(unit)
    assert borg.archives() == before
