"""What a collector may see of its cluster: pods with their lines, nodes and their metrics. It may change nothing.

Every other pod has no account: nothing of the API server is its business.
"""

from __future__ import annotations

from blumeops.facts.derive import ServiceFacts
from blumeops.render.kubernetes.manifest import Manifest
from blumeops.render.kubernetes.places import Site, metadata
from blumeops.render.telemetry.view import derives

RULES: list[Manifest] = [
    {"apiGroups": [""], "resources": ["namespaces", "nodes", "pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
]
"""`nodes/metrics` is what kubelet asks for before it tells its metrics; `nodes/proxy` would open far more:
https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/"""


def account(service: ServiceFacts) -> Manifest:
    """The part of a pod's description about its account."""
    if derives(service, "collector"):
        return {"serviceAccountName": service.name, "automountServiceAccountToken": True}
    return {"automountServiceAccountToken": False}


def access(site: Site, service: ServiceFacts) -> list[Manifest]:
    """The collector's account, and what it may read."""
    about = metadata(site, service)
    role = f"collector:{service.name}"  # a service called `view` or `admin` must not take over Kubernetes' own role
    unplaced = {"name": role, "labels": about["labels"]}
    kind, group = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about},
        {"apiVersion": kind, "kind": "ClusterRole", "metadata": unplaced, "rules": RULES},
        {
            "apiVersion": kind, "kind": "ClusterRoleBinding", "metadata": unplaced,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": service.name, "namespace": service.name}],
        },
    ]  # fmt: skip
