"""The harness itself: that it is the real thing, that it tells what went wrong, that it leaves nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from .build import kubernetes_version
from .control_plane import ControlPlane, control_plane
from .kubectl import Action, Refused, Warned
from .servers import NotStarted, Servers, free_ports

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: {namespace}
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: web}}
  template:
    metadata:
      labels: {{app: web}}
    spec:
      containers:
        - name: web
          image: registry.invalid/web:1
          resources:
            limits: {{cpu: 1000m, memory: 64Mi}}
          env:
            - {{name: A, value: "1"}}
            - {{name: B, value: "2"}}
          ports:
            - {{containerPort: 8080}}
          volumeMounts:
            - {{name: scratch, mountPath: /tmp}}
      volumes:
        - name: scratch
          emptyDir: {{}}
"""

EXTERNAL = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: database
  namespace: {namespace}
spec:
  refreshInterval: 1h
  secretStoreRef: {{kind: ClusterSecretStore, name: vault}}
  target: {{name: database}}
  data:
    - secretKey: password
      remoteRef: {remote}
"""


def test_the_api_server_is_the_version_that_was_built(cluster: ControlPlane) -> None:
    """Its version decides what it accepts, so it has to be the one that go.mod names, not `v0.0.0-master`."""
    assert cluster.version == kubernetes_version()


def test_everything_listens_on_loopback_only(cluster: ControlPlane) -> None:
    """Nobody else on the network can reach the servers."""
    for server in cluster.servers.running:
        listening = [one for one in psutil.Process(server.process.pid).net_connections() if one.status == "LISTEN"]
        assert listening, server.name
        assert {one.laddr.ip for one in listening} == {"127.0.0.1"}, server.name


def test_nobody_is_let_in_without_a_certificate(cluster: ControlPlane) -> None:
    """Loopback is shared by all users of the machine: the kubeconfig is the only way in, and ours alone."""
    answer = cluster.kubectl("--kubeconfig=/dev/null", f"--server={cluster.url}", "--insecure-skip-tls-verify",
                             "--username=x", "--password=y", "get", "--raw", "/api")  # fmt: skip
    assert answer.code
    assert "Unauthorized" in answer.stderr
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert cluster.folder.stat().st_mode & 0o777 == 0o700


def test_a_second_apply_changes_nothing(cluster: ControlPlane, namespace: str) -> None:
    """The first creates, the second finds all as it is, though controllers have written to it meanwhile."""
    text = DEPLOYMENT.format(namespace=namespace, replicas=2)
    (created,) = cluster.apply(text)
    assert (created.kind, created.namespace, created.name, created.action) == (
        "Deployment", namespace, "web", Action.CREATED,
    )  # fmt: skip
    cluster.kubectl("wait", "--for=create", "replicaset", "-l", "app=web", "-n", namespace, "--timeout=30s").must()
    (again,) = cluster.apply(text)
    assert (again.action, again.fields) == (Action.UNCHANGED, ())
    assert cluster.differs(text) == ""


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("replicas: 2", "replicas: 3", "spec.replicas"),
        ('value: "2"', 'value: "3"', 'env[{"name":"B"}].value'),
        ("1000m", "500m", "limits.cpu"),
        ('            - {name: B, value: "2"}\n', "", 'env[{"name":"B"}].value'),
        ('{name: A, value: "1"}\n            - {name: B, value: "2"}',
         '{name: B, value: "2"}\n            - {name: A, value: "1"}', "env[]"),
        ("labels: {app: web}", "labels: {app: web, tier: front}", "labels.tier"),
    ],
    ids=["value", "list-element", "quantity", "removed", "order", "added"],
)  # fmt: skip
def test_a_change_is_told_by_its_field(cluster: ControlPlane, namespace: str, old: str, new: str, field: str) -> None:
    """Whatever a manifest changes shows up under its path; kubectl's own diff agrees that there is one."""
    text = DEPLOYMENT.format(namespace=namespace, replicas=2)
    assert old in text
    cluster.apply(text)
    changed = text.replace(old, new)
    assert cluster.differs(changed)
    (change,) = cluster.apply(changed)
    assert change.action is Action.CONFIGURED
    assert any(one.endswith(field) for one in change.fields), change.fields


def test_the_same_value_in_other_words_is_no_change(cluster: ControlPlane, namespace: str) -> None:
    """A CPU of `1` is one of `1000m`: the API server's view counts, not the text."""
    text = DEPLOYMENT.format(namespace=namespace, replicas=2)
    cluster.apply(text)
    (change,) = cluster.apply(text.replace("1000m", "1"))
    assert change.action is Action.UNCHANGED


def test_a_folder_is_applied_namespaces_first(cluster: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """The order of file names does not matter for what has to be there before the rest."""
    inner = f"{namespace}-inner"
    (tmp_path / "a.yaml").write_text(DEPLOYMENT.format(namespace=inner, replicas=0))
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "z.yaml").write_text(f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {inner}\n")
    try:
        assert [change.kind for change in cluster.apply(tmp_path)] == ["Namespace", "Deployment"]
        assert {change.action for change in cluster.apply(tmp_path)} == {Action.UNCHANGED}
    finally:
        cluster.kubectl("delete", "namespace", inner, "--wait=false", "--ignore-not-found").must()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("replicas: 2", "replicas: -2", "must be greater than or equal to 0"),
        ("replicas: 2", "replikas: 2", "field not declared in schema"),
        ("app: web}\n  template", "app: other}\n  template", "`selector` does not match"),
        ("mountPath: /tmp}", "mountPath: /tmp}\n            - {name: absent, mountPath: /x}", "Not found"),
        ("cpu: 1000m", "cpu: lots", "quantities must match"),
        ("kind: Deployment", "kind: Deploiment", "no matches for kind"),
        ('{name: B, value: "2"}', '{name: A, value: "2"}', "duplicate entries for key"),
        ("replicas: 2", "replicas: [", "yaml"),
    ],
    ids=["value", "unknown-field", "selector", "absent-volume", "quantity", "kind", "given-twice", "syntax"],
)
def test_a_bad_manifest_is_refused(cluster: ControlPlane, namespace: str, old: str, new: str, words: str) -> None:
    """The API server's own words reach the test, also for what no schema can say."""
    text = DEPLOYMENT.format(namespace=namespace, replicas=2)
    assert old in text
    with pytest.raises(Refused, match=words):
        cluster.apply(text.replace(old, new, 1))


def test_a_warning_is_an_error(cluster: ControlPlane, namespace: str) -> None:
    """What the API server takes with a warning today it may refuse in its next version."""
    text = DEPLOYMENT.format(namespace=namespace, replicas=0)
    old = text.replace("      containers:", "      nodeSelector: {beta.kubernetes.io/os: linux}\n      containers:")
    with pytest.raises(Warned, match=r"beta\.kubernetes\.io/os.*deprecated"):
        cluster.apply(old)
    assert cluster.apply(text)[0].action is Action.CONFIGURED, "it was taken all the same, and is mended"


def test_a_pod_security_warning_is_an_error(cluster: ControlPlane, namespace: str) -> None:
    """Pod security is on by default: a namespace that warns by label tells of a pod that may do too much."""
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted").must()
    with pytest.raises(Warned, match="would violate PodSecurity") as caught:
        cluster.apply(DEPLOYMENT.format(namespace=namespace, replicas=0))
    assert len(caught.value.warnings) == 1


def test_pod_security_is_enforced(cluster: ControlPlane, namespace: str) -> None:
    """A namespace that enforces by label refuses the pod itself."""
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted").must()
    pod = f"""
apiVersion: v1
kind: Pod
metadata: {{name: loose, namespace: {namespace}}}
spec:
  containers:
    - {{name: loose, image: registry.invalid/loose:1}}
"""
    with pytest.raises(Refused, match="violates PodSecurity"):
        cluster.apply(pod)


def test_another_managers_field_is_not_taken_by_chance(cluster: ControlPlane, namespace: str) -> None:
    """Somebody else's value is refused to be overwritten, unless forced, and then it is a change."""
    text = DEPLOYMENT.format(namespace=namespace, replicas=0)
    cluster.apply(text)
    cluster.kubectl("scale", "deployment", "web", "--replicas=1", "-n", namespace).must()
    with pytest.raises(Refused, match="conflict"):
        cluster.apply(text)
    (change,) = cluster.apply(text, force=True)
    assert change.fields == ("spec.replicas",)


def test_custom_resources_are_validated(cluster: ControlPlane, crds: list[str], namespace: str) -> None:
    """With the published definitions, the real API server takes a good ExternalSecret and refuses a bad one."""
    assert "externalsecrets.external-secrets.io" in crds
    good = EXTERNAL.format(namespace=namespace, remote="{key: database, property: password}")
    assert cluster.apply(good)[0].action is Action.CREATED
    assert cluster.apply(good)[0].action is Action.UNCHANGED
    assert cluster.differs(good) == ""
    with pytest.raises(Refused, match=r"remoteRef\.key"):
        cluster.apply(EXTERNAL.format(namespace=namespace, remote="{property: password}"))
    with pytest.raises(Refused, match="field not declared in schema"):
        cluster.apply(EXTERNAL.format(namespace=namespace, remote="{key: database, porperty: password}"))


def test_a_control_plane_leaves_nothing(programs: dict[str, Path]) -> None:
    """When its block ends by an error, its processes are gone, its ports are free and its folder is removed."""
    planes: list[ControlPlane] = []

    def fail() -> None:
        with control_plane(programs) as plane:
            planes.append(plane)
            pids.extend(server.process.pid for server in plane.servers.running)
            raise ZeroDivisionError

    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(pids) == 3
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not planes[0].folder.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(planes[0].url.rpartition(":")[2])))


def test_a_server_that_ends_early_tells_why(tmp_path: Path) -> None:
    """The error has the end of the server's own log: else one would have to look for a file that is gone."""
    with Servers(tmp_path) as servers:
        server = servers.start("broken", [sys.executable, "-c", "raise SystemExit('no such option')"])
        with pytest.raises(NotStarted, match="broken ended with 1; its log ends:\nno such option"):
            servers.wait(lambda: False, server)


def test_children_end_with_their_server(tmp_path: Path) -> None:
    """What a server has started itself is ended too, even when the server does not care."""
    code = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    with Servers(tmp_path) as servers:
        server = servers.start("parent", [sys.executable, "-c", code], {"PATH": os.environ["PATH"]})
        servers.wait(lambda: bool(server.log.read_text().strip()), server)
        child = psutil.Process(int(server.log.read_text()))
        assert child.is_running()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def test_a_killed_test_run_leaves_nothing(tmp_path: Path) -> None:
    """Killed outright, Python runs no clean-up: the guard ends the servers and removes their folder."""
    folder = tmp_path / "plane"
    folder.mkdir()
    code = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from cluster.servers import Servers
        with Servers(Path(sys.argv[1])) as servers:
            print(servers.start("sleeper", ["/bin/sleep", "600"]).process.pid, flush=True)
            time.sleep(600)
    """)
    run = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True,
                           env={"PYTHONPATH": str(Path(__file__).parents[1])})  # fmt: skip
    with run:
        assert run.stdout is not None
        sleeper = psutil.Process(int(run.stdout.readline()))
        run.send_signal(signal.SIGKILL)
    psutil.wait_procs([sleeper], timeout=10)
    assert not sleeper.is_running()


def test_free_ports_differ() -> None:
    """Ports found together never collide with each other."""
    assert len(set(free_ports(20))) == 20
