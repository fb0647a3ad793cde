"""A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager.

In: the programs that build.py made. Out: an API server that is ready, with the right to do everything in it
(kubeconfig). Promised: all listen on 127.0.0.1 only, every connection needs a certificate, and when the
`with` block ends nothing is left, neither process nor file. There is no node: pods stay Pending.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .credentials import Authority, Identity, signing_key
from .kubectl import Answer, Change, Kubectl, Refused, identity
from .kubectl import program as kubectl_program
from .servers import NotStarted, Servers, free_ports

LOOPBACK = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
STARTS = 3
"""Tries: between finding a free port and listening on it, another program may have taken it."""


@dataclass(frozen=True, slots=True)
class Objects:
    """One object three times. `live` and `predicted` have their managed fields."""

    described: dict[str, Any]
    live: dict[str, Any]
    predicted: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane. `servers` and `authority` are for adding more to it, such as a node."""

    url: str
    kubeconfig: Path
    folder: Path
    servers: Servers
    authority: Authority

    @property
    def _kubectl(self) -> Kubectl:
        return Kubectl(self.kubeconfig, self.folder)

    def kubectl(self, *args: str, input: str | None = None, seconds: float = 60) -> Answer:  # noqa: A002 - subprocess's word
        """Run kubectl as an administrator; any exit code is an answer (`.must()` for those that may not fail)."""
        return self._kubectl(*args, stdin=input, seconds=seconds)

    def apply(self, source: Path | str, *, force: bool = False) -> list[Change]:
        """Apply manifests (text, file, folder) server-side; see Kubectl.apply. Raises Refused or Warned."""
        return self._kubectl.apply(source, force=force)

    def objects(self, *sources: Path | str) -> list[Objects]:
        """Each object of the manifests: as they have it, as it is, and as an apply would leave it."""
        kubectl = self._kubectl
        described = [each for source in sources for each in kubectl.described(source)]
        text = yaml.safe_dump_all(described)
        live, predicted = (
            {identity(each): each for each in found}
            for found in (kubectl.objects("-f", "-", stdin=text), kubectl.predicted(text))
        )
        return [Objects(each, live[identity(each)], predicted[identity(each)]) for each in described]

    def differs(self, source: Path | str) -> str:
        """What an apply would change, by `kubectl diff`; empty for nothing. Raises Refused."""
        return self._kubectl.differs(source)

    def install_crds(self, folder: Path) -> list[str]:
        """Apply every custom resource definition of `folder`, wait until they are served; their names."""
        return self._kubectl.install(folder)

    @property
    def version(self) -> str:
        """The API server's version, as it says it itself: `v1.37.2`."""
        return str(json.loads(self.kubectl("get", "--raw", "/version").must())["gitVersion"])


@contextmanager
def control_plane(programs: Mapping[str, Path]) -> Iterator[ControlPlane]:
    """Start one and yield it when it is ready for work.

    Raises NotStarted with the end of the log to blame, Refused when there is no kubectl.
    """
    kubectl_program()
    with ExitStack() as stack:
        yield _started(stack, programs)


def _started(stack: ExitStack, programs: Mapping[str, Path]) -> ControlPlane:
    for left in reversed(range(STARTS)):
        with ExitStack() as attempt:
            # mkdtemp makes it 0700: keys and etcd's files are nobody else's.
            folder = Path(attempt.enter_context(tempfile.TemporaryDirectory(prefix="blumeops-cluster-")))
            servers = attempt.enter_context(Servers(folder))
            try:
                plane = _start(folder, servers, programs)
            except NotStarted as error:
                if left and "address already in use" in str(error):
                    continue
                raise
            stack.push(attempt.pop_all())
            return plane
    raise AssertionError("the last try returns or raises")


def _start(folder: Path, servers: Servers, programs: Mapping[str, Path]) -> ControlPlane:
    authority = Authority(folder)
    etcd_port, peer_port, api_port, manager_port = free_ports(4)
    url = f"https://{LOOPBACK}:{api_port}"
    admin = authority.identity("admin", groups=["system:masters"])
    plane = ControlPlane(url, authority.kubeconfig("admin", url, admin), folder, servers, authority)
    signer = signing_key(folder / "service-accounts.key")

    etcd_server = authority.identity("etcd", hosts=[LOOPBACK])
    etcd = servers.start("etcd", _etcd(programs["etcd"], folder, authority, etcd_server, etcd_port, peer_port))
    api_server = authority.identity("kube-apiserver", hosts=[LOOPBACK, "localhost", "kubernetes.default.svc"])
    api = servers.start("kube-apiserver", [
        str(programs["kube-apiserver"]),
        f"--etcd-servers=https://{LOOPBACK}:{etcd_port}",
        f"--etcd-cafile={authority.certificate}",
        f"--etcd-certfile={api_server.certificate}",
        f"--etcd-keyfile={api_server.key}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={api_port}",
        *_serving(api_server),
        f"--client-ca-file={authority.certificate}",
        f"--kubelet-certificate-authority={authority.certificate}",
        f"--kubelet-client-certificate={admin.certificate}",
        f"--kubelet-client-key={admin.key}",
        "--kubelet-preferred-address-types=Hostname",  # a node here is called localhost, and listens there only
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        f"--service-account-issuer={url}",
        f"--service-account-key-file={signer}",
        f"--service-account-signing-key-file={signer}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        # Else it would publish its address as the endpoint of service `kubernetes`, where loopback is refused.
        "--endpoint-reconciler-type=none",
    ])  # fmt: skip
    servers.wait(lambda: _answers(plane, "get", "--raw", "/readyz"), api, etcd)

    # Only now: it does not wait for the API server, and ends when the roles are not there yet.
    manager_name = "system:kube-controller-manager"
    manager_config = authority.kubeconfig("manager", url, authority.identity(manager_name))
    manager = servers.start("kube-controller-manager", [
        str(programs["kube-controller-manager"]),
        f"--kubeconfig={manager_config}",
        f"--authentication-kubeconfig={manager_config}",
        f"--authorization-kubeconfig={manager_config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={manager_port}",
        *_serving(authority.identity("manager-server", hosts=[LOOPBACK])),
        f"--root-ca-file={authority.certificate}",
        f"--service-account-private-key-file={signer}",
        "--use-service-account-credentials=true",
        # Its own limit, of 20 requests a second, would make its start 5 s longer.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        # Nobody asks it anything but its health.
        "--authentication-skip-lookup",
        "--leader-elect=false",
    ])  # fmt: skip
    # A controller made it; and without it no pod is admitted to the namespace.
    servers.wait(lambda: _answers(plane, "get", "serviceaccount", "default"), manager, api, etcd)
    return plane


def _etcd(
    program: Path, folder: Path, authority: Authority, identity: Identity, port: int, peer_port: int
) -> Sequence[str]:
    here, peer = f"https://{LOOPBACK}:{port}", f"https://{LOOPBACK}:{peer_port}"
    return [
        str(program),
        "--name=test",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=test={peer}",
        # Loopback is everybody's on this machine: without a certificate, etcd answers nobody.
        *(f"--{kind}{option}" for kind in ("", "peer-") for option in (
            f"cert-file={identity.certificate}", f"key-file={identity.key}",
            f"trusted-ca-file={authority.certificate}", "client-cert-auth",
        )),
        # Nothing here has to outlive a power cut.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]  # fmt: skip


def _serving(identity: Identity) -> list[str]:
    return [f"--tls-cert-file={identity.certificate}", f"--tls-private-key-file={identity.key}"]


def _answers(plane: ControlPlane, *args: str) -> bool:
    with contextlib.suppress(Refused):
        return plane.kubectl(*args, "--request-timeout=5s", seconds=10).code == 0
    return False
