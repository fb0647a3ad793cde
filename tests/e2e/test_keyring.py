"""A lab whose age key is in the keyring of a real Secret Service: it comes up, changes, and survives its controller."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.secrets.age import load_or_create
from tests.e2e.site import Site
from tests.e2e.small import SERVICES, make_small_site
from tests.e2e.test_secrets import APP, set_value, value
from tests.keyring_service import secret_service
from tests.leaks import Seeker

pytestmark = pytest.mark.timeout(120)

WORD, TOKEN = "op://lab/picky/word", "op://lab/picky/token"


@pytest.fixture(scope="module")
def session(own_place: Path) -> Iterator[None]:
    """A Secret Service that every command finds."""
    with (
        tempfile.TemporaryDirectory() as place,
        secret_service(Path(place)) as variables,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, text in variables.items():
            patch.setenv(name, text)
        yield


@pytest.fixture(scope="module")
def site(place: Path, session: None) -> Iterator[Site]:
    """A service with two secrets, and a key in its file; not up."""
    made = make_small_site(place)
    shutil.copytree(APP, made.folder / "apps" / "picky")
    (made.folder / SERVICES).write_text("picky: {host: server}\n")
    load_or_create(made.state / "age.key")
    yield made
    made.run("down", code=None)


def given(site: Site) -> tuple[str, str]:
    """What the service runs with: its variable and its private file."""
    (process,) = site.processes_of("server.py")
    return process.environ()["WORD"], Path(process.cmdline()[-1]).read_text()


def test_a_lab_with_its_key_in_the_keyring(site: Site) -> None:
    """It makes its secrets, takes new ones, and after its controller was killed the next one asks the keyring; the key
    itself is in no file. Then it is in its file again, and all goes on."""
    seeker, file = Seeker(), site.state / "age.key"
    seeker.know("age key", next(line for line in file.read_text().splitlines() if line.startswith("AGE-SECRET")))
    public = site.json("secret", "key")["recipients"]
    said = site.run("secret", "key", "--store-in-keyring").stdout
    assert said == f"{public[0]}: in the keyring, says {file}\n"
    assert "the key in the keyring opens" in site.run("up").stdout
    assert given(site) == (value(site, WORD), value(site, TOKEN))
    set_value(site, WORD, b"another word")
    controller = site.controller()
    assert controller
    controller.kill()
    set_value(site, TOKEN, b"another token")  # a command waits for the next one
    assert site.controller() not in (None, controller)
    assert given(site) == ("another word", "another token")
    assert not seeker.in_files(site.folder.parent)
    site.run("secret", "key", "--from-keyring")
    assert site.json("secret", "key") == {"version": 1, "file": str(file), "keyring": False, "recipients": public}
    assert {each.place for each in seeker.in_files(site.folder.parent)} == {"state/age.key"}
    site.run("up")
    set_value(site, WORD, b"a third word")
    assert given(site) == ("a third word", "another token")
