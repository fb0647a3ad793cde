"""Folders of this machine that stand in for shares: which words name which, and where a share is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blumeops.base.errors import Unavailable, UserError
from blumeops.cli.shares import named
from blumeops.engines.local import shares
from blumeops.engines.local.folders import FIRST_USER, Account, Folders, service_account
from blumeops.lab.settings import Settings
from blumeops.status import shares as kept

MUSIC = {"path": "/srv/music", "by": ["nfs"]}
SETTINGS = Settings.model_validate({
    "lab": "x",
    "hosts": {
        "nas": {"os": "linux", "role": "storage", "shares": {"music": MUSIC, "media": MUSIC}},
        "old": {"os": "linux", "role": "storage", "shares": {"media": MUSIC}},
    },
})  # fmt: skip
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs services as another user")


def test_what_was_named_stays_until_it_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is one of the folder that we are in; the host may be left out where that is clear."""
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    first = named([("music", "a")], {}, SETTINGS)
    assert first == {"nas/music": tmp_path / "a"}
    both = named([("old/media", str(tmp_path))], first, SETTINGS)
    assert both == {"nas/music": tmp_path / "a", "old/media": tmp_path}
    assert named([], both, SETTINGS) == both
    assert named([("nas/music", "")], both, SETTINGS) == {"old/media": tmp_path}


def test_a_share_of_several_hosts_needs_its_host(tmp_path: Path) -> None:
    """Which they are is said."""
    with pytest.raises(UserError, match="is a share of several hosts; write nas/media or old/media") as error:
        named([("media", str(tmp_path))], {}, SETTINGS)
    assert error.value.code == "BLU798"


def test_where_a_share_is(tmp_path: Path) -> None:
    """A share has a host; what is in it comes behind."""
    folders = Folders(tmp_path, Account(), {"nas/music": Path("/srv/songs")})
    assert folders.share("nas/music") == Path("/srv/songs")
    assert folders.share("nas/music/albums/1") == Path("/srv/songs/albums/1")
    assert folders.share("nas/media/films") == tmp_path / "shares/nas/media/films"
    folders.make_share("nas/music")
    assert not (tmp_path / "shares").exists()
    folders.make_share("nas/media")
    assert (tmp_path / "shares/nas/media").is_dir()


def test_what_a_person_put_in_the_place_of_a_share_stays(tmp_path: Path) -> None:
    """A link to a folder of their own, say."""
    (tmp_path / "shares/nas").mkdir(parents=True)
    (tmp_path / "shares/nas/media").symlink_to("/srv")
    Folders(tmp_path, Account()).make_share("nas/media")
    assert (tmp_path / "shares/nas/media").readlink() == Path("/srv")


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    """Privately; what is damaged names nothing."""
    kept.write(tmp_path, {"nas/music": Path("/srv/a b")})
    assert kept.read(tmp_path) == {"nas/music": Path("/srv/a b")}
    for content in ("", "[]", '{"nas/music": 1}', "{"):
        (tmp_path / kept.FILE).write_text(content)
        assert kept.read(tmp_path) == {}


@root
def test_who_cannot_read_a_named_folder(state: Path) -> None:
    """A process has to get to it and into it; a container only into it, as another user."""
    music = state / "closed" / "music"
    music.mkdir(parents=True)
    music.chmod(0o755)
    folders = Folders(state, service_account(), {"nas/music": music})
    contained = Account(FIRST_USER + 1000, FIRST_USER + 1000)

    def refusal(account: Account, *, inside: bool) -> str:
        try:
            shares.require(folders, "web", "nas/music", account, contained=inside)
        except Unavailable as error:
            return f"{error.code} {error.message}; {error.hint}"
        return ""

    assert refusal(folders.account, inside=False) == ""
    music.parent.chmod(0o700)
    assert f"and {music.parent} cannot be read by nobody" in refusal(folders.account, inside=False)
    assert refusal(contained, inside=True) == ""
    music.chmod(0o750)
    assert f"user {FIRST_USER + 1000} of this machine; let others read it: chmod o+rx {music}" in refusal(
        contained, inside=True
    )
    os.chown(music, FIRST_USER + 1000, 0)
    assert refusal(contained, inside=True) == ""
    music.rmdir()
    assert refusal(contained, inside=True).startswith(f"BLU719 its share nas/music is {music}, which is not there")
    shares.require(folders, "web", "nas/other", contained, contained=True)
