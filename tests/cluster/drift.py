"""What operators fill in, and whether Argo CD would then show drift: by their own code, at a real API server.

In: a control plane, and the programs `cnpg-webhook` and `argocd-diff` (build.py). Out: CloudNativePG's defaulting
webhooks in the API server; and of each object that was applied, what Argo CD finds different.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.definitions import differences

from .control_plane import LOOPBACK, ControlPlane, Objects
from .kubectl import FIELD_MANAGER
from .servers import free_ports

DATABASES = {"cluster": "clusters", "database": "databases", "scheduledbackup": "scheduledbackups"}
"""The kinds that have a defaulting webhook, by its name, as the operator's chart registers them."""


@dataclass(frozen=True, slots=True)
class Operator:
    """CloudNativePG's webhooks, running. `url`: where they are; `authority`: the certificate that signed theirs."""

    url: str
    authority: Path

    def written_back(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """An object as the operator's controllers send it when they write it back."""
        context = ssl.create_default_context(cafile=str(self.authority))
        request = urllib.request.Request(f"{self.url}/typed", json.dumps(manifest).encode())
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


def add_operator(plane: ControlPlane, program: Path) -> Operator:
    """Start the webhooks, and have the API server ask them from now on."""
    (port,) = free_ports(1)
    identity = plane.authority.identity("cnpg-webhook", hosts=[LOOPBACK])
    argv = [str(program), f"-listen={LOOPBACK}:{port}"]
    argv += [f"-certificate={identity.certificate}", f"-key={identity.key}"]
    server = plane.servers.start("cnpg-webhook", argv)
    plane.servers.wait(lambda: _listens(port), server)
    operator = Operator(f"https://{LOOPBACK}:{port}", plane.authority.certificate)
    bundle = base64.b64encode(operator.authority.read_bytes()).decode()
    hooks = [
        {
            "name": f"m{name}.cnpg.io",
            "clientConfig": {"url": f"{operator.url}/mutate-postgresql-cnpg-io-v1-{name}", "caBundle": bundle},
            "rules": [{
                "apiGroups": ["postgresql.cnpg.io"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": [resources],
            }],
            "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
        }
        for name, resources in DATABASES.items()
    ]  # fmt: skip
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    plane.apply(json.dumps({**kind, "metadata": {"name": "cnpg-mutating-webhook-configuration"}, "webhooks": hooks}))
    plane.servers.wait(lambda: _asked(plane), server)
    return operator


def drifted(plane: ControlPlane, program: Path, objects: Iterable[Objects]) -> dict[str, list[str]]:
    """By kind and name, what Argo CD finds different in those objects that it would call OutOfSync."""
    asked = [each for each in objects if not _hook(each.described)]
    questions = [
        {"config": each.described, "live": each.live, "predicted": each.predicted, "manager": FIELD_MANAGER}
        for each in asked
    ]
    document = plane.folder / "openapi.json"
    if not document.exists():
        document.write_text(plane.kubectl("get", "--raw", "/openapi/v2").must())
    done = subprocess.run([program, document], input=json.dumps(questions), capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"argocd-diff failed: {done.stderr}")
    answers = zip(asked, json.loads(done.stdout), strict=True)
    return {
        f"{each.described['kind']} {each.described['metadata']['name']}": differences(said["live"], said["predicted"])
        for each, said in answers
        if said["modified"]
    }


def _hook(manifest: dict[str, Any]) -> bool:
    """Whether it runs at each sync: Argo CD compares no such object."""
    return "argocd.argoproj.io/hook" in manifest["metadata"].get("annotations", {})


def _asked(plane: ControlPlane) -> bool:
    """Whether the API server asks the webhooks: it learns of them a moment after they are registered."""
    kind = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "tried"}}
    text = json.dumps({**kind, "spec": {"instances": 1, "storage": {"size": "1Gi"}}})
    answer = plane.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=text)
    return "podAntiAffinityType" in answer.stdout


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False
