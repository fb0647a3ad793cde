"""The documentation's examples: what the pages show is what the code says today."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from blumeops.checks.check import Checked, check_folder
from blumeops.plan.compare import compare
from blumeops.render import local

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
TUTORIAL = (DOCS / "tutorials" / "first-lab.md").read_text()


def block(page: str, after: str) -> str:
    """The indented block of a page that begins with the line `after`, without its indentation."""
    found = re.search(rf"^    {re.escape(after)}\n((?:    .*\n|\n(?=    ))*)", page, re.MULTILINE)
    assert found, f"no block begins with {after!r}"
    return re.sub(r"^    ", "", found[1], flags=re.MULTILINE)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A copy of labs/first."""
    return Path(shutil.copytree(REPOSITORY / "labs" / "first", tmp_path / "lab"))


def change(lab: Path, *changes: tuple[str, str]) -> Checked:
    """Replace text of the lab's services, which must be there, and check the lab."""
    file = lab / "services" / "services.yaml"
    text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text)
    return check_folder(lab)


def test_the_tutorial_shows_the_services_of_the_lab(lab: Path) -> None:
    """What `cat` prints in the tutorial is labs/first."""
    shown = block(TUTORIAL, "$ cat services/services.yaml")
    assert shown.rstrip() == (lab / "services" / "services.yaml").read_text().rstrip()


def test_the_tutorial_shows_the_plan(lab: Path) -> None:
    """The plan of the tutorial's change is the one that is shown."""
    before, after = check_folder(lab), change(lab, ("polling: 60m", "polling: 30m"))
    assert before.passed and after.passed
    one, two = (local.units(local.render(each)) for each in (before.passed, after.passed))
    (planned,) = compare(two, one).changes
    shown = block(TUTORIAL, "$ blumeops plan")
    assert shown.startswith(f"{planned.unit}: {planned.action}: {planned.why}\n")
    for line in (*planned.effects, *planned.diff.splitlines()[2:]):
        assert line.rstrip() in [row.strip("\n")[2:].removeprefix("  ").rstrip() for row in shown.splitlines()], line


def test_the_tutorial_shows_the_findings(lab: Path) -> None:
    """The three mistakes of the tutorial are found as they are shown."""
    last = "  options: {polling: 60m}\n"
    wrong = "  options: {poling: 30m}\ngrafana: {cluster: nowhere}\n"
    checked = change(lab, ("  database: postgresql", "  database: postgres"), (last, wrong))
    shown = block(TUTORIAL, "$ blumeops check").splitlines()
    assert [str(finding) for finding in checked.findings] == shown[:-1]
    pushed = [line.removeprefix("remote: ") for line in TUTORIAL.replace("    remote:", "remote:").splitlines()]
    assert set(shown[:-1]) <= set(pushed)


def test_the_example_of_an_app_is_one(lab: Path) -> None:
    """The app of docs/how-to/write-an-app.md passes the checks, and runs at `here`."""
    page = (DOCS / "how-to" / "write-an-app.md").read_text()
    (lab / "apps" / "pages").mkdir(parents=True)
    (lab / "apps" / "pages" / "app.yaml").write_text(block(page, "# apps/pages/app.yaml"))
    (lab / "services" / "pages.yaml").write_text("pages: {host: server}\n")
    assert "    pages: {host: server}\n" in page
    checked = check_folder(lab)
    assert checked.passed, [str(finding) for finding in checked.findings]
    assert not local.units(local.render(checked.passed))["pages"].unavailable


def test_the_example_of_a_release_is_one(lab: Path) -> None:
    """The same page's release has a download for each platform that it names."""
    page = (DOCS / "how-to" / "write-an-app.md").read_text()
    (lab / "apps" / "tool").mkdir(parents=True)
    (lab / "apps" / "tool" / "app.yaml").write_text(block(page, "# apps/tool/app.yaml"))
    (lab / "services" / "tool.yaml").write_text("tool: {host: server}\n")
    checked = check_folder(lab)
    assert checked.passed, [str(finding) for finding in checked.findings]
    (source,) = local.units(local.render(checked.passed))["tool"].sources
    assert [each.url.rpartition("/")[2] for each in source.downloads.values()] == [
        "tool_linux-amd64.tar.gz", "tool_macOS_arm64.tar.gz",
    ]  # fmt: skip


def test_the_page_about_bringing_ones_own_checks(tmp_path: Path) -> None:
    """The services that it shows, with the files of the golden lab, are a lab of which nothing is said."""
    page = (DOCS / "how-to" / "bring-your-own.md").read_text()
    lab = Path(shutil.copytree(REPOSITORY / "tests/golden/brought/lab", tmp_path / "lab"))
    for file in (lab / "services").iterdir():
        file.unlink()
    (lab / "roles" / "proxy").rename(lab / "roles" / "caddy")
    apps = ("external-secrets", "onepassword-connect", "tailscale-operator")
    parts = "".join(f"{app}: {{cluster: minikube}}\n" for app in apps)
    shown = "".join(f"{name}\n{block(page, name)}" for name in ("uptime:", "caddy:"))
    (lab / "services" / "all.yaml").write_text(parts + shown)
    settings = (lab / "lab.yaml").read_text()
    (lab / "lab.yaml").write_text(settings.replace("cluster: {host: server", "minikube: {host: server"))
    checked = check_folder(lab)
    assert checked.findings == ()
    assert checked.passed
    assert set(checked.passed.lab.brought) == {"uptime", "podinfo", "motd", "caddy"}
