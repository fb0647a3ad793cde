"""The table of docs/reference/app-model.md is true: what a field of an app becomes in each engine.

A tiny lab is rendered twice, once with one field of its app altered. The engine's files differ if and only if its
BECOMES does not begin with “nothing” for that field.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab, check_folder
from blumeops.lab import files as lab_files
from blumeops.lab import load
from blumeops.lab.app import App
from blumeops.render import ansible, kubernetes, local

ENGINES: dict[str, tuple[Mapping[str, str], Callable[[CheckedLab], FileTree], str]] = {
    "local": (local.BECOMES, local.render, "host"),
    "ansible": (ansible.BECOMES, ansible.render, "host"),
    "kubernetes": (kubernetes.BECOMES, kubernetes.render, "cluster"),
}
"""What the engine says, how it renders, and what a service is placed with to be its."""

APP: dict[str, Any] = {
    "app": "demo",
    "version": "1.0",
    "sources": [{"deb": "demo"}, {"container": "registry.example.org/demo"}],
    "options": {"colour": {"default": "red"}},
    "ports": {"http": 8000},
    "command": ["demo", "{{ options.colour }}", "{{ listen.http }}"],
    "files": {"demo.conf": {"path": "/etc/demo/demo.conf", "template": "demo.conf"}},
    "health": {"http": "/"},
    "state": "none",
}
CREATE = {"command": ["make", "{{ database.name }}"]}
ALTERED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "app": ({}, {"app": "other"}),
    "about": ({}, {"about": "Shows something"}),
    "version": ({}, {"version": "1.1"}),
    "kind": ({}, {"kind": "job"}),
    "sources": ({}, {"sources": [{"deb": "demo2"}, {"container": "registry.example.org/demo2"}]}),
    "tools": ({}, {"tools": {"helper": {"version": "1", "sources": [{"deb": "helper"}]}}}),
    "options": ({}, {"options": {"colour": {"default": "blue"}}}),
    "ports": ({}, {"ports": {"http": {"port": 8001, "entry": True}}}),
    # What an app needs is named by the service: the two come together.
    "needs": ({}, {"needs": {"database": "db"}, "service": {"database": "db"}}),
    "provides": (
        {"provides": {"database": {"port": "http", "scheme": "demo", "create": CREATE}}},
        {"provides": {"database": {"port": "http", "scheme": "demo", "create": {"command": ["make", "--again"]}}}},
    ),
    "command": ({}, {"command": ["demo", "--verbose", "{{ options.colour }}", "{{ listen.http }}"]}),
    "arguments": ({"command": []}, {"arguments": ["--verbose"]}),
    "init": (
        {"state": {"data": "/data"}},
        {"init": {"command": ["demo", "init"], "creates": "{{ state.data }}/there"}},
    ),
    "reload": ({}, {"reload": ["demo", "reload"]}),
    "loaded": (
        {"reload": ["demo", "reload"]},
        {"reload": ["demo", "reload"], "loaded": {"socket": "admin.sock", "http": "/config/"}},
    ),
    "env": ({}, {"env": {"DEMO": "1"}}),
    "files": (
        {},
        {"files": {**APP["files"], "more.conf": {"path": "/etc/demo/more.conf", "template": "demo.conf"}}},
    ),
    # A secret that nothing looks up is given to nobody.
    "secrets": ({}, {"secrets": {"token": {}}, "env": {"TOKEN": "{{ secrets.token }}"}}),
    "health": ({}, {"health": {"http": "/health"}}),
    "metrics": ({}, {"metrics": {"http": "/metrics"}}),
    "logs": ({}, {"logs": {"format": "json"}}),
    "state": ({}, {"state": {"data": "/data"}}),
    "samples": ({"state": {"data": "/data"}}, {"samples": {"data": "demo.conf"}}),
    "update": ({}, {"update": "replace"}),
    "stop": ({}, {"stop": {"signal": "INT", "within": "20s"}}),
    "resources": ({}, {"resources": {"memory": "64Mi"}}),
    "devices": ({"sources": [{"container": "registry.example.org/demo"}]}, {"devices": ["/dev/dri"]}),
    "internet": ({}, {"internet": True}),
}
"""For each field: what the app has before, and what it has afterwards. `service` is for the service itself."""


def rendered(folder: Path, engine: str, changes: dict[str, Any]) -> FileTree:
    """What `engine` makes of a lab with the service `demo`, and of one that keeps its database in another."""
    _, render, place = ENGINES[engine]
    app = {**copy.deepcopy(APP), **changes}
    service = app.pop("service", {})
    database = {**APP, "app": "db", "provides": {"database": {"port": "http", "scheme": "db", "create": CREATE}}}
    database["ports"] = {"http": 7000}
    user = {**APP, "app": "reader", "ports": {"http": 6000}, "needs": {"database": "demo"}}
    user["env"] = {"URL": "{{ database.url }}"}
    services: dict[str, Any] = {"demo": {"app": app["app"], **service}, "db": {}}
    apps = {app["app"]: app, "db": database}
    if "provides" in app:
        apps["reader"], services["reader"] = user, {"database": "demo"}
    settings = {
        "lab": "tiny",
        "network": {"tailnet": "example.ts.net", "domain": "ops.example.org"},
        "hosts": {"server": {"os": "linux", "role": "compute"}},
        "clusters": {"cluster": {"host": "server", "kind": "k3s"}},
        "secrets": {"vault": "tiny"},
    }
    placed = {name: {**entry, place: "server" if place == "host" else "cluster"} for name, entry in services.items()}
    placed["caddy"] = {"host": "server"}
    placed["prometheus"] = {place: "server" if place == "host" else "cluster"}  # it reads the metrics
    (folder / "services").mkdir(parents=True)
    (folder / "lab.yaml").write_text(json.dumps(settings))
    (folder / "services" / "all.yaml").write_text(json.dumps(placed))
    catalogue = folder / "catalogue"  # not the lab's own apps: those have no samples
    for name in ("caddy", "prometheus"):
        shutil.copytree(lab_files.CATALOGUE / name, catalogue / name)
    for name, text in apps.items():
        (catalogue / name).mkdir(parents=True)
        (catalogue / name / "app.yaml").write_text(json.dumps(text))
        (catalogue / name / "demo.conf").write_text("colour = {{ options.colour }}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "CATALOGUE", catalogue)
        patch.setattr(lab_files, "CATALOGUE", catalogue)
        checked = check_folder(folder)
    assert checked.passed, [str(finding) for finding in checked.findings]
    return render(checked.passed)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_field_has_its_words(engine: str) -> None:
    """BECOMES speaks of each field of the app model, and of no other."""
    assert set(ENGINES[engine][0]) == set(App.model_fields)


def test_every_field_is_altered() -> None:
    """The alterations below are of each field of the app model."""
    assert set(ALTERED) == set(App.model_fields)


@pytest.mark.parametrize("field", App.model_fields)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_table_is_true(engine: str, field: str, tmp_path: Path) -> None:
    """A field changes what is rendered exactly where the table does not say that it becomes nothing."""
    before, change = ALTERED[field]
    becomes = ENGINES[engine][0][field]
    one = rendered(tmp_path / "before", engine, before)
    two = rendered(tmp_path / "after", engine, {**before, **change})
    changed = sorted(path for path in {*one, *two} if one.files.get(path) != two.files.get(path))
    if becomes.startswith("nothing"):
        assert changed == [], f"it does become something; the table says: {becomes}"
    else:
        assert changed, f"it becomes nothing; the table says: {becomes}"
