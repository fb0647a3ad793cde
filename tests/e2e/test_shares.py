"""`up --share`: a folder of this machine stands in for a share of the lab, and is somebody else's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.e2e.site import BLUMEOPS, Site, running_below
from tests.eventually import eventually
from tests.ports import free_port

pytestmark = pytest.mark.timeout(120)
APP = Path(__file__).with_name("apps") / "shelf"


@pytest.fixture
def site(place: Path) -> Iterator[Site]:
    """A lab of one service, which mounts a share; not up. Nothing of it is left at the end."""
    folder, state = place / "lab", place / "state"
    shutil.copytree(APP, folder / "apps" / "shelf")
    https, forge, dns = free_port(), free_port(), free_port()
    (folder / "lab.yaml").write_text(
        "lab: shelves\nhosts:\n  server: {os: linux, role: compute}\n"
        "  nas: {os: linux, role: storage, shares: {music: {path: /srv/music, by: [nfs]}}}\n"
        f"here: {{https: {https}, forge: {forge}, dns: {dns}}}\n"
    )
    (folder / "services").mkdir()
    (folder / "services" / "services.yaml").write_text("shelf: {host: server, mounts: {music: nas/music}}\n")
    state.mkdir(mode=0o711)
    (place / "music").mkdir(mode=0o755)
    (place / "music" / "song").write_text("la la")
    (place / "music" / "song").chmod(0o644)
    made = Site(folder, state, https, forge, "shelves", dns)
    yield made
    made.run("down", code=None)
    assert running_below(state) == []
    for each in (folder, state, place / "music"):
        shutil.rmtree(each)


def heard(site: Site, state: Path | None = None) -> str:
    """What the service reads in the share; `state`: that of a preview."""
    record = json.loads(((state or site.state) / "units" / "shelf" / "record.json").read_text())
    with urlopen(f"http://127.0.0.1:{record['serving']['ports']['http']}/song", timeout=5) as answer:
        return str(answer.read().decode())


def test_a_service_reads_what_lies_in_a_named_folder(site: Site) -> None:
    """Named by a relative path, for good: `status` says so, and a later `up` need not; what lies there is not touched.
    Without a path it is a folder of the state again."""
    music = site.folder.parent / "music"
    before = {path: path.stat() for path in (music, music / "song")}
    line = [str(BLUMEOPS), "up", "--share", "music=music", "--lab", str(site.folder), "--state", str(site.state)]
    done = subprocess.run(line, cwd=site.folder.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"share nas/music is {music}" in done.stdout
    assert heard(site) == "la la"
    site.run("down")
    site.run("up")
    assert heard(site) == "la la"
    assert site.json("status")["shares"] == {"nas/music": str(music)}
    assert f"share nas/music is {music}" in site.run("status").stdout
    after = {path: path.stat() for path in before}
    assert {path: (found.st_uid, found.st_gid, found.st_mode) for path, found in after.items()} == {
        path: (found.st_uid, found.st_gid, found.st_mode) for path, found in before.items()
    }
    site.run("up", "--share", "nas/music=")
    own = site.state / "shares" / "nas" / "music"
    (own / "song").write_text("hum")
    (own / "song").chmod(0o644)
    assert heard(site) == "hum"
    assert "shares" not in site.json("status")


def test_a_preview_has_shares_of_its_own(site: Site) -> None:
    """It may be changed there without a look at what is behind: what was named for the lab is not the preview's."""
    site.run("up", "--share", f"music={site.folder.parent / 'music'}")
    preview = site.state.with_name("state.previews") / "main"
    try:
        site.run("preview", "main")
        with pytest.raises(HTTPError, match="404"):
            heard(site, preview)
        assert list((preview / "shares" / "nas" / "music").iterdir()) == []
    finally:
        site.run("preview", "main", "--down")
    assert heard(site) == "la la"


def test_a_folder_that_services_cannot_read_is_said(site: Site) -> None:
    """Before the service is started, with the way to mend it; mended, it comes up by itself. One that is taken away
    later is named too, and what serves is left alone."""
    music = site.folder.parent / "music"
    if os.geteuid() == 0:
        music.chmod(0o700)
        said = site.run("up", "--share", f"nas/music={music}", code=1)
        why = f"its share nas/music is {music}, which cannot be read by nobody, who services run as"
        assert why in said.stdout + said.stderr
        assert site.units()["shelf"]["state"] == "failed"
        music.chmod(0o755)
        eventually(lambda: site.units()["shelf"]["health"] == "healthy", seconds=30)
    else:
        site.run("up", "--share", f"nas/music={music}")
    assert heard(site) == "la la"
    music.rename(music.with_name("away"))
    said = site.run("sync", code=1)
    assert f"its share nas/music is {music}, which is not there" in said.stdout + said.stderr
    music.with_name("away").rename(music)
    site.run("sync")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("office=music", "office: is no share of the lab; it has nas/music"),
        ("nas/musik=music", "nas/musik: is no share of the lab; did you mean nas/music?"),
        ("music=gone", "gone: is not there, and should stand in for the share nas/music"),
        ("music=music/song", "song: is not a folder, and should stand in for the share nas/music"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(site: Site, words: str, why: str) -> None:
    """One clear error."""
    line = [str(BLUMEOPS), "up", "--share", words, "--lab", str(site.folder), "--state", str(site.state)]
    done = subprocess.run(line, cwd=site.folder.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "BLU798" in done.stderr
    assert why in done.stderr
    assert list(site.state.iterdir()) == []
