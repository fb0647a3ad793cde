"""The objects of one service: what runs its pods, and what leads to them."""

from __future__ import annotations

from blumeops.facts.derive import ServiceFacts
from blumeops.lab.settings import Backup
from blumeops.render.kubernetes.manifest import Manifest, merged
from blumeops.render.kubernetes.places import (
    Site,
    host_address,
    metadata,
    object_name,
    on_tailnet,
    selector,
    tailnet_tag,
)
from blumeops.render.kubernetes.pods import Pod, pod
from blumeops.render.kubernetes.together import names

STORAGE = "10Gi"
"""What a folder gets. The `kubernetes:` block of a service says otherwise; many provisioners do not look."""
SHARE = "1Ti"
"""A share has no size of its own, but a volume must say one."""
KEPT = {"argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}
"""What stays when its service is deleted."""

Files = dict[str, list[Manifest]]


def workload_files(site: Site, service: ServiceFacts) -> Files:
    """The files of a service whose app has an image, without what it needs elsewhere."""
    job = service.app.kind == "job"
    folders = (service.service.state or service.app.state).folders
    claims = {folder: object_name(f"state-{folder}") for folder in folders} if job else {}
    made = pod(site, service, claims)
    if job:
        files: Files = {"cronjob.yaml": [_cron_job(site, service, made)]}
    elif made.folders:
        files = {"statefulset.yaml": [_stateful_set(site, service, made)]}
    else:
        files = {"deployment.yaml": [_deployment(site, service, made)]}
    for (workload,) in [] if job else list(files.values()):
        files |= {"pdb.yaml": [_budget(site, service)]} if _several(workload) else {}
    files |= {"service.yaml": [to_pods(site, service, selector(service))]} if service.ports else {}
    files |= {"names.yaml": found} if (found := names(site, service)) else {}
    files |= {"configmap.yaml": [made.config]} if made.config else {}
    files |= {"externalsecret.yaml": [made.secrets]} if made.secrets else {}
    files |= {"ingress.yaml": [ingress(site, service, {"name": "http"})]} if has_ingress(site, service) else {}
    volumes = [_claim(site, service, claim) for claim in claims.values()]
    volumes += [each for mount in service.service.mounts for each in _share(site, service, mount)]
    return files | ({"pvc.yaml": volumes} if volumes else {})


def to_pods(site: Site, service: ServiceFacts, pods: dict[str, str]) -> Manifest:
    """The Service before the pods with the labels `pods`. What is no web page gets its tailnet name here."""
    about = metadata(site, service)
    ports = service.ports
    if on_tailnet(site, service) and "http" not in ports:
        about["annotations"] = {
            "tailscale.com/expose": "true", "tailscale.com/hostname": service.label, **tailnet_tag(service),
        }  # fmt: skip
    entry = any(port.entry for port in ports.values())
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": about,
        "spec": {
            "type": "LoadBalancer" if entry else "ClusterIP",
            "selector": pods,
            "ports": [
                {"name": object_name(name), "port": p.port, "targetPort": p.port, "protocol": p.protocol.upper()}
                for name, p in ports.items()
            ],
        },
    }


def has_ingress(site: Site, service: ServiceFacts) -> bool:
    """Whether Tailscale's operator gives the service a name: it has pages, and somebody uses that name."""
    return "http" in service.ports and on_tailnet(site, service)


def _deployment(site: Site, service: ServiceFacts, made: Pod) -> Manifest:
    stop_start: Manifest = {"type": "Recreate"}
    replace: Manifest = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return _workload(site, service, "Deployment", {
        "replicas": 1,
        "selector": {"matchLabels": selector(service)},
        "strategy": replace if service.app.update == "replace" else stop_start,
        "template": made.template,
    })  # fmt: skip


def _stateful_set(site: Site, service: ServiceFacts, made: Pod) -> Manifest:
    """A volume has one writer, so the old pod is gone before the new one starts, whatever the app could do."""
    return _workload(site, service, "StatefulSet", {
        "replicas": 1,
        **({"serviceName": service.name} if service.ports else {}),
        "selector": {"matchLabels": selector(service)},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "template": made.template,
        "volumeClaimTemplates": [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": object_name(f"state-{folder}")},
                "spec": _volume("ReadWriteOnce", STORAGE),
            }
            for folder in made.folders
        ],
    })  # fmt: skip


def _several(workload: Manifest) -> bool:
    """Whether it runs more than once at all times. A budget for one pod would keep its node from ever being drained."""
    replicas = workload["spec"].get("replicas")
    return isinstance(replicas, int) and replicas > 1


def _budget(site: Site, service: ServiceFacts) -> Manifest:
    return {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(site, service),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(service)}},
    }  # fmt: skip


def _cron_job(site: Site, service: ServiceFacts, made: Pod) -> Manifest:
    """Jobs run when backups do: no lab says another time."""
    backup = site.lab.settings.backup
    hour, _, minute = (backup.at if backup else Backup.model_fields["at"].default).partition(":")
    template = {**made.template, "spec": {"restartPolicy": "OnFailure", **made.template["spec"]}}
    limit = (service.service.resources or service.app.resources).time
    return _workload(site, service, "CronJob", {
        "schedule": f"{int(minute)} {int(hour)} * * *",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": {
            "backoffLimit": 3, **({"activeDeadlineSeconds": round(limit)} if limit else {}), "template": template,
        }},
    })  # fmt: skip


def _workload(site: Site, service: ServiceFacts, kind: str, spec: Manifest) -> Manifest:
    version = "batch/v1" if kind == "CronJob" else "apps/v1"
    manifest = {"apiVersion": version, "kind": kind, "metadata": metadata(site, service), "spec": spec}
    return own_words(service, manifest)


def own_words(service: ServiceFacts, manifest: Manifest) -> Manifest:
    """A workload with the service's `kubernetes:` block laid on it."""
    result: Manifest = merged(manifest, service.service.kubernetes)
    return result


def _volume(mode: str, size: str) -> Manifest:
    return {"accessModes": [mode], "volumeMode": "Filesystem", "resources": {"requests": {"storage": size}}}


def _claim(site: Site, service: ServiceFacts, claim: str) -> Manifest:
    about = {**metadata(site, service, claim), "annotations": KEPT}
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about,
        "spec": _volume("ReadWriteOnce", STORAGE),
    }  # fmt: skip


def _share(site: Site, service: ServiceFacts, mount: str) -> list[Manifest]:
    """A share by NFS: a volume that exists beside the cluster, and the claim to it."""
    host, _, share = service.service.mounts[mount].partition("/")
    claim = object_name(f"mount-{mount}")
    about = metadata(site, service, claim)
    volume_name = f"{service.name}.{claim}"  # volumes have no namespace, and no service's name has a dot
    volume = {
        "capacity": {"storage": SHARE},
        "accessModes": ["ReadWriteMany"],
        "volumeMode": "Filesystem",
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "claimRef": {"namespace": service.name, "name": claim},
        "nfs": {"server": host_address(site, host), "path": site.lab.settings.hosts[host].shares[share].path},
    }
    unplaced = {"name": volume_name, "labels": about["labels"]}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": unplaced, "spec": volume},
        {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about,
            "spec": {**_volume("ReadWriteMany", SHARE), "storageClassName": "", "volumeName": volume_name},
        },
    ]  # fmt: skip


def ingress(site: Site, service: ServiceFacts, port: Manifest) -> Manifest:
    """What gives a service its name on the tailnet; `port`: of its Service, by name or number.

    https://tailscale.com/kb/1439/kubernetes-operator-cluster-ingress: the host's first label is the name.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {**metadata(site, service), "annotations": tailnet_tag(service)},
        "spec": {
            "ingressClassName": "tailscale",
            "defaultBackend": {"service": {"name": service.name, "port": port}},
            "tls": [{"hosts": [service.label]}],
        },
    }
