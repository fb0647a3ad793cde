"""The rendered roles on a real host: Debian with systemd, reached over SSH as a user who becomes root.

Its `op` is what `blumeops op shim` writes, in front of a SOPS file. Caddy, PostgreSQL and Miniflux are Debian's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from blumeops.checks.check import check_folder
from blumeops.render.ansible import render
from tests.engines.host.fixtures import MARKS, skip_without_means
from tests.engines.host.machine import TestHost
from tests.engines.host.playbook import Result
from tests.engines.op.store import make_store

pytestmark = [*MARKS, pytest.mark.slow, pytest.mark.xdist_group("ansible")]

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "golden" / "ansible" / "labs" / "native"
SERVICES = ("caddy", "postgresql", "miniflux")
DOMAIN = "ops.example.org"
ROOT = "/var/lib/caddy/data/caddy/pki/authorities/local/root.crt"
NASTY = "a{{ 7 * 7 }}{% raw %}\\'\"$HOME `id` %h\n;#é\\"
"""As an option, and as a secret."""


@dataclass(frozen=True)
class Operator:
    """Somebody with a lab, a host, and nothing but Ansible."""

    host: TestHost
    folder: Path

    def renders(self, lab: Path) -> Path:
        """The rendered folder `ansible`, with how the test's host is reached beside it."""
        checked = check_folder(lab)
        assert checked.passed, checked.findings
        out = self.folder / lab.name
        render(checked.passed).write(out)
        (out / "ansible/host_vars").mkdir(exist_ok=True)
        (out / "ansible/host_vars/server.json").write_text(json.dumps(self.host.inventory_vars(user="ops")))
        return out / "ansible"

    def runs(self, lab: Path, *arguments: str, check: bool = True) -> Result:
        """One run of the lab's playbook; no secret is in what it prints."""
        ansible = self.renders(lab)
        result = self.host.ansible_playbook(
            ansible / "server.yml", ansible / "inventory.yml", "--diff", *arguments, check=check
        )
        for secret in map(answer, SECRETS):
            assert secret not in result.stdout + result.stderr
        return result

    def pids(self) -> dict[str, str]:
        """The main process of each service."""
        shown = self.host.run(["systemctl", "show", "--property=MainPID", "--value", *SERVICES]).stdout.split()
        return dict(zip(SERVICES, shown, strict=True))

    def fetches(self, name: str) -> str:
        """A page, through the proxy, by someone who trusts its certificate authority."""
        there = ["--cacert", ROOT, "--resolve", f"{name}.{DOMAIN}:443:127.0.0.1", f"https://{name}.{DOMAIN}/"]
        return self.host.run(["curl", "-sS", "--fail", "--location", *there]).stdout


SECRETS = (
    "op://native/miniflux/admin-password", "op://native/miniflux/database-password",
    "op://native/postgresql/superuser-password",
)  # fmt: skip


def answer(reference: str) -> str:
    """The value that the store has for a reference."""
    return hashlib.sha256(reference.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Native:
    """The native lab, applied: what Ansible would have done, what it did, and what it did when asked again."""

    operator: Operator
    dry: Result
    first: Result
    again: Result


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A fresh host, and `op` on the path, with a store of all secrets behind it."""
    skip_without_means()
    values = {reference: answer(reference) for reference in SECRETS} | {"op://lab/hostile/nasty": NASTY}
    store = make_store(tmp_path_factory.mktemp("store"), values)
    with pytest.MonkeyPatch.context() as patch, TestHost("server") as host:
        patch.setenv("PATH", store.search)
        yield Operator(host, tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="module")
def native(operator: Operator) -> Native:
    """Three runs: in check mode on the fresh host, for real, and once more."""
    dry = operator.runs(NATIVE, "--check")
    untouched = operator.host.run(["sh", "-c", "ls /etc/caddy /etc/systemd/system/miniflux.service"], check=False)
    assert untouched.returncode != 0
    return Native(operator, dry, operator.runs(NATIVE), operator.runs(NATIVE))


def test_check_mode_shows_what_would_be_done(native: Native) -> None:
    """On a host that has nothing yet, a dry run ends well and shows the files that it would write."""
    assert native.dry.code == 0
    assert "+ExecStart=miniflux" in native.dry.stdout
    assert "+\treverse_proxy 127.0.0.1:8080" in native.dry.stdout
    assert {f"{service} : Write the unit" for service in SERVICES} < set(native.dry.changed_tasks)


def test_the_first_run_sets_everything_up(native: Native) -> None:
    """Each service runs under systemd as an account of its own, enabled, and its secrets are private."""
    assert (native.first.code, native.first.failed) == (0, 0)
    run = native.operator.host.run
    assert run(["systemctl", "is-enabled", *SERVICES]).stdout.split() == ["enabled"] * 3
    assert run(["systemctl", "--failed", "--no-legend"]).stdout == ""
    for service, pid in native.operator.pids().items():
        assert run(["ps", "-o", "user=", "-p", pid]).stdout.strip() in (service, service[:7] + "+")
    private = run(
        ["find", "/etc/caddy", "/etc/postgresql", "/etc/miniflux", "-name", "env", "-perm", "600", "-user", "root"]
    )
    assert len(private.stdout.split()) == 3
    assert run(["stat", "-c", "%a %U", "/etc/postgresql/secrets/superuser_password"]).stdout == "600 postgresql\n"
    units = run(["systemctl", "show", *SERVICES]).stdout
    assert not [secret for secret in map(answer, SECRETS) if secret in units]


def test_only_the_proxy_is_reached_from_outside(native: Native) -> None:
    """Callers are all on the host, so nothing but the entry port and SSH listens beyond loopback."""
    listening = native.operator.host.run(["ss", "-ltnH"]).stdout.splitlines()
    wide = {line.split()[3].rpartition(":")[2] for line in listening if not line.split()[3].startswith("127.0.0.1:")}
    assert wide == {"22", "443"}


def test_a_second_run_changes_nothing(native: Native) -> None:
    """The same playbook again: every task finds its work done."""
    assert (native.again.changed, native.again.changed_tasks, native.again.failed) == (0, (), 0)


@dataclass(frozen=True)
class Changes:
    """Two changes, one after the other: what each run did, the processes before and after, a page at the end."""

    polling: Result
    name: Result
    pids: tuple[dict[str, str], dict[str, str], dict[str, str]]
    variables: list[str]
    """What Miniflux had in its environment after the first of them."""
    pages: tuple[str, str]


@pytest.fixture(scope="module")
def changes(native: Native, tmp_path_factory: pytest.TempPathFactory) -> Changes:
    """Another interval for Miniflux, then another name. (Here, and not in a test: it starts processes that stay.)"""
    operator, lab = native.operator, tmp_path_factory.mktemp("changed") / "native"
    shutil.copytree(NATIVE, lab)
    services = lab / "services/services.yaml"
    operator.host.run(["apt-get", "-q", "-y", "install", "curl"])
    first, page = operator.pids(), operator.fetches("feed")
    services.write_text(services.read_text().replace("polling: 60m", "polling: 5m"))
    polling, second = operator.runs(lab), operator.pids()
    variables = operator.host.run(["cat", f"/proc/{second['miniflux']}/environ"]).stdout.split("\0")
    services.write_text(services.read_text().replace("name: feed", "name: news"))
    name, third = operator.runs(lab), operator.pids()
    return Changes(polling, name, (first, second, third), variables, (page, operator.fetches("news")))


def test_miniflux_is_served_by_the_proxy(changes: Changes) -> None:
    """Under its name, with a certificate of Caddy's own authority; and under the new name when it has one."""
    assert all("Miniflux" in page for page in changes.pages)


def test_a_changed_option_restarts_its_service_alone(changes: Changes) -> None:
    """The environment is written, Miniflux is another process with the new value, the others are the same ones."""
    assert changes.polling.changed_tasks == (
        "miniflux : Write the environment", "miniflux : Restart miniflux.service",
    )  # fmt: skip
    before, after, _ = changes.pids
    assert {service for service in SERVICES if after[service] != before[service]} == {"miniflux"}
    assert "POLLING_FREQUENCY=5" in changes.variables


def test_a_changed_route_reloads_the_proxy(changes: Changes) -> None:
    """The diff is the line of the route; Caddy reads it and stays the same process."""
    assert changes.name.changed_tasks == (
        "caddy : Write Caddyfile", "caddy : Reload caddy.service",
        "miniflux : Write the environment", "miniflux : Restart miniflux.service",
    )  # fmt: skip
    assert "-https://feed.ops.example.org {\n+https://news.ops.example.org {\n" in changes.name.stdout
    assert changes.pids[0]["caddy"] == changes.pids[2]["caddy"]


SHOW = """\
import json, os, signal, sys
out = sys.argv[1]
with open(sys.argv[2]) as file:
    seen = {"argument": sys.argv[3], "variable": os.environ["NASTY"], "secret": os.environ["SECRET"]}
    seen["file"] = file.read()
with open(os.path.join(out, "seen.json"), "w") as file:
    json.dump(seen, file)
signal.pause()
"""
APP = """\
app: hostile
version: "3.13"
sources: [{deb: python3, suite: trixie}]
options: {nasty: {}}
command: [python3, "{{ files.show.py }}", "{{ state.data }}", "{{ files.nasty }}", "{{ options.nasty }}"]
env: {NASTY: "{{ options.nasty }}", SECRET: "{{ secrets.nasty }}"}
files:
  show.py: {path: /etc/hostile/show.py, template: show.py}
  nasty: {path: /etc/hostile/nasty, template: nasty}
secrets: {nasty: {}}
health: {command: [test, -s, "{{ state.data }}/seen.json"]}
state: {data: /data}
"""


@dataclass(frozen=True)
class Hostile:
    """What a program saw of its hostile values, and two runs of its playbook."""

    seen: dict[str, str]
    first: Result
    again: Result


@pytest.fixture(scope="module")
def hostile(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    """A lab with one service, whose option and secret are NASTY."""
    lab = tmp_path_factory.mktemp("labs") / "hostile"
    for folder in ("services", "apps/hostile"):
        (lab / folder).mkdir(parents=True)
    (lab / "lab.yaml").write_text("lab: hostile\nhosts: {server: {os: linux, role: compute}}\n")
    service = {"hostile": {"host": "server", "options": {"nasty": NASTY}}}
    (lab / "services/services.yaml").write_text(json.dumps(service))
    files = {"app.yaml": APP, "show.py": SHOW, "nasty": "<{{ options.nasty }}>\n\n"}
    for name, text in files.items():
        (lab / "apps/hostile" / name).write_text(text)
    first = operator.runs(lab)
    seen = json.loads(operator.host.run(["cat", "/var/lib/hostile/data/seen.json"]).stdout)
    return Hostile(seen, first, operator.runs(lab))


def test_hostile_values_reach_the_program_as_they_are(hostile: Hostile) -> None:
    """An argument, a variable, a secret and a file, through Ansible and systemd: the very same characters."""
    assert hostile.first.failed == 0
    assert hostile.seen == {"argument": NASTY, "variable": NASTY, "secret": NASTY, "file": f"<{NASTY}>\n\n"}
    assert hostile.again.changed == 0
