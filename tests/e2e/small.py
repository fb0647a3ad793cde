"""The smallest lab: one host, one service that may run twice and keeps nothing. It is up in a second or two."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.e2e.site import Site, running_below
from tests.ports import free_port

APP = Path(__file__).with_name("apps") / "web"
SERVICES = "services/services.yaml"


def make_small_site(below: Path) -> Site:
    """In a folder without Git, not up; with free ports."""
    folder, state = below / "lab", below / "state"
    shutil.copytree(APP, folder / "apps" / "web")
    https, forge, dns = free_port(), free_port(), free_port()
    (folder / "lab.yaml").write_text(
        f"lab: small\nhosts: {{server: {{os: linux, role: compute}}}}\n"
        f"here: {{https: {https}, forge: {forge}, dns: {dns}}}\n"
    )
    (folder / "services").mkdir()
    (folder / SERVICES).write_text("web: {host: server, options: {word: w0}}\n")
    state.mkdir(mode=0o711)
    return Site(folder, state, https, forge, "small", dns)


def started(site: Site) -> dict[str, int]:
    """How many of each there are: managers, controllers, services."""
    words = running_below(site.state)
    marks = {"manager": "supervisord", "controller": "blumeops controller", "web": "server.py"}
    return {name: sum(mark in word for word in words) for name, mark in marks.items()}


def pids(site: Site) -> set[int]:
    """The processes of the service."""
    return {int(each.split()[0]) for each in running_below(site.state) if "server.py" in each}


def web(site: Site) -> tuple[int, str]:
    """The one running service: its pid, and the word that it was told to say."""
    (found,) = [each for each in running_below(site.state) if "server.py" in each]
    said = re.search(r"^(\d+) .*server\.py \d+ (\w+) ", found)
    assert said, found
    return int(said[1]), said[2]
