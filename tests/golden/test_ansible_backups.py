"""The configuration of backups on hosts, as real programs read it: borgmatic validates it, ssh its options."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.render.ansible import render

REPOSITORY = Path(__file__).resolve().parents[2]
LINUX = """\
lab: two
hosts:
  one: {os: linux, role: compute, address: "2001:db8::1"}
  two: {os: linux, role: compute, address: 192.0.2.2}
  nas: {os: linux, role: storage, address: "2001:db8::9", shares: {kept: {path: "/it's/a %s path", by: [BY]}}}
backup: {to: nas/kept, at: "04:30", keep: {weekly: 3}}
"""
SERVICES = """\
caddy: {host: two}
borgmatic: {host: one}
postgresql: {host: two}
miniflux: {host: one, database: postgresql}
prometheus: {host: one}
"""
MAKER = "maker: {app: borgmatic, host: two}\n"


def blumeops() -> FileTree:
    """The example, for its hosts."""
    checked = check_folder(REPOSITORY / "labs/blumeops")
    assert checked.passed
    return render(checked.passed)


@pytest.fixture
def lab(tmp_path: Path) -> Callable[..., FileTree]:
    """Renders a lab of two hosts; `by`: how the share is offered."""

    def made(services: str = SERVICES, by: str = "ssh") -> FileTree:
        (tmp_path / "services").mkdir(exist_ok=True)
        (tmp_path / "lab.yaml").write_text(LINUX.replace("BY", by))
        (tmp_path / "services/all.yaml").write_text(services)
        checked = check_folder(tmp_path)
        assert checked.passed, checked.findings
        return render(checked.passed)

    return made


def text_of(tree: FileTree, role: str = "borgmatic", system: str = "linux") -> str:
    """Its file as Ansible would write it."""
    folder = f"ansible/roles/{role}"
    facts = {"architecture": "arm64", "user_id": "me", "user_uid": 501, "user_dir": "/Users/me"}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    known: dict[str, Any] = {"ansible_facts": facts}

    def evaluated(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: evaluated(each) for key, each in value.items()}
        return environment.from_string(value).render(known) if isinstance(value, str) else value

    for file in ("defaults/main.yml", f"vars/{system}.yml"):
        for name, value in yaml.safe_load(tree.text(f"{folder}/{file}")).items():
            known[name] = evaluated(value)
    return environment.from_string(tree.text(f"{folder}/templates/config.yaml.j2")).render(known)


def valid(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """borgmatic's own word about a file."""
    file = folder / "borgmatic.yaml"
    file.write_text(text)
    command = [str(Path(sys.executable).parent / "borgmatic"), "--config", str(file), "config", "validate"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_borgmatic_takes_the_files_of_hosts(lab: Callable[..., FileTree], tmp_path: Path) -> None:
    """On a Mac and on Linux, with every way to the share, without a word of warning; and it refuses a broken one."""
    texts = [text_of(blumeops(), system="darwin"), text_of(lab()), text_of(lab(by="nfs"))]
    for text in texts:
        done = valid(text, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "WARN" not in done.stdout + done.stderr
    assert valid(texts[0].replace("keep_daily", "keep_dayly"), tmp_path).returncode != 0


def test_the_example_keeps_what_is_on_its_mac_and_the_cluster_s_database() -> None:
    """Folders of the Mac's own services, the database by its name of the tailnet, and a share reached by SSH; what
    lies in the cluster's volumes is named as not kept."""
    text = text_of(blumeops(), system="darwin")
    found = yaml.safe_load(text)
    assert "/opt/homebrew/var/forgejo/data" in found["source_directories"]
    assert not [each for each in found["source_directories"] if "navidrome" in each or "borgmatic" in each]
    (database,) = found["postgresql_databases"]
    assert (database["hostname"], database["name"]) == ("pg.tail8d86e.ts.net", "miniflux")
    assert database["password"] == '{credential file "/opt/homebrew/etc/borgmatic/secrets/miniflux-database"}'
    assert [each["path"] for each in found["repositories"]] == ["ssh://sifaka/volume1/backups/blumeops"]
    assert {unit: found[f"keep_{unit}"] for unit in ("daily", "monthly", "yearly")} == {
        "daily": 7, "monthly": 12, "yearly": 10,
    }  # fmt: skip
    assert [each["name"] for each in found["checks"]] == ["repository", "archives"]
    (left,) = [line for line in text.splitlines() if line.startswith("# Folders")]
    assert "navidrome (minikube)" in left
    assert "postgresql" not in left


def test_ssh_takes_its_options(tmp_path: Path) -> None:
    """OpenSSH reads the command: it asks nobody, and remembers hosts where the job may write."""
    command = shlex.split(yaml.safe_load(text_of(blumeops(), system="darwin"))["ssh_command"])
    done = subprocess.run([*command, "-G", "sifaka"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    assert (said["batchmode"], said["identitiesonly"], said["stricthostkeychecking"]) == ("yes", "yes", "accept-new")
    assert said["userknownhostsfile"] == "/opt/homebrew/var/borgmatic/data/known_hosts"
    assert said["identityfile"] == "/opt/homebrew/var/borgmatic/data/ssh_key"


def test_each_maker_holds_its_own_host(lab: Callable[..., FileTree]) -> None:
    """Folders stay where they are; a database goes with the device of its provider, or with the only maker."""
    alone = yaml.safe_load(text_of(lab()))
    assert alone["source_directories"] == ["/var/lib/prometheus/data"]
    assert [each["hostname"] for each in alone["postgresql_databases"]] == ["192.0.2.2"]
    tree = lab(SERVICES + MAKER)
    first, second = (yaml.safe_load(text_of(tree, role)) for role in ("borgmatic", "maker"))
    assert "postgresql_databases" not in first
    assert second["source_directories"] == ["/var/lib/caddy/data"]
    assert [each["hostname"] for each in second["postgresql_databases"]] == ["127.0.0.1"]


def test_a_share_with_a_hostile_path(lab: Callable[..., FileTree]) -> None:
    """A quote in the path ends no string; a version 6 address stands in brackets; a mounted share may be written."""
    assert yaml.safe_load(text_of(lab()))["repositories"][0]["path"] == "ssh://[2001:db8::9]/it's/a %s path/two"
    mounted = lab(by="nfs")
    assert yaml.safe_load(text_of(mounted))["repositories"][0]["path"] == "/mnt/kept/two"
    unit = mounted.text("ansible/roles/borgmatic/templates/systemd.service.j2")
    assert "RequiresMountsFor={{ borgmatic_share" in unit
    assert "CAP_DAC_READ_SEARCH" in unit
    assert "ssh_key" not in mounted.text("ansible/roles/borgmatic/tasks/main.yml")


def test_no_secret_is_in_an_argument_or_the_file(lab: Callable[..., FileTree]) -> None:
    """Passphrase and passwords come from `op` into private files; nothing of them is printed."""
    tree = lab()
    assert "op_secrets" not in tree.text("ansible/roles/borgmatic/templates/config.yaml.j2")
    tasks = yaml.safe_load(tree.text("ansible/roles/borgmatic/tasks/main.yml"))
    told = [task for task in tasks if "op_secrets" in str(task)]
    assert [task["ansible.builtin.copy"]["dest"].rpartition("/")[2] for task in told] == [
        "passphrase", "miniflux-database",
    ]  # fmt: skip
    assert all(task["no_log"] and task["ansible.builtin.copy"]["mode"] == "0600" for task in told)
