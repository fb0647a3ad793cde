"""A real node for the control plane: kube-scheduler, containerd, runc and kubelet. Linux, as root.

In: a control plane and the programs that build.py made. Out: a node that is ready, and images by import.
Promised: the machine is as before when the block ends. The node has mount and process namespaces of its own:
with them its mounts, its containers and their network go, however this ends. What the kernel keeps in spite
of that, control groups, has a name of its own and is removed.

Pods have addresses of 10.128.0.0/9, reach each other, and are reached from this machine only. They have no way
out. There is no DNS and no service address.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from .build import cache
from .control_plane import LOOPBACK, ControlPlane
from .images import Files, image
from .kubectl import Refused
from .servers import NotStarted, free_ports

NAME = "localhost"
PAUSE = "localhost/pause:1"
CGROUPS = Path("/sys/fs/cgroup")

# What kubelet and the network plugin would set on the whole machine. Both write only what differs, so each
# sees a file that already says so. (kubelet: pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables.)
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
    "net/ipv4/ip_forward": "1",
}

# Inside the namespaces. /run is where containerd's helpers and the pods' networks are kept, /var/lib/kubelet
# where kubelet looks for devices, at fixed paths: here both are the node's own. Ends when either server does.
_INSIDE = """
set -eu
mount --make-rshared /
mount -t tmpfs tmpfs /run
mount -t overlay -o "lowerdir=/var,upperdir=$FOLDER/var,workdir=$FOLDER/var-work" overlay /var
for file in "$FOLDER"/sysctl/*; do
  name=$(basename "$file" | tr . /)
  if [ -e "/proc/sys/$name" ]; then mount --bind "$file" "/proc/sys/$name"; fi
done
containerd --config "$FOLDER/containerd.toml" >"$FOLDER/containerd.log" 2>&1 &
until [ -S "$FOLDER/containerd.sock" ]; do kill -0 $! && sleep 0.05; done
exec kubelet --config="$FOLDER/kubelet.json" --kubeconfig="$FOLDER/node.kubeconfig" \
  --hostname-override=localhost --root-dir="$FOLDER/kubelet"
"""

# Pods reach each other by way of this machine, which forwards for nobody. To let it do so for each pod's own
# cable changes nothing that outlives the pod. A network plugin: https://www.cni.dev/docs/spec/.
_FORWARD = """#!{python} -IS
import json, os, pathlib, sys
asked, command = json.load(sys.stdin), os.environ["CNI_COMMAND"]
if command == "ADD":
    for one in asked["prevResult"]["interfaces"]:
        if not one.get("sandbox"):
            pathlib.Path("/proc/sys/net/ipv4/conf", one["name"], "forwarding").write_text("1")
    print(json.dumps(asked["prevResult"]))
if command == "VERSION":
    print(json.dumps({{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}}))
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that takes pods."""

    plane: ControlPlane
    folder: Path
    programs: Mapping[str, Path]
    group: str
    """Its control group."""
    subnet: str
    """Its pods' addresses."""

    def load(self, reference: str, files: Files, command: Sequence[str], **settings: object) -> None:
        """Make an image of `files` that runs `command`, for pods to use as `reference` (`localhost/web:1`).

        `settings`: see image().
        """
        made = image(reference, files, command, _architecture(), settings)
        argv = [str(self.programs["ctr"]), "-a", str(self.folder / "containerd.sock"), "-n", "k8s.io"]
        done = subprocess.run(
            [*argv, "images", "import", "-"], input=made, capture_output=True, check=False, timeout=60
        )
        if done.returncode:
            raise Refused(f"containerd did not take {reference}: {done.stderr.decode(errors='replace').strip()}")


def unavailable() -> str | None:
    """Why there can be no node on this machine; None when there can."""
    if sys.platform != "linux":
        return "a node needs Linux"
    if os.geteuid():
        return "a node needs root: containers, mounts and control groups are made for real"
    for program in ("unshare", "mount", "ip"):
        if shutil.which(program) is None:
            return f"a node needs the program {program}"
    if runc() is None:
        return "a node needs runc: install it"
    return None


def runc() -> Path | None:
    """The machine's own runc, else Debian's, unpacked into the cache; None when neither is to be had.

    Not built by Go as the others: without libseccomp's headers it could not run a pod with RuntimeDefault.
    """
    if own := shutil.which("runc"):
        return Path(own)
    unpacked = cache() / "debian" / "runc"
    program = unpacked / "usr" / "sbin" / "runc"
    if not program.exists() and shutil.which("apt-get"):
        fresh = unpacked.with_name(f"runc-{uuid.uuid4().hex}")
        fresh.mkdir(parents=True)
        subprocess.run(["apt-get", "download", "runc"], cwd=fresh, capture_output=True, check=False)
        for package in fresh.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package.name, "."], cwd=fresh, check=True)
        if not (fresh / "usr" / "sbin" / "runc").exists() or unpacked.exists():
            shutil.rmtree(fresh)
        else:
            fresh.rename(unpacked)
    return program if program.exists() else None


@contextmanager
def add_node(plane: ControlPlane, programs: Mapping[str, Path]) -> Iterator[Node]:
    """Add a node to `plane` and yield it when it is ready. Raises NotStarted with the end of a log."""
    folder = plane.folder / "node"
    for name in ("sysctl", "var", "var-work", "network", "plugins"):
        (folder / name).mkdir(parents=True)
    servers, authority = plane.servers, plane.authority
    scheduler_port, kubelet_port, stream_port = free_ports(3)

    scheduler_config = authority.kubeconfig("scheduler", plane.url, authority.identity("system:kube-scheduler"))
    scheduler = servers.start("kube-scheduler", [
        str(programs["kube-scheduler"]),
        f"--kubeconfig={scheduler_config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={scheduler_port}",
        f"--cert-dir={folder}",
        "--leader-elect=false",
        "--authentication-skip-lookup",
    ])  # fmt: skip

    who = authority.identity(f"system:node:{NAME}", groups=["system:nodes"])
    authority.kubeconfig("node", plane.url, who).rename(folder / "node.kubeconfig")
    for name, value in _SYSCTLS.items():
        (folder / "sysctl" / name.replace("/", ".")).write_text(value + "\n")
    (folder / "resolv.conf").write_text("")
    # Two nodes at once may not give the same address: a port, which only one of them has, makes it differ.
    subnet = f"10.{128 + (kubelet_port >> 8 & 127)}.{kubelet_port & 255}.0/24"
    group = f"blumeops-{uuid.uuid4().hex[:10]}"
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(plane, folder, kubelet_port, group)))
    (folder / "containerd.toml").write_text(_containerd(folder, programs, stream_port))
    (folder / "network" / "pods.conflist").write_text(json.dumps(_network(folder, subnet)))
    (folder / "plugins" / "forward").write_text(_FORWARD.format(python=sys.executable))
    (folder / "plugins" / "forward").chmod(0o700)
    for place in _cgroups(group):
        servers.remove_group(place)
        _make_cgroup(place)

    path = f"{programs['containerd'].parent}:{programs['kubelet'].parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
    server = servers.start("node", [*argv, "sh", "-c", _INSIDE], {"PATH": path, "FOLDER": str(folder)}, polite=False)
    try:
        made = Node(plane, folder, programs, group, subnet)
        servers.wait((folder / "containerd.sock").exists, server)
        made.load(PAUSE, {"pause": programs["pause"]}, ["/pause"])
        servers.wait(lambda: _ready(plane), server, scheduler)
        yield made
    except NotStarted as error:
        log = folder / "containerd.log"
        words = log.read_text().splitlines()[-10:] if log.exists() else []
        raise NotStarted("\n".join([str(error), "containerd's log ends:", *words])) from error
    finally:
        inside = [] if server not in servers.running else psutil.Process(server.process.pid).children(recursive=True)
        for one in (server, scheduler):
            if one in servers.running:
                servers.stop(one)
        # With the first process of its namespace the kernel ends all the others, but does not wait for them.
        psutil.wait_procs(inside, timeout=10)


def _ready(plane: ControlPlane) -> bool:
    condition = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}{.spec.taints}'
    return plane.kubectl("get", "node", NAME, "-o", condition).stdout == "True"


def _kubelet(plane: ControlPlane, folder: Path, port: int, group: str) -> dict[str, object]:
    """https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/."""
    served = plane.authority.identity("kubelet-server", hosts=[NAME, LOOPBACK])
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": LOOPBACK,
        "port": port,
        "healthzPort": 0,
        "tlsCertFile": str(served.certificate),
        "tlsPrivateKeyFile": str(served.key),
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(plane.authority.certificate)}},
        "containerRuntimeEndpoint": f"unix://{folder / 'containerd.sock'}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,  # less takes a right that root in a container does not have
        "resolvConf": str(folder / "resolv.conf"),
        "podLogsDir": str(folder / "logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        # A disk or memory that is nearly full is the machine's business: it would taint the node.
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
                         "imagefs.available": "0%"},
    }  # fmt: skip


def _containerd(folder: Path, programs: Mapping[str, Path], stream_port: int) -> str:
    """https://github.com/containerd/containerd/blob/main/docs/cri/config.md."""
    return f"""version = 3
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"
[plugins."io.containerd.grpc.v1.cri"]
stream_server_address = "{LOOPBACK}"
stream_server_port = "{stream_port}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{programs["ptp"].parent}", "{folder}/plugins"]
conf_dir = "{folder}/network"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc()}"
SystemdCgroup = false
"""


def _network(folder: Path, subnet: str) -> dict[str, object]:
    """A cable from each pod to the machine: it goes with the pod, and no bridge is left."""
    addresses = {"type": "host-local", "dataDir": str(folder / "addresses"), "ranges": [[{"subnet": subnet}]]}
    plugins = [{"type": "ptp", "ipam": addresses}, {"type": "forward"}]
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}


def _cgroups(name: str) -> list[Path]:
    """Where group `name` is: once in version 2, once a controller in version 1 (and in a mix of both)."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS / name]
    return [place / name for place in sorted(CGROUPS.iterdir()) if place.is_dir() and not place.is_symlink()]


def _make_cgroup(place: Path) -> None:
    place.mkdir()
    # In version 1 no process can enter a group that has neither processors nor memory nodes.
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (place / name).exists() and not (CGROUPS / "cgroup.controllers").exists():
            (place / name).write_text((place.parent / name).read_text())


def _architecture() -> str:
    """As Go calls it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
