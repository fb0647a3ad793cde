"""A Compose file in a cluster: its parts find each other as in one network, and nobody else gets to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.base.tree import FileTree
from blumeops.facts.access.verdict import reach
from blumeops.render.kubernetes import render
from tests.unit.test_render_kubernetes_policies import Network
from tests.written import passed, said

COMPOSE = """
services:
  Web:
    image: example.org/web:1
    container_name: photos
    hostname: front
    ports: ["80:3001"]
    volumes: [media:/import]
    command: [serve, --from, /import]
  db: {image: "example.org/db:2", container_name: the-db}
  cache: {image: "example.org/cache:3"}
"""
SERVICES = """
photos: {cluster: pods, compose: c.yaml, ports: {http: 3001}, mounts: {media: nas/media}}
other: {cluster: pods, image: "example.org/other:1", state: none, ports: {http: 80}}
"""
LAB = """
lab: small
hosts:
  box: {os: linux, role: compute}
  nas: {os: dsm, role: storage, shares: {media: {path: /v/media, by: [nfs]}}}
clusters: {pods: {host: box, network_policies: true}}
"""
FILES = {"lab.yaml": LAB, "services/s.yaml": SERVICES, "c.yaml": COMPOSE}


def tree(folder: Path, **files: str) -> FileTree:
    """The manifests of the lab above, with other files."""
    return render(passed(folder, FILES | files))


def objects(made: FileTree, path: str) -> list[dict[str, Any]]:
    """Those of one file."""
    return list(yaml.safe_load_all(made.text(f"argocd/manifests/{path}")))


def found_as(made: FileTree, part: str) -> dict[str, str]:
    """By name, the part whose pods DNS answers with in the namespace of `part`, followed as DNS does."""
    heads = {}
    for name in ("photos", "photos-db", "photos-cache"):
        for each in objects(made, f"{name}/names.yaml"):
            if each["spec"].get("clusterIP") == "None":
                about = each["metadata"]
                heads[f"{about['name']}.{about['namespace']}.svc.cluster.local"] = each["spec"]["selector"]
    labels = {}
    for name in ("photos", "photos-db", "photos-cache"):
        (workload,) = objects(made, f"{name}/deployment.yaml")
        labels[name] = workload["spec"]["template"]["metadata"]["labels"]
    return {
        each["metadata"]["name"]: next(
            name for name, has in labels.items() if heads[each["spec"]["externalName"]].items() <= has.items()
        )
        for each in objects(made, f"{part}/names.yaml")
        if each["spec"]["type"] == "ExternalName" and each["metadata"]["namespace"] == part
    }


def test_each_part_finds_the_others_by_the_names_of_the_file(tmp_path: Path) -> None:
    """Its key, container_name and hostname, in small letters; its own too, but for the name of its own Service."""
    made = tree(tmp_path)
    others = {"db": "photos-db", "the-db": "photos-db", "cache": "photos-cache"}
    assert found_as(made, "photos") == {"web": "photos", "front": "photos", **others}
    assert found_as(made, "photos-db") == {"web": "photos", "photos": "photos", "front": "photos", **others}
    assert objects(made, "photos/service.yaml")[0]["metadata"]["name"] == "photos"


def test_what_comes_from_no_compose_file_gets_no_such_names(tmp_path: Path) -> None:
    """A service of an image is found as NAME.NAME.svc, as ever."""
    assert "argocd/manifests/other/names.yaml" not in tree(tmp_path)


def test_parts_call_each_other_at_any_port_and_nobody_else_does(tmp_path: Path) -> None:
    """Nobody says the ports at which they do, and what is in no file of theirs stays outside."""
    made = Network(tree(tmp_path))
    parts = ("photos", "photos-db", "photos-cache")
    for user in parts:
        for used in parts:
            assert user == used or made.passes(made.pods[user], made.pods[used], 5432)
        assert not made.passes(made.pods["other"], made.pods[user], 5432)
        assert not made.passes(made.pods[user], made.pods["other"], 80)


def test_a_share_is_mounted_where_the_file_says(tmp_path: Path) -> None:
    """Not below /mnt, as for every other service."""
    (workload,) = objects(tree(tmp_path), "photos/deployment.yaml")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    assert {"name": "mount-media", "mountPath": "/import"} in container["volumeMounts"]


def test_an_order_becomes_waves(tmp_path: Path) -> None:
    """What a part depends on is applied before it."""
    made = tree(
        tmp_path, **{"c.yaml": COMPOSE.replace('ports: ["80:3001"]', 'ports: ["80:3001"]\n    depends_on: [db]')}
    )
    waves = {
        name: yaml.safe_load(made.text(f"argocd/apps/{name}.yaml"))["metadata"]["annotations"]
        for name in ("photos", "photos-db")
    }  # fmt: skip
    assert [waves[name]["argocd.argoproj.io/sync-wave"] for name in ("photos-db", "photos")] == ["1", "2"]


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("  cache:", "  my_cache:", "c.yaml:11:3: BLU309 photos-my-cache: is not found as `my_cache`"),
        ("front", "web.front", "c.yaml:6:15: BLU309 warning: photos: is not found as `web.front`"),
        ("the-db", "Photos-Cache", "c.yaml:10:51: BLU309 photos-db: has the name `Photos-Cache`"),
        ("the-db", "cache", "c.yaml:10:51: BLU309 photos-db: has the name `cache`"),
    ],
)
def test_a_name_that_leads_nowhere_or_elsewhere(tmp_path: Path, old: str, new: str, finding: str) -> None:
    """Where the file says it: in a cluster alone."""
    files = FILES | {"c.yaml": COMPOSE.replace(old, new)}
    found = [line for line in said(tmp_path, files) if "BLU309" in line]
    assert len(found) == 1
    assert found[0].startswith(finding)
    files["services/s.yaml"] = SERVICES.replace("photos: {cluster: pods", "photos: {host: box")
    assert not [line for line in said(tmp_path, files) if "BLU309" in line]


def test_reach_says_what_the_policies_let_through(tmp_path: Path) -> None:
    """Any part calls any other, whether or not it waits for it; what is no part does not."""
    access = passed(tmp_path, FILES).access
    assert reach(access, "photos-cache", "photos", 3001).reachable
    assert not reach(access, "other", "photos", 3001).reachable
