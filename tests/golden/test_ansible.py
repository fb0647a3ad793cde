"""What four labs become for Ansible, file by file, and that real programs take every one of them.

`UPDATE=1 pytest tests/golden/test_ansible.py` writes the files anew: read the diff before you commit it.
"""

from __future__ import annotations

import configparser
import os
import plistlib
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import jinja2
import pytest
import yaml

from blumeops.base.tree import FileTree
from blumeops.checks.check import check_folder
from blumeops.render.ansible import render

HERE = Path(__file__).resolve().parent / "ansible"
REPOSITORY = HERE.parents[2]
LABS = {
    **{name: REPOSITORY / "labs" / name for name in ("first", "blumeops")},
    **{name: HERE / "labs" / name for name in ("native", "releases", "images")},
}
"""`blumeops` has a Mac, jobs, shares and DNS."""

LAUNCHD: dict[str, type] = {
    "Label": str, "ProgramArguments": list, "EnvironmentVariables": dict, "RunAtLoad": bool, "KeepAlive": dict,
    "StartCalendarInterval": dict, "ExitTimeOut": int, "Umask": int, "StandardOutPath": str, "StandardErrorPath": str,
}  # fmt: skip
"""launchd.plist(5), as far as agents use it: launchd passes over a key that it does not know."""
INNER = {
    "EnvironmentVariables": {"PATH"}, "KeepAlive": {"SuccessfulExit"}, "StartCalendarInterval": {"Hour", "Minute"},
}  # fmt: skip
SECTIONS = {"Unit", "Service", "Timer", "Install"}


@cache
def rendered(lab: str) -> FileTree:
    """The files of one of LABS."""
    checked = check_folder(LABS[lab])
    assert checked.passed, checked.findings
    return render(checked.passed)


@pytest.fixture(params=LABS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each lab's files in a folder of their own: the folder `ansible`."""
    rendered(request.param).write(tmp_path)
    return tmp_path / "ansible"


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_becomes_these_files(lab: str) -> None:
    """The files are those that are kept here: none more, none less, byte by byte."""
    tree, kept = rendered(lab), HERE / lab
    if os.environ.get("UPDATE"):
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        tree.write(kept)
    found = {path.relative_to(kept).as_posix(): path for path in kept.rglob("*") if path.is_file()}
    assert set(found) == set(tree)
    for path in tree:
        assert found[path].read_text() == tree.text(path), path


def test_ansible_takes_every_playbook(folder: Path) -> None:
    """`ansible-playbook --syntax-check` reads playbooks, roles, handlers and inventory without a word of warning."""
    playbooks = sorted(path.name for path in folder.glob("*.yml") if path.name != "inventory.yml")
    done = run(folder, "ansible-playbook", "--syntax-check", *playbooks)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""


def test_ansible_refuses_a_broken_role(tmp_path: Path) -> None:
    """The same check sees a module's name misspelt in a file that a role imports: it can fail."""
    rendered("native").write(tmp_path)
    tasks = tmp_path / "ansible/roles/caddy/tasks/linux.yml"
    tasks.write_text(tasks.read_text().replace("ansible.builtin.apt:", "ansible.builtin.aptt:"))
    assert run(tmp_path / "ansible", "ansible-playbook", "--syntax-check", "server.yml").returncode != 0


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("folder", ["native", "releases", "images", "blumeops"], indirect=True)
def test_ansible_lint_finds_nothing(folder: Path) -> None:
    """ansible-lint passes with its strictest profile; only hyphens in names of roles stay: services have them."""
    done = run(
        folder, "ansible-lint", "--offline", "--profile", "production", "--skip-list", "role-name", "--nocolor", "."
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_inventory_has_every_host_in_the_group_of_its_system(folder: Path) -> None:
    """`ansible-inventory` reads the hosts and their addresses."""
    done = run(folder, "ansible-inventory", "--list", "--yaml")
    groups = yaml.safe_load(done.stdout)["all"]["children"]
    assert set(groups) <= {"linux", "macos", "dsm"}
    if "macos" in groups:
        assert groups["macos"]["hosts"]["indri"] == {"ansible_host": "192.168.1.50"}
        assert list(groups["dsm"]["hosts"]) == ["sifaka"]
    else:
        assert groups == {"linux": {"hosts": {"server": {}}}}


def test_every_plist_says_what_launchd_knows(folder: Path) -> None:
    """Each agent is a property list whose keys launchd has, with values of the right types, and no environment."""
    plists = sorted(folder.rglob("launchd.plist.j2"))
    assert plists
    for path in plists:
        agent = plistlib.loads(plain(path).encode())
        for key, value in agent.items():
            assert isinstance(value, LAUNCHD[key]), (path, key)
            assert key not in INNER or set(agent[key]) == INNER[key], (path, key)
        assert agent["ProgramArguments"][:2] == ["/bin/sh", "-c"]
        assert {"Label", "ProgramArguments"} < set(agent)


def test_every_unit_is_one(folder: Path) -> None:
    """Each systemd unit has its sections, a line a setting, and starts a program with the environment file."""
    for path in sorted(folder.rglob("systemd.*.j2")):
        unit = configparser.RawConfigParser(
            strict=True, delimiters="=", comment_prefixes="#", empty_lines_in_values=False
        )
        unit.optionxform = str  # type: ignore[method-assign,assignment]  # its documented use
        unit.read_string(plain(path))
        assert set(unit.sections()) <= SECTIONS
        if "Service" in unit and "cluster_" not in str(path):  # a minikube is started, and not a program
            assert unit["Service"]["EnvironmentFile"].endswith("/env")
            assert unit["Service"]["ExecStart"]
            assert unit["Service"]["NoNewPrivileges"] == "true"


def test_every_file_says_where_it_is_from(folder: Path) -> None:
    """The first lines name the file of the lab and what in it; no number of a line is in any of them."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        head = "".join(path.read_text().splitlines(keepends=True)[:2])
        assert "Derived by blumeops from " in head, path
        assert head.count("; do not edit.") == 1
        assert not any(character.isdigit() for character in head.split("from ")[1].split(";")[0]), path


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of this environment in `folder`, with its settings there and a home of its own."""
    settings = {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder.parent / "home"),
        "LC_ALL": "C.UTF-8",
    }
    programs = str(Path(sys.executable).parent)
    env = {**os.environ, **settings, "PATH": programs + os.pathsep + os.environ["PATH"]}
    command = [str(Path(programs) / program), *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=150, check=False)


def plain(template: Path) -> str:
    """A template with something in the place of each variable."""

    class Something(jinja2.ChainableUndefined):
        def __str__(self) -> str:
            return "/some/path"

        __html__ = __str__

    environment = jinja2.Environment(undefined=Something, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["to_json"] = lambda value, **_: f'"{value}"'
    return environment.from_string(template.read_text()).render()
