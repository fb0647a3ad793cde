"""labs/blumeops, the whole example, on this machine: what can run runs, the rest says why not. In this order."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from libzim.writer import Creator, Hint, Item, StringProvider

from blumeops.checks.check import check_folder
from blumeops.render import kubernetes
from tests.e2e.site import REPOSITORY, Site, make_site
from tests.e2e.test_first import eventually

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not shutil.which("apt-get"), reason="its programs come from Debian's archive"),
]

RUNNING = {"caddy", "kiwix", "miniflux", "postgresql", "prometheus"}
PROVIDED = {"argocd", "cloudnative-pg", "external-secrets", "forgejo", "onepassword-connect", "tailscale-operator"}


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    """labs/blumeops, not yet up; down at the end, whatever happened."""
    made = make_site(place, "blumeops")
    yield made
    made.run("down", code=None)


class Page(Item):  # type: ignore[misc] # libzim has no types
    """One page of a book."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def get_path(self) -> str:
        return "rebase"

    def get_title(self) -> str:
        return "Rebase"

    def get_mimetype(self) -> str:
        return "text/html"

    def get_contentprovider(self) -> StringProvider:
        return StringProvider(f"<html><body><h1>Rebase</h1><p>{self.words}</p></body></html>")

    def get_hints(self) -> dict[Hint, bool]:
        return {Hint.FRONT_ARTICLE: True}


def make_book(file: Path, words: str) -> None:
    """A ZIM file with an index of its words (https://wiki.openzim.org/wiki/ZIM_file_format)."""
    with Creator(str(file)).config_indexing(True, "eng") as book:
        book.set_mainpath("rebase")
        book.add_item(Page(words))
        for name, value in {"Title": "Git", "Language": "eng", "Name": "devdocs_en_git"}.items():
            book.add_metadata(name, value)


def targets(site: Site) -> dict[str, tuple[str, str]]:
    """What Prometheus watches: the health of each service's metrics, and the last error."""
    answer = json.loads(site.ask("prometheus", "/api/v1/targets?state=active").stdout)
    found = answer["data"]["activeTargets"]
    return {each["labels"].get("service", each["labels"]["job"]): (each["health"], each["lastError"]) for each in found}


def test_up_settles(site: Site) -> None:
    """`up` exits with 0; each service runs, is provided, is scheduled, or says why it cannot be had here."""
    done = site.run("up")
    counted = re.search(
        r"(\d+) of \1 healthy, (\d+) unavailable, 1 at its time, 6 not run here; .*; settled", done.stdout
    )
    assert counted, done.stdout
    assert "failed" not in done.stdout + done.stderr
    status = site.json("status")
    assert (status["settled"], status["problem"]) == (True, "")
    states: dict[str, set[str]] = {}
    for unit in status["units"]:
        states.setdefault(unit["state"], set()).add(unit["id"])
        assert bool(unit["reason"]) == (unit["state"] != "running"), unit
    # What comes from publishers' own pages or as an image runs where these can be reached, and says why elsewhere.
    others = {"alloy", "alloy-k8s", "grafana", "jellyfin", "loki", "navidrome", "uptime", "zot"}
    unavailable = states.pop("unavailable", set())
    assert unavailable <= others
    assert (int(counted[1]), int(counted[2])) == (len(states["running"]), len(unavailable))
    assert states == {"running": RUNNING | others - unavailable, "provided": PROVIDED, "scheduled": {"borgmatic"}}


def test_a_second_up_changes_nothing(site: Site) -> None:
    """Every process is kept."""
    before = {name: site.process(name).pid for name in ("prometheus", "kiwix-serve", "miniflux")}
    site.run("up")
    assert {name: site.process(name).pid for name in before} == before


def test_a_plan_tells_what_changes_alone(site: Site) -> None:
    """What cannot be had here stays so, and is no change; described otherwise it is one."""
    assert site.run("plan").stdout == "nothing changes\n"
    services = site.folder / "services" / "cluster.yaml"
    before = services.read_text()
    services.write_text(before.replace("uptime-kuma:1.23.16", "uptime-kuma:1.23.15"))
    try:
        assert [change["unit"] for change in site.json("plan")["changes"]] == ["uptime"]
    finally:
        services.write_text(before)


def test_miniflux_is_served(site: Site) -> None:
    """By its name, through Caddy."""
    assert site.serves()


def test_kiwix_searches_its_sample_book(site: Site) -> None:
    """A new Kiwix has a book from the start, and finds words in it."""
    found = site.ask("kiwix", "/search?pattern=halves&content=sample").stdout
    assert 'href="/sample/bisect"' in found


def test_a_book_is_found_by_its_words(site: Site, tmp_path: Path) -> None:
    """A ZIM file that comes into kiwix' folder is served soon, with nothing restarted; a half copied one waits."""
    process = site.process("kiwix-serve").pid
    make_book(tmp_path / "book.zim", "Reapply commits, said the quetzalcoatl, atop another base")
    whole = (tmp_path / "book.zim").read_bytes()
    book = site.state / "data/kiwix/books/devdocs_en_git_2026-11.zim"
    library = book.with_name("library.xml")
    before = library.stat().st_mtime_ns
    book.write_bytes(whole[: len(whole) // 2])
    assert eventually(lambda: library.stat().st_mtime_ns != before, seconds=20)
    assert book.name not in library.read_text()
    book.write_bytes(whole)

    def found() -> bool:
        return "<b>quetzalcoatl</b>" in site.ask("kiwix", f"/search?pattern=quetzalcoatl&content={book.stem}").stdout

    assert eventually(found, seconds=20)
    assert site.process("kiwix-serve").pid == process


def test_prometheus_watches_the_lab(site: Site) -> None:
    """It scrapes those services that run and have metrics, itself and the loop among them, and answers queries."""
    assert eventually(
        lambda: targets(site) == dict.fromkeys(("caddy", "loop", "miniflux", "prometheus"), ("up", "")), seconds=40
    )
    answer = json.loads(site.ask("prometheus", "/api/v1/query?query=miniflux_users").stdout)
    (sample,) = answer["data"]["result"]
    assert (sample["metric"]["service"], sample["metric"]["app"]) == ("miniflux", "miniflux")
    assert sample["metric"]["cluster"] == "minikube"


def test_prometheus_keeps_the_rules(site: Site) -> None:
    """Every alert is loaded and evaluated without an error; none fires in a lab that is well."""
    groups = json.loads(site.ask("prometheus", "/api/v1/rules?type=alert").stdout)["data"]["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert {"Down", "ProbeFailing", "LoopDown", "BackupOld", "UnitUnhealthy"} <= rules.keys()

    def found(rule: str) -> tuple[str, str]:
        groups = json.loads(site.ask("prometheus", "/api/v1/rules?type=alert").stdout)["data"]["groups"]
        each = next(each for group in groups for each in group["rules"] if each["name"] == rule)
        return each["health"], each["state"]

    assert eventually(lambda: {found(rule)[0] for rule in rules} == {"ok"}, seconds=40)
    assert {found(rule)[1] for rule in rules} <= {"inactive", "pending"}

    def settled() -> bool:  # what was read last may be of another test's time
        answer = json.loads(site.ask("prometheus", "/api/v1/query?query=blumeops_settled").stdout)
        return [each["value"][1] for each in answer["data"]["result"]] == ["1"]

    assert eventually(settled, seconds=40)
    query = "/api/v1/query?query=blumeops_job_since_timestamp_seconds"
    (job,) = json.loads(site.ask("prometheus", query).stdout)["data"]["result"]
    assert job["metric"]["service"] == "borgmatic"


@pytest.mark.parametrize("app", ["caddy", "miniflux", "prometheus"])
def test_what_an_app_shows_is_there(site: Site, app: str) -> None:
    """The metrics of its panels are those that the real program tells (what counts nothing yet, has no series)."""
    checked = check_folder(REPOSITORY / "labs/blumeops").passed
    assert checked
    metrics = checked.facts.services[app].app.metrics
    assert metrics
    asked = {name for panel in metrics.panels for name in re.findall(rf"\b(?:{app})_\w+", panel.query)}
    asked -= {"miniflux_entries", *(name for name in asked if name.endswith("_bucket"))}
    assert asked

    def told() -> set[str]:
        return set(json.loads(site.ask("prometheus", "/api/v1/label/__name__/values").stdout)["data"])

    assert eventually(lambda: asked <= told(), seconds=40), asked - told()


@pytest.mark.parametrize(("label", "service"), [("jellyfin", "jellyfin"), ("dj", "navidrome"), ("forge", "forgejo")])
def test_what_does_not_run_has_a_page(site: Site, label: str, service: str) -> None:
    """The name of a service that does not run here answers with 503 and says which service it is, and why."""
    done = site.ask(label, "/any<script>?x={http.request.host}", "-g", "-i")
    head, _, page = done.stdout.partition("\n\n")
    assert head.startswith("HTTP/2 503")
    assert "content-type: text/html; charset=utf-8" in head
    assert "retry-after: 5" in head
    assert f"<h1>{service} does not run here</h1>" in page
    assert html.escape(site.units()[service]["reason"].partition(";")[0]) in page
    assert "/any" not in page
    assert "ops.localhost" not in page
    assert site.ask(label, "/", "-X", "POST", "-d", "x=1").stdout == page


def test_a_service_that_went_down_has_a_page_until_it_is_back(site: Site) -> None:
    """Nobody listens at its address: the page; once the address is put right the service answers again."""

    def down() -> bool:  # asked again, since the controller's look may come between
        (site.state / "upstreams/feed/1").touch()
        return "<h1>miniflux is down</h1>" in site.curl("/").stdout

    assert eventually(down, seconds=5)
    assert eventually(lambda: site.serves(), seconds=30)


def test_a_page_says_why_and_goes_without_its_file(site: Site) -> None:
    """PostgreSQL hangs: Miniflux' page says what it waits for, as soon as that is seen; without the file there is a
    page all the same."""
    site.process("postgres").suspend()
    site.process("miniflux").kill()
    try:
        assert eventually(lambda: "waits for postgresql" in site.curl("/").stdout, seconds=20)

        def without() -> bool:  # asked again, since the controller may write it between the two
            (site.state / "pages/feed.html").unlink(missing_ok=True)
            return "<h1>feed is down</h1>" in site.curl("/").stdout

        assert eventually(without, seconds=10)
    finally:
        site.process("postgres").resume()
    assert eventually(lambda: site.serves(), seconds=40)


def test_what_a_service_answers_is_passed_on(site: Site) -> None:
    """An error of the service's own is its own page."""
    done = site.ask("kiwix", "/nothing-here", "-i")
    assert done.stdout.startswith("HTTP/2 404")
    assert "is down" not in done.stdout


def test_prometheus_reads_what_is_derived_for_a_cluster(site: Site, tmp_path: Path) -> None:
    """`promtool` takes the configuration with fixed targets; it refuses one that is none."""
    checked = check_folder(REPOSITORY / "labs/blumeops").passed
    assert checked
    tree = kubernetes.render(checked)
    files = yaml.safe_load(tree.text("argocd/manifests/prometheus/configmap.yaml"))["data"]
    (tmp_path / "rules.yml").write_text(files["rules.yml"])
    text = files["prometheus.yml"].replace("/etc/prometheus/", f"{tmp_path}/")
    promtool = Path(site.process("prometheus").exe()).with_name("promtool")

    def reads(config: str) -> bool:
        (tmp_path / "prometheus.yml").write_text(config)
        command = [str(promtool), "check", "config", str(tmp_path / "prometheus.yml")]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert reads(text)
    assert not reads(text.replace("targets:", "target:"))
