"""What is rendered for Kubernetes runs: the pods of labs/first on a real node, to the login.

Everything is applied as it was rendered, in the order of the waves, but for what a node by itself does not have:

- no External Secrets: `Cluster.secret` makes what the operator would make of an ExternalSecret;
- no storage provisioner: a local volume, which kubelet gives to the pod's group as it does a cluster's disk;
- no names and no service addresses: the lab's own `kubernetes:` block tells Miniflux the address of PostgreSQL's
  pod. A Job takes nothing from that block (it is the provider's pod, not the service's), so it is told here.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from blumeops.checks.check import check_folder
from blumeops.render.kubernetes import render

from .control_plane import ControlPlane
from .node import NAME, Node
from .service_images import load_miniflux, load_postgresql

LAB = Path(__file__).resolve().parents[2] / "labs" / "first"
PROVIDER = "postgresql.postgresql.svc"
SECONDS = 90
"""What a workload gets to be ready; its own probes give it less."""

Manifest = dict[str, Any]


@pytest.fixture(autouse=True)
def guard() -> None:
    """Not each test alone: a database starts processes whenever it likes. All is looked for after the last one."""


@dataclass
class Cluster:
    """The lab on a node. `values`: each secret's value, by its item and field."""

    node: Node
    place: Path
    values: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def plane(self) -> ControlPlane:
        return self.node.plane

    def render(self, provider_address: str = "") -> Path:
        """The lab's `argocd/` folder; with the provider's address in the service's own `kubernetes:` block."""
        lab = self.place / "lab"
        shutil.copytree(LAB, lab, dirs_exist_ok=True)
        if provider_address:
            path = lab / "services" / "services.yaml"
            services = yaml.safe_load(path.read_text())
            pods = {"spec": {"hostAliases": _aliases(provider_address)}}
            services["miniflux"]["kubernetes"] = {"spec": {"template": pods}}
            path.write_text(yaml.safe_dump(services))
        checked = check_folder(lab)
        assert checked.passed, checked.findings
        made = self.place / "rendered"
        render(checked.passed).write(made)
        return made / "argocd"

    def namespace(self, argocd: Path, service: str) -> None:
        """As Argo CD makes it: with the labels that the Application asks for."""
        application = yaml.safe_load((argocd / "apps" / f"{service}.yaml").read_text())
        about = {"name": service, **application["spec"]["syncPolicy"]["managedNamespaceMetadata"]}
        assert about["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": about})
        self.must(service, "wait", "--for=create", "serviceaccount/default")

    def sync(self, argocd: Path, service: str) -> None:
        """Apply a service's files as Argo CD does: wave by wave, each one's Jobs to their end before the next."""
        kustomization = yaml.safe_load((argocd / "manifests" / service / "kustomization.yaml").read_text())
        found: list[Manifest] = []
        for name in kustomization["resources"]:
            found += yaml.safe_load_all((argocd / "manifests" / service / name).read_text())
        for manifest in sorted(found, key=_wave):
            kind, about = manifest["kind"], manifest["metadata"]
            if kind == "ExternalSecret":
                manifest = self.secret(manifest)
            if kind == "Job":
                assert about["annotations"]["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
                self.must(about["namespace"], "delete", "job", about["name"], "--ignore-not-found")
                manifest["spec"]["template"]["spec"]["hostAliases"] = _aliases(self.address("postgresql"))
            self.apply(manifest)
            if kind == "Job":
                self.must(about["namespace"], "wait", "--for=condition=Complete", f"job/{about['name']}")

    def apply(self, manifest: Manifest) -> None:
        """Server-side, as Argo CD. Raises when it is refused or warned of."""
        self.plane.apply(yaml.safe_dump(manifest))

    def secret(self, external: Manifest) -> Manifest:
        """A stand-in for External Secrets: the Secret of an ExternalSecret, with values made up."""
        target = external["spec"]["target"]
        values = {
            one["secretKey"]: self.values.setdefault(
                (one["remoteRef"]["key"], one["remoteRef"]["property"]), secrets.token_urlsafe(18)
            )
            for one in external["spec"]["data"]
        }
        data = {key: _filled(template, values) for key, template in target["template"]["data"].items()}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": target["name"], "namespace": external["metadata"]["namespace"]},
            "type": target["template"]["type"],
            "stringData": data,
        }

    def pod(self, service: str) -> Manifest:
        """The service's pod that is not ending."""
        wanted = f"app.kubernetes.io/instance={service}"
        found = json.loads(self.must(service, "get", "pod", "-l", wanted, "-o", "json"))["items"]
        alive = [one for one in found if "deletionTimestamp" not in one["metadata"]]
        # In the provider's namespace are the pods of its users' Jobs too, but not with its labels.
        assert len(alive) == 1, f"{service} has {len(alive)} pods"
        pod: Manifest = alive[0]
        return pod

    def address(self, service: str) -> str:
        return str(self.pod(service)["status"]["podIP"])

    def ready(self, service: str, workload: str) -> None:
        """Wait until the pods of this generation, and no others, are ready."""
        self.must(service, "rollout", "status", f"{workload}/{service}")

    def must(self, namespace: str, *words: str) -> str:
        """kubectl's answer. When there is none in time, the test fails with what the pods say of themselves."""
        limited = [f"--timeout={SECONDS}s"] if words[0] in ("wait", "rollout") else []
        answer = self.plane.kubectl("-n", namespace, *words, *limited, seconds=SECONDS + 10)
        if answer.code:
            pytest.fail(f"kubectl {' '.join(words)}: {answer.stderr}\n{self.why(namespace)}", pytrace=False)
        return answer.stdout

    def why(self, namespace: str) -> str:
        """States, events and logs."""
        said = [self.plane.kubectl("describe", "pod", "-n", namespace).stdout]
        for pod in self.plane.kubectl("get", "pod", "-n", namespace, "-o", "name").stdout.split():
            said.append(self.plane.kubectl("logs", pod, "-n", namespace, "--all-containers", "--prefix").stdout)
        return "\n".join(said)

    def sql(self, statement: str) -> str:
        """What PostgreSQL answers its superuser, in its own pod: by the socket, with the password's file."""
        script = 'PGPASSWORD="$(cat /run/secrets/postgresql/superuser_password)" exec psql "$@"'
        return self.must(
            "postgresql", "exec", "postgresql-0", "-c", "postgresql", "--", "sh", "-c", script, "psql",
            "-h", "/run/postgresql", "-U", "postgres", "-XAtc", statement,
        ).strip()  # fmt: skip

    def get(self, path: str, password: str = "") -> tuple[int, str]:
        """Status and body of a page of Miniflux, perhaps as `admin`."""
        request = urllib.request.Request(f"http://{self.address('miniflux')}:8080{path}")
        if password:
            request.add_header("Authorization", f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture(scope="module")
def cluster(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The lab, up: PostgreSQL, then what Miniflux needs of it, then Miniflux."""
    load_postgresql(node)
    load_miniflux(node)
    made = Cluster(node, tmp_path_factory.mktemp("first"))
    folder = made.place / "volume"
    folder.mkdir()
    try:
        made.apply(_volume("first-postgresql", folder, ("postgresql", "state-data-postgresql-0")))
        argocd = made.render()
        for service in ("postgresql", "miniflux"):
            made.namespace(argocd, service)
        made.sync(argocd, "postgresql")
        made.ready("postgresql", "statefulset")
        made.sync(made.render(made.address("postgresql")), "miniflux")
        made.ready("miniflux", "deployment")
        yield made
    finally:
        names = ("miniflux", "postgresql")
        for name in names:  # pods first: a namespace that is to go looks after them seldom
            workloads = ("deployment,statefulset,job", "--all", "--cascade=foreground")
            made.plane.kubectl("delete", *workloads, "-n", name).must()
        made.plane.kubectl("delete", "namespace", *names, "--ignore-not-found", "--timeout=50s").must()
        made.plane.kubectl(
            "delete", "persistentvolume", "first-postgresql", "--ignore-not-found", "--timeout=30s"
        ).must()
        shutil.rmtree(made.place)  # PostgreSQL's files are another user's


def test_miniflux_is_healthy_and_its_admin_gets_in(cluster: Cluster) -> None:
    """By the pod's own address: the health check, and the generated password but no other."""
    assert cluster.get("/healthcheck") == (200, "OK")
    status, body = cluster.get("/v1/me", cluster.values["miniflux", "admin-password"])
    assert (status, json.loads(body)["username"], json.loads(body)["is_admin"]) == (200, "admin", True)
    assert cluster.get("/v1/me", "wrong")[0] == 401


def test_the_database_is_the_roles_own(cluster: Cluster) -> None:
    """The Job made role and database; the role is no superuser, and nobody else may connect."""
    owner = "SELECT pg_get_userbyid(datdba), datacl FROM pg_database WHERE datname = 'miniflux'"
    assert cluster.sql(owner).startswith("miniflux|{=T/miniflux,")
    assert cluster.sql("SELECT rolsuper, rolcanlogin FROM pg_roles WHERE rolname = 'miniflux'") == "f|t"


def test_the_state_is_private_to_the_program(cluster: Cluster) -> None:
    """The folder is PostgreSQL's own and nobody else's, in a volume that the group may write to."""
    (volume, data) = (cluster.place / "volume", cluster.place / "volume" / "data")
    assert (volume.stat().st_gid, volume.stat().st_mode & 0o070) == (999, 0o070)
    assert (data.stat().st_uid, data.stat().st_mode & 0o777) == (999, 0o700)


def test_no_container_was_started_again(cluster: Cluster) -> None:
    """The first start is enough: no probe failed for good, no program gave up and was lucky later."""
    for service in ("postgresql", "miniflux"):
        status = cluster.pod(service)["status"]
        for container in [*status.get("initContainerStatuses", []), *status["containerStatuses"]]:
            assert container["restartCount"] == 0, f"{service}: {cluster.why(service)}"


def test_a_pod_reaches_pods_only(cluster: Cluster) -> None:
    """The node has no way out for them: nothing here depends on, or disturbs, a network."""
    asked = ("psql", "host=203.0.113.1 connect_timeout=5")
    tried = cluster.plane.kubectl("-n", "postgresql", "exec", "postgresql-0", "-c", "postgresql", "--", *asked)
    assert "Network is unreachable" in tried.stderr


def test_a_stop_is_clean_and_keeps_the_state(cluster: Cluster) -> None:
    """PostgreSQL, with sessions open, ends by itself in time; the next pod goes on with the same data."""
    before, password = cluster.pod("postgresql")["metadata"]["uid"], cluster.values["miniflux", "admin-password"]
    assert int(cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'miniflux'"))
    cluster.sql("CREATE TABLE kept AS SELECT 42 AS value")
    start = time.monotonic()
    cluster.must("postgresql", "delete", "pod", "postgresql-0")
    assert time.monotonic() - start < 20
    cluster.ready("postgresql", "statefulset")
    assert cluster.pod("postgresql")["metadata"]["uid"] != before
    assert cluster.sql("SELECT value FROM kept") == "42"
    logs = cluster.must("postgresql", "logs", "postgresql-0", "-c", "postgresql")
    assert "database system was shut down at" in logs
    assert "not properly shut down" not in logs
    # The pod has another address: a sync makes Job and Deployment anew, as any change does.
    cluster.sync(cluster.render(cluster.address("postgresql")), "miniflux")
    cluster.ready("miniflux", "deployment")
    assert cluster.get("/v1/me", password)[0] == 200


def _wave(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))


def _aliases(address: str) -> list[Manifest]:
    return [{"ip": address, "hostnames": [PROVIDER]}]


def _filled(template: str, values: dict[str, str]) -> str:
    """A Go template with names only, which is all that is rendered for this lab."""
    text = re.sub(r"\{\{ \.(\w+) \}\}", lambda found: values[found[1]], template)
    assert "{{" not in text
    return text


def _volume(name: str, folder: Path, claim: tuple[str, str]) -> Manifest:
    """A folder of the node as a volume for one claim. (A hostPath volume would not be given to the pod's group.)"""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": claim[0], "name": claim[1]},
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
