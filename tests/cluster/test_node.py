"""The node of the harness: that pods run for real, are seen from outside, and leave nothing."""

from __future__ import annotations

import ipaddress
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from .control_plane import control_plane
from .images import image, with_libraries
from .kubectl import Action
from .node import CGROUPS, NAME, Node, add_node

IMAGE = "localhost/web:1"

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default}}
spec:
  securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: localhost/web:1
      args: {args}
      readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
      securityContext: {{readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}}
      resources: {{limits: {{memory: 64Mi, cpu: 100m}}}}
"""

SERVING = '[serve, ":8080"]'


@pytest.fixture
def loaded(node: Node) -> Iterator[Node]:
    """The node with an image that answers HTTP. Afterwards its pods are gone, with their processes."""
    node.load(IMAGE, {"web": node.programs["pause"]}, ["/web"])
    yield node
    node.plane.kubectl("delete", "pod", "--all", "--timeout=30s").must()


def test_a_pod_becomes_ready_and_answers(loaded: Node) -> None:
    """Scheduler, kubelet, containerd and runc all do their part, under limits and seccomp."""
    plane = loaded.plane
    assert plane.apply(POD.format(name="web", args=SERVING))[0].action is Action.CREATED
    plane.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s", seconds=70).must()
    address = plane.kubectl("get", "pod", "web", "-o", "jsonpath={.status.podIP}").must()
    with urllib.request.urlopen(f"http://{address}:8080/", timeout=10) as answer:
        assert answer.read() == b"here\n"
    # By way of the API server, which has to reach kubelet for it.
    tried = plane.kubectl("exec", "web", "--", "/web", "serve", "nowhere")
    assert (tried.code, "missing port in address" in tried.stderr) == (1, True)


def test_a_program_that_ends_is_told_with_its_log(loaded: Node) -> None:
    """A test can see why a pod does not run: its state, its exit code, its words."""
    plane = loaded.plane
    plane.apply(POD.format(name="broken", args="[serve, nowhere]"))
    state = "{.status.containerStatuses[0].lastState.terminated.exitCode}"
    plane.kubectl("wait", f"--for=jsonpath={state}=1", "pod/broken", "--timeout=60s", seconds=70).must()
    assert "missing port in address" in plane.kubectl("logs", "broken", "--previous").must()


def test_the_node_listens_on_loopback_only(node: Node) -> None:
    """Nobody else on the network can reach kubelet, whose work is to run programs as root."""
    servers = [psutil.Process(server.process.pid) for server in node.plane.servers.running]
    everybody = [process for server in servers for process in (server, *server.children(recursive=True))]
    # The pods' own processes listen in their own networks.
    ours = [one for one in everybody if one.name() in ("kubelet", "containerd", "kube-scheduler")]
    assert len(ours) == 3
    for process in ours:
        listening = {one.laddr.ip for one in process.net_connections("inet") if one.status == "LISTEN"}
        assert listening <= {"127.0.0.1"}, process.name()


def test_a_node_leaves_nothing(node_programs: dict[str, Path]) -> None:
    """Control groups, mounts, interfaces, settings of the kernel: all as before, though a pod was running."""
    settings = [Path("/proc/sys", name) for name in ("kernel/panic", "vm/overcommit_memory", "net/ipv4/ip_forward")]
    usual = [Path(path) for path in ("/run/containerd", "/var/lib/kubelet", "/var/lib/cni", "/opt/containerd")]
    before = ([path.read_text() for path in settings], [path.exists() for path in usual])
    with control_plane(node_programs) as plane, add_node(plane, node_programs) as node:
        node.load(IMAGE, {"web": node.programs["pause"]}, ["/web"])
        plane.apply(POD.format(name="web", args=SERVING))
        plane.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s", seconds=70).must()
        assert plane.kubectl("get", "node", NAME, "-o", "name").must() == f"node/{NAME}\n"
        assert _groups(node)
        assert _cables(node)
        leaders = [psutil.Process(server.process.pid) for server in plane.servers.running]
        children = [child for leader in leaders for child in leader.children(recursive=True)]
        assert {"kubelet", "containerd", "pause"} <= {child.name() for child in children}
    assert before == ([path.read_text() for path in settings], [path.exists() for path in usual])
    assert not _groups(node)
    assert not _cables(node)
    assert str(plane.folder) not in Path("/proc/mounts").read_text()
    assert not any(child.is_running() for child in children)
    assert not plane.folder.exists()


def test_the_same_files_make_the_same_image() -> None:
    """An image depends on what is in it alone: no time, no order, nothing of this machine."""
    first = image(IMAGE, {"a": b"1", "b": b"2"}, ["/a"], "amd64")
    assert first == image(IMAGE, {"/b": b"2", "/a": b"1"}, ["/a"], "amd64")
    assert first != image(IMAGE, {"a": b"1", "b": b"3"}, ["/a"], "amd64")


def test_a_linked_program_brings_its_libraries(loaded: Node) -> None:
    """A program of this machine runs in an image that has nothing else: its loader and libraries are with it."""
    plane = loaded.plane
    loaded.load("localhost/env:1", with_libraries(Path("/usr/bin/env")), ["/env"])
    once = POD.format(name="env", args="[]").replace(IMAGE, "localhost/env:1") + "  restartPolicy: Never\n"
    plane.apply(once)  # one that begins again has no words yet
    state = "{.status.containerStatuses[0].state.terminated.exitCode}"
    plane.kubectl("wait", f"--for=jsonpath={state}=0", "pod/env", "--timeout=60s", seconds=70).must()
    assert "KUBERNETES_SERVICE_HOST=" in plane.kubectl("logs", "env").must()


def test_a_static_program_is_alone(node_programs: dict[str, Path]) -> None:
    """It needs no library, and gets none."""
    assert with_libraries(node_programs["pause"]) == {"/pause": node_programs["pause"]}


def _groups(node: Node) -> list[Path]:
    """The control groups of `node` that there are."""
    return list(CGROUPS.glob(f"**/{node.group}"))


def _cables(node: Node) -> list[str]:
    """The network interfaces of this machine that lead to pods of `node`."""
    pods = ipaddress.ip_network(node.subnet)
    return [
        name
        for name, addresses in psutil.net_if_addrs().items()
        for one in addresses
        if one.family is socket.AF_INET and ipaddress.ip_address(one.address) in pods
    ]
