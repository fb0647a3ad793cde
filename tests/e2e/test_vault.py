"""A lab whose secrets are in a Connect server: generated into it, read from it, and what happens while it is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.site import Clone, Site, make_site
from tests.e2e.test_first import eventually
from tests.engines.connect.server import Server, served, serving

pytestmark = pytest.mark.timeout(240)

PASSWORD = "op://lab/miniflux/admin-password"  # a reference
DATABASE = "op://lab/miniflux/database-password"


@pytest.fixture(scope="module")
def vault(place: Path) -> Iterator[Server]:
    """The server, with a vault `lab`."""
    (place / "vault").mkdir()
    with served(place / "vault") as server:
        yield server


@pytest.fixture(scope="module")
def site(place: Path, vault: Server) -> Iterator[Site]:
    """labs/first, which asks that server; it is up."""
    made = make_site(place)
    setting = f"secrets: {{store: sops, vault: lab, here: connect, connect: '{vault.url}'}}"
    lab = made.folder / "lab.yaml"
    lab.write_text(lab.read_text().replace("secrets: {store: sops, vault: first}", setting))
    (made.state / "connect-token").write_text(vault.token("--vault", "lab", "--write"))
    (made.state / "connect-token").chmod(0o600)
    made.run("up")
    yield made
    made.run("down", code=None)


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Clone:
    """A clone that every test pushes from, one after another."""
    return site.clone(place / "clone")


def problem(site: Site) -> str:
    """What status says is wrong."""
    return str(site.json("status", code=None)["problem"])


def test_new_secrets_are_made_in_the_vault_and_used(site: Site, vault: Server, clone: Clone) -> None:
    """The lab's repository has no SOPS file; what the vault had is used as it is."""
    assert site.serves()
    assert not (clone.path / "secrets.sops.yaml").exists()
    assert f":{vault.stored()[DATABASE]}@" in site.process("miniflux").environ()["DATABASE_URL"]
    listed = site.json("secret", "list")
    assert "connect" in listed["source"]
    assert all(each["stored"] for each in listed["secrets"])


def test_rotation_reaches_the_vault_and_the_service(site: Site, vault: Server) -> None:
    """No commit is made for it."""
    head, before = site.head(), vault.stored()[DATABASE]
    site.run("secret", "rotate", "miniflux.database_password")
    after = vault.stored()[DATABASE]
    assert after != before
    assert f":{after}@" in site.process("miniflux").environ()["DATABASE_URL"]
    assert site.serves()
    assert site.head() == head


def test_a_vault_that_is_away_tears_nothing_down(site: Site, vault: Server, clone: Clone, place: Path) -> None:
    """What it said last counts; a controller that never asked it waits, says since when, and tries again."""
    vault.process.terminate()
    vault.process.wait(20)
    clone.change("polling: 60m", "polling: 30m", "Poll")
    clone.push()
    assert site.process("miniflux").environ()["POLLING_FREQUENCY"] == "30"
    controller = site.controller()
    assert controller
    controller.kill()
    assert eventually(lambda: "BLU524" in problem(site) and "away since" in problem(site), seconds=30)
    assert site.serves()
    clone.change("polling: 30m", "polling: 20m", "Poll more")
    assert "BLU524" in clone.push(code=1)
    with serving(place / "vault", vault.store, urlsplit(vault.url).port or 0):
        assert eventually(lambda: site.is_settled(site.head()), seconds=60)
        assert site.serves()
