"""A Compose file becomes services; whatever else is written in one ends in a finding, never in an error of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blumeops.lab.compose.entry import PASSED_OVER, UNDERSTOOD
from blumeops.render import local
from tests.written import check, passed

SERVICE = "photos: {host: box, compose: c.yaml, ports: {http: 3001}, secrets: {key: op://lab/photos/key}}\n"
FILE = {
    "services": {
        "Web_App": {
            "image": "example.org/web:1@sha256:" + "0" * 64, "ports": ["80:3001", "9000"], "user": "5:6",
            "command": "serve '$$x y'", "entrypoint": ["/web"], "environment": {"ON": True, "N": 5, "NONE": None},
        },
        "cache": {"image": "cache:7", "container_name": "photos_cache", "command": ["--x", "$$HOME"]},
    }
}  # fmt: skip


def test_each_service_becomes_one(tmp_path: Path) -> None:
    """The routed one has the service's name; words, variables, users and digests arrive as they were meant."""
    made = local.units(
        local.render(passed(tmp_path, {"services/a.yaml": SERVICE, "c.yaml": json.dumps(FILE)}))
    )  # fmt: skip
    web, cache = made["photos"], made["photos-cache"]
    assert web.command == (("/web",), ("serve",), ("$x y",))
    assert web.env == {"ON": ("true",), "N": ("5",), "NONE": ()}
    assert (web.sources[0].name, web.version, web.sources[0].uid) == ("example.org/web:1@sha256", "0" * 64, 5)
    assert web.container and cache.container
    assert web.container.ports == {"http": 3001, "port-9000": 9000}
    assert cache.container.arguments == (("--x",), ("$HOME",))
    assert cache.container.aliases == ("cache", "photos_cache")
    assert (web.container.network, cache.container.network) == ("photos", "photos")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["{{ x", "${A}", "a:1", "-", "8:8"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entry=st.dictionaries(st.sampled_from(sorted(UNDERSTOOD | PASSED_OVER)), VALUES, max_size=6), image=st.booleans()
)
def test_nonsense_ends_in_findings(tmp_path: Path, entry: dict[str, Any], image: bool) -> None:
    """Whatever stands in whatever field."""
    service = {**entry, **({"image": "example.org/a:1"} if image else {})}
    text = json.dumps({"services": {"a": service, "b": {"image": "b:1"}}})
    check(tmp_path, {"services/a.yaml": SERVICE, "c.yaml": text})


@pytest.mark.parametrize("path", ["../c.yaml", "/etc/c.yaml", "c", "compose/../../c.yaml", "nowhere.yaml"])
def test_the_file_is_one_of_the_lab(tmp_path: Path, path: str) -> None:
    """Another is refused at the place that names it, or said to be missing."""
    found = check(tmp_path, {"services/a.yaml": f"photos: {{host: box, compose: {path}}}\n"}).findings
    assert {finding.code for finding in found} <= {"BLU140", "BLU006"}
    assert found


def test_parts_do_not_take_the_place_of_services(tmp_path: Path) -> None:
    """A name that is there already is refused."""
    found = check(tmp_path, {"services/a.yaml": SERVICE + "photos-cache: {host: box, image: a:1, state: none}\n",
                             "c.yaml": json.dumps(FILE)}).findings  # fmt: skip
    assert [finding.code for finding in found] == ["BLU104"]


def test_versions_are_pinned_there_too(tmp_path: Path) -> None:
    """`latest`, said or not, is found in the Compose file."""
    text = '{"services": {"a": {"image": "example.org/a"}, "b": {"image": "b:latest"}}}'
    found = check(tmp_path, {"services/a.yaml": "photos: {host: box, compose: c.yaml}\n", "c.yaml": text}).findings
    assert [finding.code for finding in found] == ["BLU130", "BLU130"]
