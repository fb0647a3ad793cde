"""A lab whose program is a release on a server: from `blumeops up` to a healthy service."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from blumeops.engines.local.programs import release
from tests.e2e.site import BLUMEOPS, Clone, Site, make_site
from tests.e2e.test_first import eventually
from tests.engines.local import release_server
from tests.engines.local.release_server import Publisher, publishing
from tests.engines.local.test_releases import TOOL, packed

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

APP = """\
app: tool
version: "{version}"
sources:
  - release: "{url}/{{{{ version }}}}/tool.tar.gz"
    sha256: {{{platform}: {sha256}}}
    bin: "tool-{{{{ version }}}}"
    program: tool-of-here
ports: {{http: 8000}}
command: [tool, "{{{{ listen.http.port }}}}"]
health: {{http: /, within: 20s}}
state: none
"""


def archive(version: str) -> bytes:
    """A release of that version."""
    return packed((f"tool-{version}/tool-of-here", TOOL), (f"tool-{version}/data", os.urandom(2_000_000)))


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    """Has two versions, and gives the first slowly."""
    with publishing() as made:
        made.files |= {f"/{version}/tool.tar.gz": archive(version) for version in ("1.0", "1.1")}
        made.behave["/1.0/tool.tar.gz"] = release_server.slowly(8, 0.4)
        yield made


def describe(folder: Path, publisher: Publisher, version: str, of: str = "") -> None:
    """The app in that version, with its SHA-256, or with the one of another version."""
    digest = hashlib.sha256(publisher.files[f"/{of or version}/tool.tar.gz"]).hexdigest()
    (folder / "apps/tool").mkdir(parents=True, exist_ok=True)
    text = APP.format(version=version, url=publisher.url(""), platform=release.platform(), sha256=digest)
    (folder / "apps/tool/app.yaml").write_text(text)


@pytest.fixture(scope="module")
def lab(place: Path, publisher: Publisher) -> Iterator[Site]:
    """One host, one service, a cache of its own."""
    site = make_site(place)
    text = (site.folder / "lab.yaml").read_text()
    here = re.search(r"^here: .*$", text, re.MULTILINE)
    assert here
    (site.folder / "lab.yaml").write_text(f"lab: first\nhosts: {{server: {{os: linux, role: compute}}}}\n{here[0]}\n")
    (site.folder / "services/services.yaml").write_text("tool: {host: server}\n")
    (site.folder / "secrets.sops.yaml").unlink(missing_ok=True)
    describe(site.folder, publisher, "1.0")
    (place / "cache").mkdir(mode=0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLUMEOPS_CACHE", str(place / "cache"))
        yield site
        site.run("down", code=None)


def test_doctor_tells_what_would_be_downloaded(lab: Site, publisher: Publisher) -> None:
    """Its address; nobody is asked for it."""
    answers = {each["what"]: each for each in json.loads(lab.run("doctor", "--json", code=None).stdout)["checks"]}
    assert publisher.url("/1.0/tool.tar.gz") in answers["program of tool"]["why"]
    assert answers["program of tool"]["ok"]
    assert publisher.asked == []


def test_up_downloads_it_and_it_is_healthy(lab: Site, publisher: Publisher) -> None:
    """On a terminal one line tells how far it is, and is written over; at the end the service runs."""
    ours, theirs = pty.openpty()
    argv = [str(BLUMEOPS), "up", "--lab", str(lab.folder), "--state", str(lab.state)]
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when nobody has the other end
                break
            if not piece:
                break
            said += piece
        process.communicate()
    os.close(ours)
    text = said.decode()
    assert process.returncode == 0, text
    assert f"tool 1.0: downloading {publisher.url('/1.0/tool.tar.gz')}" in text
    assert re.search(r"\r\x1b\[2Ktool 1\.0: \d+ % of 2\.0 MB(\r\x1b\[2K)", text), text
    unit = lab.units()["tool"]
    assert (unit["state"], unit["health"]) == ("running", "healthy")
    assert len(publisher.asked) == 1
    log = "".join(path.read_text() for path in lab.state.rglob("*controller*") if path.is_file())
    assert "% of" not in log


def test_an_update_whose_download_is_another_changes_nothing(lab: Site, publisher: Publisher, place: Path) -> None:
    """Both SHA-256 are named, and the version that worked serves on; with the right one it is replaced."""
    clone = lab.clone(place / "clone")
    describe(clone.path, publisher, "1.1", of="1.0")
    clone.git("commit", "-qam", "Tool 1.1")
    assert "has the SHA-256" in clone.push()
    unit = lab.units()["tool"]
    assert (unit["state"], unit["health"]) == ("running", "healthy")
    assert hashlib.sha256(publisher.files["/1.1/tool.tar.gz"]).hexdigest() in unit["reason"]
    describe(clone.path, publisher, "1.1")
    clone.git("commit", "-qam", "Tool 1.1 with its SHA-256")
    publisher.behave["/1.1/tool.tar.gz"] = release_server.slowly(8, 0.4)
    said = clone.push()
    assert "tool: restarted" in said
    assert re.search(r"remote: +tool 1\.1: \d+ % of 2\.0 MB *$", said, re.MULTILINE), said
    assert said.count("% of") == 1
    assert lab.units()["tool"]["reason"] == ""


def test_a_controller_killed_while_it_downloads(lab: Site, publisher: Publisher, place: Path) -> None:
    """By SIGKILL: the old version serves, the next controller takes the download up where it ended, and is done."""
    content = packed(("tool-1.2/tool-of-here", TOOL), ("tool-1.2/data", os.urandom(4_000_000)))
    publisher.files["/1.2/tool.tar.gz"] = content
    hold = threading.Event()
    publisher.behave["/1.2/tool.tar.gz"] = release_server.slowly(4, 0.05, hold)
    clone = Clone(place / "clone")
    describe(clone.path, publisher, "1.2")
    clone.git("commit", "-qam", "Tool 1.2")
    with clone.start_push() as pushing:
        parts = lab.state.parent / "cache" / "downloads"
        assert eventually(lambda: any(part.stat().st_size > 2_500_000 for part in parts.glob("*.part")), 30)
        controller = lab.controller()
        assert controller
        controller.kill()
        publisher.behave.clear()
        hold.set()
        pushing.communicate(timeout=60)
    assert lab.units()["tool"]["state"] == "running"
    assert eventually(lambda: lab.is_settled(lab.head()) and lab.units()["tool"]["health"] == "healthy", 60)
    path, asked = publisher.asked[-1]
    assert path == "/1.2/tool.tar.gz"
    assert int(asked.removeprefix("bytes=").rstrip("-")) > 2_500_000
