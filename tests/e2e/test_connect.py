"""The Connect API in front of a lab that runs: what a client sets, the service has. In order."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from onepasswordconnectsdk.client import Client, new_client
from onepasswordconnectsdk.errors import FailedToRetrieveItemException

from tests.e2e.site import BLUMEOPS, Site
from tests.e2e.test_first import eventually

pytestmark = pytest.mark.timeout(240)

APP = Path(__file__).with_name("apps") / "picky"


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[Client]:
    """1Password's client for Python, with a token that may write into the vault `first`."""
    shutil.copytree(APP, site.folder / "apps" / "picky")
    with (site.folder / "services" / "services.yaml").open("a") as file:
        file.write("picky: {host: server}\n")
    token = site.run("connect", "token", "create", "--vault", "first", "--write").stdout.strip()
    site.run("up")  # a token may be there before the site is
    argv = [str(BLUMEOPS), "connect", "serve", "--port", "0", "--lab", str(site.folder), "--state", str(site.state)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            made = new_client(process.stdout.readline().split()[-1], token)
            yield made
            made.session.close()
        finally:
            process.terminate()
            process.wait(20)


def serves(site: Site, word: str, token: str) -> bool:
    """Whether the service has these very values."""
    return site.ask("picky").stdout == hashlib.sha256((word + token).encode()).hexdigest()


def test_a_value_that_a_client_sets_reaches_the_service(site: Site, client: Client) -> None:
    """It is a commit on main, which the controller applies: the service restarts, others do not."""
    item = client.get_item("picky", "first")
    values = {field.label: field for field in item.fields}
    assert serves(site, values["word"].value, values["token"].value)
    caddy, head = site.process("caddy").pid, site.head()
    values["word"].value = "Another0Word0Another0Word"
    client.update_item(item.id, item.vault.id, item)
    assert eventually(lambda: serves(site, "Another0Word0Another0Word", values["token"].value))
    assert site.head() != head
    assert eventually(lambda: site.is_settled(site.head()))
    assert site.process("caddy").pid == caddy
    assert site.run("op", "read", "op://first/picky/word").stdout == "Another0Word0Another0Word\n"


def test_what_a_running_service_uses_is_not_deleted(site: Site, client: Client) -> None:
    """409, and main stays where it was; what nothing uses may come and go."""
    item, head = client.get_item("picky", "first"), site.head()
    with pytest.raises(FailedToRetrieveItemException, match=r"409.*in use by a running service"):
        client.delete_item(item.id, item.vault.id)
    assert site.head() == head


def test_op_answers_from_the_newest_revision(site: Site, client: Client, place: Path) -> None:
    """The program that `op shim` writes asks the forge of the site, from any folder."""
    site.run("op", "shim", str(place / "bin"))
    env = {**os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    words = ["op", "read", "--no-newline", "op://first/picky/word"]
    done = subprocess.run(words, cwd="/", env=env, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "Another0Word0Another0Word"
    assert client.get_vaults()[0].name == "first"
