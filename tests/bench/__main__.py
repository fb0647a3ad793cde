"""Prints each figure beside its bar and, where one exists, beside a peer that was measured in the same run.

Medians of a few runs on whatever machine this is: ratios travel, seconds do not. Exits with 0 whatever the
figures are: it measures, and people judge.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.policy import policy
from tests.e2e.site import BLUMEOPS, REPOSITORY, Clone, Site, make_site
from tests.ports import free_port

RUNS = 5
PUSHES = 7


def main() -> None:
    """Measure everything, a line each. What is measured is compiled first, as an installed package is."""
    compileall.compile_dir(REPOSITORY / "src", quiet=1)
    print(f"{'what':58} {'measured':>12} {'bar':>10}   beside it")
    check()
    render()
    large()
    policy(row)
    with running() as (site, up_seconds):
        row("up, programs fetched, until all is healthy", up_seconds, 10, f"{fresh_up(site):.2f} s from an empty state")
        controller(site)
        pushes(site)


def row(what: str, seconds: float, bar: float, beside: str = "") -> None:
    """One figure, in seconds."""
    print(f"{what:58} {seconds:>10.3f} s {bar:>8g} s   {beside}", flush=True)


def check() -> None:
    """`blumeops check` of the example lab, whole process, beside the libraries it stands on."""
    lab = str(REPOSITORY / "labs/blumeops")
    ours, floor = [], []
    for _ in range(RUNS):
        ours.append(timed([str(BLUMEOPS), "check", "--lab", lab]))
        floor.append(timed([sys.executable, "-c", "import pydantic.main, yaml"]))
    ratio = statistics.median(ours) / statistics.median(floor)
    row("check of labs/blumeops, whole process", statistics.median(ours), 0.3,
        f"{ratio:.1f} x importing pydantic and PyYAML ({statistics.median(floor):.3f} s)")  # fmt: skip


def render() -> None:
    """`blumeops render --site home` of the example lab and of a large one: into an empty folder, beside a copy of what
    came out, and again."""
    with tempfile.TemporaryDirectory() as folder:
        _render(REPOSITORY / "labs/blumeops", Path(folder), "labs/blumeops", 0.3)
    with large_lab(1_000) as lab:
        _render(lab, lab, "1,000 services", 3.0)


def _render(lab: Path, folder: Path, name: str, bar: float) -> None:
    argv = [str(BLUMEOPS), "render", "--site", "home", "--lab", str(lab), "--out"]
    first, copies = [], []
    for number in range(3):
        out = folder / f"out-{number}"
        first.append(timed([*argv, str(out)]))
        copies.append(timed(["cp", "-r", str(out), f"{out}.copy"]))
    count = sum(path.is_file() for path in (folder / "out-0").rglob("*"))
    row(f"render of {name}, whole process", statistics.median(first), bar,
        f"cp -r of the {count:,} files: {statistics.median(copies):.3f} s")  # fmt: skip
    again = statistics.median(timed([*argv, str(folder / "out-0")]) for _ in range(RUNS))
    row("the same when all of it is there", again, bar)


def large() -> None:
    """Check and plan of many services: the cost of one must not grow."""
    for count, bar in ((1_000, 1.5), (10_000, 15.0)):
        with large_lab(count) as lab:
            argv = [str(BLUMEOPS), "plan", "--no-diff", "--lab", str(lab), "--state", str(lab / "state")]
            runs = [timed(argv) for _ in range(3 if count < 5000 else 1)]
            each = statistics.median(runs) / count * 1000
            row(f"check and plan of {count:,} services, whole process", statistics.median(runs), bar,
                f"{each:.2f} ms a service")  # fmt: skip


@contextmanager
def large_lab(count: int) -> Iterator[Path]:
    """A lab of that many services in one cluster, all behind one proxy."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder)
        (lab / "services").mkdir()
        (lab / "lab.yaml").write_text(
            "lab: large\nhosts: {server: {os: linux, role: compute}}\n"
            "clusters: {k: {host: server}}\nnetwork: {tailnet: t.ts.net, domain: ops.example.org}\n"
        )
        entry = (
            "web-{0}:\n  cluster: k\n  name: site-{0}\n  image: registry.example.org/web:1.{0}\n"
            "  ports: {{http: 8080}}\n  state: none\n  env:\n    A: value {0}\n    B: '{{{{ service.url }}}}'\n"
        )
        text = "caddy: {host: server}\n" + "".join(entry.format(number) for number in range(count))
        (lab / "services/all.yaml").write_text(text)
        yield lab


@contextmanager
def running() -> Iterator[tuple[Site, float]]:
    """The example lab, up for the second time (so everything is fetched), and how long that took."""
    folder = Path(tempfile.mkdtemp(prefix="blumeops-bench-", dir="/tmp"))  # short, for sockets
    folder.chmod(0o711)
    site = make_site(folder, "blumeops")
    try:
        site.run("up")
        site.run("down")
        began = time.monotonic()
        site.run("up")
        yield site, time.monotonic() - began
    finally:
        site.run("down", code=None)
        shutil.rmtree(folder)


def fresh_up(site: Site) -> float:
    """`up` of another, empty state: initdb, migrations and secrets, but no download."""
    folder = Path(tempfile.mkdtemp(prefix="fresh-", dir=site.folder.parent))
    folder.chmod(0o711)
    other = make_site(folder, "blumeops")
    try:
        return timed_call(lambda: other.run("up"))
    finally:
        other.run("down", code=None)


def controller(site: Site) -> None:
    """Memory and processor time of the controller at rest, beside the process manager's memory."""
    process = site.controller()
    assert process is not None
    time.sleep(3)
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(30)
    share = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began) * 100
    manager = site.manager()
    megabytes = process.memory_info().rss / 2**20
    print(f"{'controller at rest, resident memory':58} {megabytes:>9.1f} MB {'80':>7} MB   "
          f"{megabytes / (manager.memory_info().rss / 2**20):.1f} x supervisord")  # fmt: skip
    print(f"{'controller at rest, share of a core':58} {share:>10.2f} % {'1':>8} %", flush=True)


def pushes(site: Site) -> None:
    """From the push to the new version serving, beside the program's own start and a plain push to a folder."""
    clone = site.clone(site.folder.parent / "clone")
    clone.git("pull", "-q")
    whole, after_yes, starts = [], [], []
    for number in range(PUSHES):
        _poll_every(clone, 70 + number)
        clone.git("commit", "-qam", f"Poll every {70 + number} minutes")
        accepted, served = _push_until_served(site, clone, str(70 + number))
        whole.append(served)
        after_yes.append(served - accepted)
        starts.append(_own_start(site))
    own = statistics.median(starts)
    beside = f"miniflux by hand, until it answers: {own:.3f} s"
    row("from the start of git push to the new version serving", statistics.median(whole), 1 + own, beside)
    plain = f"a plain push of as much to a folder: {_plain_push(clone):.3f} s"
    row("the same, less the program's own start", statistics.median(whole) - own, 1.0, plain)
    beside = "the push goes on until the service is up: this is the wait"
    row("from the gate's yes to the new version, less its own start", statistics.median(after_yes) - own, 1.0, beside)


def _poll_every(clone: Clone, minutes: int) -> None:
    path = clone.path / "services/cluster.yaml"
    text = re.sub(r"  options: \{polling: .*\n", "", path.read_text())
    path.write_text(text.replace("miniflux:\n", f"miniflux:\n  options: {{polling: {minutes}m}}\n"))


def _push_until_served(site: Site, clone: Clone, wanted: str) -> tuple[float, float]:
    """Seconds from the start of the push to the plan that the gate prints, and to the word that the new one serves.

    That word is held against the program itself: it answers, with the new value in its environment.
    """
    accepted = served = 0.0
    began = time.monotonic()
    push = subprocess.Popen(["git", "-C", str(clone.path), "push"], stderr=subprocess.PIPE, text=True)
    assert push.stderr is not None
    for line in push.stderr:
        if "remote: plan:" in line:
            accepted = time.monotonic() - began
        if "miniflux: restarted" in line:
            served = time.monotonic() - began
            break
    assert site.serves()
    assert site.process("miniflux").environ()["POLLING_FREQUENCY"] == wanted
    push.communicate()
    return accepted, served


def _own_start(site: Site) -> float:
    """The same program started by hand with the same environment, until its health check answers."""
    running_one = site.process("miniflux")
    environment, binary = running_one.environ(), running_one.exe()
    port = free_port()
    environment["LISTEN_ADDR"] = f"127.0.0.1:{port}"
    began = time.monotonic()
    process = subprocess.Popen([binary], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/healthcheck"
        while subprocess.run(["curl", "-sf", "-o", os.devnull, address], check=False).returncode:
            time.sleep(0.005)
        return time.monotonic() - began
    finally:
        process.terminate()
        process.wait(20)


def _plain_push(clone: Clone) -> float:
    """The newest commit, pushed to a bare repository in a folder, without a gate."""
    times = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "clone", "-q", "--bare", str(clone.path), folder], check=True)
            subprocess.run(["git", f"--git-dir={folder}", "update-ref", "refs/heads/main", "main~1"], check=True)
            times.append(timed(["git", "-C", str(clone.path), "push", "-q", folder, "main"]))
    return statistics.median(times)


def timed(argv: list[str]) -> float:
    """Seconds that a command takes, as a whole process."""
    return timed_call(lambda: subprocess.run(argv, capture_output=True, check=True))


def timed_call(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
