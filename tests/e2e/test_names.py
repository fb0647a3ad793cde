"""The lab's names by DNS: of a site that is up, in step with pushes, through kills, and with a port that is taken."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Clone, Site, make_site
from tests.e2e.test_first import eventually
from tests.engines.names.live import dig, needs_dig, status
from tests.ports import free_port

pytestmark = [pytest.mark.timeout(240), needs_dig]
APP = Path(__file__).with_name("apps") / "web"


def small(site: Site) -> Site:
    """The site with nothing but a proxy and a service of an app of its own."""
    shutil.copytree(APP, site.folder / "apps" / "web")
    for file in (site.folder / "services").iterdir():
        file.unlink()
    (site.folder / "services" / "services.yaml").write_text("caddy: {host: server}\nweb: {host: server}\n")
    return site


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    """A small site, up; while it comes up, somebody else has its DNS port."""
    made = small(make_site(place))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", made.dns))
        printed = made.run("up").stdout  # 0: the site does without
        assert re.search(rf"^warning: BLU770 port {made.dns}: is taken by .*`here: {{dns: …}}`$", printed, re.MULTILINE)
        assert made.ask("web").stdout == "one"
        told = made.json("status")
        assert told["settled"]
        assert [each.partition(":")[0] for each in told["warnings"]] == [f"BLU770 port {made.dns}"]
        assert "warning: BLU770" in made.run("status").stdout
        doctor = {each["what"]: each for each in made.json("doctor", code=1)["checks"]}
        assert f"port {made.dns} is taken by" in doctor["here.dns"]["why"]
    yield made
    made.run("down", code=None)


@pytest.fixture(scope="module")
def clone(site: Site, place: Path) -> Clone:
    """A clone that every test pushes from, one after another."""
    return site.clone(place / "clone")


def test_a_port_that_becomes_free_is_taken(site: Site) -> None:
    """Without anybody's help; status and doctor have nothing more to say."""
    assert eventually(lambda: dig(site.dns, "+short", "web.ops.localhost") == "127.0.0.1\n")
    assert "warnings" not in site.json("status")
    doctor = {each["what"]: each for each in site.json("doctor", code=None)["checks"]}
    assert doctor["here.dns"]["why"] == f"port {site.dns} is held by this lab, which is up"


def test_names_are_those_of_the_proxy(site: Site) -> None:
    """What Caddy has a route for, and nothing else."""
    assert status(dig(site.dns, "web.ops.localhost")) == "NOERROR"
    assert status(dig(site.dns, "caddy.ops.localhost")) == "NXDOMAIN"
    assert status(dig(site.dns, "web.ops.example.org")) == "REFUSED"


def test_names_follow_the_revision(site: Site, clone: Clone) -> None:
    """When a push is told to be applied, its names are there; those that it took away are gone."""
    assert status(dig(site.dns, "new.ops.localhost")) == "NXDOMAIN"
    clone.change("web: {host: server}", "web: {host: server, name: new}", "Call it otherwise")
    assert "applied" in clone.push()
    assert dig(site.dns, "+short", "new.ops.localhost") == "127.0.0.1\n"
    assert site.ask("new").stdout == "one"
    assert status(dig(site.dns, "web.ops.localhost")) == "NXDOMAIN"
    clone.change("web: {host: server, name: new}", "web: {host: nowhere}", "A mistake")
    clone.push(code=1)
    assert status(dig(site.dns, "new.ops.localhost")) == "NOERROR"
    clone.git("reset", "-q", "--hard", "HEAD~1")


def test_a_controller_that_was_killed_answers_again(site: Site) -> None:
    """From what its predecessor applied; nobody who asks is told that there is no such name."""
    controller = site.controller()
    assert controller is not None
    controller.kill()
    said = []

    def answers() -> bool:
        said.append(status(dig(site.dns, "new.ops.localhost")))
        return said[-1] == "NOERROR"

    assert eventually(answers)
    assert "NXDOMAIN" not in said


def test_the_port_moves(site: Site, clone: Clone) -> None:
    """A push says that it will, `up` does it."""
    moved = free_port()
    clone.change(f"dns: {site.dns}", f"dns: {moved}", "Another port", "lab.yaml")
    assert f"note: the DNS of its names moves to port {moved} at the next `blumeops up`" in clone.push()
    assert status(dig(site.dns, "new.ops.localhost")) == "NOERROR"
    Site(clone.path, site.state, site.https, site.forge).run("up")
    assert status(dig(moved, "new.ops.localhost")) == "NOERROR"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", site.dns))


def test_two_labs_want_the_same_port(site: Site, clone: Clone, place: Path) -> None:
    """The second one runs, and says who has it; the first one answers on."""
    below = place / "second"
    below.mkdir(mode=0o711)
    second = small(make_site(below))
    file = second.folder / "lab.yaml"
    first = int(re.findall(r"dns: (\d+)", (clone.path / "lab.yaml").read_text())[0])
    file.write_text(
        file.read_text().replace("lab: first", "lab: second").replace(f"dns: {second.dns}", f"dns: {first}")
    )
    try:
        assert f"warning: BLU770 port {first}: is taken by" in second.run("up").stdout
        assert second.ask("web").stdout == "one"
        assert status(dig(first, "new.ops.localhost")) == "NOERROR"
    finally:
        second.run("down", code=None)
