"""Databases: who makes each user's role and database in the provider that it names.

With CloudNativePG in the cluster, its own objects say so; without, the provider is a service like any other and a
Job runs the command by which the app makes what a user needs. Either way a user's objects stand in the user's own
files, and live in the provider's namespace: the superuser's password never leaves that.
"""

from __future__ import annotations

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.images import OPERATED, locked_digest
from blumeops.facts.lookups import DatabaseUse
from blumeops.render.kubernetes.manifest import Manifest, digest
from blumeops.render.kubernetes.places import Site, by_operator, metadata
from blumeops.render.kubernetes.pods import command, confined, image, resources, user
from blumeops.render.kubernetes.policies import grant_policies
from blumeops.render.kubernetes.secrets import external_secret, secret
from blumeops.render.kubernetes.words import Words, references
from blumeops.render.kubernetes.workloads import KEPT, STORAGE, Files, own_words, to_pods

SCRIPT = "/grant"
METHODS = ("barmanObjectStore", "volumeSnapshot")
"""The ways of backup that a Cluster itself describes; others are plugins."""

FILLED_IN: Manifest = {
    "startDelay": 3600,
    "stopDelay": 1800,
    "smartShutdownTimeout": 180,
    "switchoverDelay": 3600,
    "failoverDelay": 0,
    "minSyncReplicas": 0,
    "maxSyncReplicas": 0,
    "replicationSlots": {
        "highAvailability": {"enabled": True, "slotPrefix": "_cnpg_"},
        "synchronizeReplicas": {"enabled": True},
        "updateInterval": 30,
    },
    "postgresUID": 26,
    "postgresGID": 26,
    "logLevel": "info",
    "affinity": {"podAntiAffinityType": "preferred"},
    "probes": {"liveness": {"isolationCheck": {"enabled": True, "requestTimeout": 1000, "connectionTimeout": 1000}}},
}
"""What the API server and the operator's webhook fill into each Cluster, whoever runs them: said, so that what is in
the cluster equals what is in Git. Not the parts `postgresql` and `monitoring`, which are the operator's to choose:
docs/decisions/0033-what-controllers-fill-in.md. https://github.com/cloudnative-pg/cloudnative-pg (`setDefaults`)"""


def provider_files(site: Site, service: ServiceFacts) -> Files:
    """The files of a PostgreSQL that CloudNativePG runs."""
    files: Files = {"cluster.yaml": [_cluster(site, service)]}
    files |= {"scheduledbackup.yaml": [scheduled]} if (scheduled := _scheduled(site, service)) else {}
    primary = {"cnpg.io/cluster": service.name, "cnpg.io/instanceRole": "primary"}
    reached = to_pods(site, service, primary)
    # The operator makes the Services that other services use; this one is for people.
    return files | ({"service.yaml": [reached]} if "annotations" in reached["metadata"] else {})


def database_file(site: Site, service: ServiceFacts) -> list[Manifest]:
    """What makes the database of a user whose provider is in a cluster; nothing for others."""
    use = service.database
    provider = site.facts.services.get(use.provider) if use else None
    if use is None or provider is None or not provider.service.cluster:
        return []
    if by_operator(site, provider):
        return _declared(site, service, provider, use)
    return _granted(site, service, provider)


def _cluster(site: Site, service: ServiceFacts) -> Manifest:
    """One instance: a home has one node."""
    own = _own_spec(service)
    instances = own.get("instances")
    tagged = f"{OPERATED}:{service.version}"
    locked = locked_digest(site.lab, tagged)
    return own_words(service, {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {**metadata(site, service), "annotations": KEPT},
        "spec": {
            "instances": 1,
            "imageName": f"{tagged}@{locked}" if locked else tagged,
            "primaryUpdateStrategy": "unsupervised",
            "primaryUpdateMethod": "restart",
            "enableSuperuserAccess": False,
            "enablePDB": isinstance(instances, int) and instances > 1,
            "bootstrap": {
                "initdb": {
                    "database": "app", "owner": "app", "encoding": "UTF8",
                    "localeCollate": "C.UTF-8", "localeCType": "C.UTF-8",
                },
            },
            "storage": {"size": STORAGE, "resizeInUseVolumes": True},
            **resources(service),
            **FILLED_IN,
            **_below(own),
        },
    })  # fmt: skip


def _below(own: Manifest) -> Manifest:
    """What the API server fills in below the ways of backup that a service's `kubernetes:` block opens; the rest of
    that block is passed on as it is."""
    backup, plugins = own.get("backup"), own.get("plugins")
    found: Manifest = {}
    if isinstance(backup, dict):
        found["backup"] = {"target": "prefer-standby"}
        if isinstance(backup.get("volumeSnapshot"), dict):
            found["backup"]["volumeSnapshot"] = {
                "online": True,
                "onlineConfiguration": {"immediateCheckpoint": False, "waitForArchive": True},
                "snapshotOwnerReference": "none",
            }
    if isinstance(plugins, list):
        names = [each["name"] for each in plugins if isinstance(each, dict) and "name" in each]
        found["plugins"] = [{"name": name, "enabled": True, "isWALArchiver": False} for name in names]
    return found


def _scheduled(site: Site, service: ServiceFacts) -> Manifest | None:
    """A backup at the lab's time, where the service's `kubernetes:` block names a store: the lab itself knows shares
    alone, of which CloudNativePG writes to none, and a snapshot on the same disk is no backup by itself."""
    backup = site.lab.settings.backup
    own = _own_spec(service)
    named = own.get("backup")
    method = next((way for way in METHODS if isinstance(named, dict) and way in named), "")
    spec: Manifest = {"method": method}
    plugins = own.get("plugins")
    plugin = plugins[0].get("name") if isinstance(plugins, list) and plugins and isinstance(plugins[0], dict) else None
    if not method and plugin:
        spec = {"method": "plugin", "pluginConfiguration": {"name": plugin}}
    if backup is None or not spec["method"]:
        return None
    hour, _, minute = backup.at.partition(":")
    schedule = {"schedule": f"0 {int(minute)} {int(hour)} * * *", "cluster": {"name": service.name}}  # seconds first
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "ScheduledBackup",
        "metadata": metadata(site, service),
        "spec": {**schedule, **spec, "immediate": True, "suspend": False, "backupOwnerReference": "self"},
    }


def _own_spec(service: ServiceFacts) -> Manifest:
    """The `spec` of the service's `kubernetes:` block."""
    own = service.service.kubernetes.get("spec")
    return own if isinstance(own, dict) else {}


def _declared(site: Site, service: ServiceFacts, provider: ServiceFacts, use: DatabaseUse) -> list[Manifest]:
    """Role and database as objects of the operator; both outlive their objects."""
    at = provider.name
    keys = {"username": (use.user,), "password": secret(use.password)}
    password = external_secret(
        site, service, keys, Words(site, provider), f"{service.name}-role", at,
        kind="kubernetes.io/basic-auth", labels={"cnpg.io/reload": "true"},
    )  # fmt: skip
    role: Manifest = {
        "cluster": {"name": at},
        "name": use.user,
        "ensure": "present",
        "login": True,
        "inherit": True,
        "connectionLimit": -1,
        "passwordSecret": {"name": password["metadata"]["name"]},
        "databaseRoleReclaimPolicy": "retain",
    }
    database = {
        "cluster": {"name": at},
        "name": use.name,
        "owner": use.user,
        "ensure": "present",
        "databaseReclaimPolicy": "retain",
    }
    made = [("DatabaseRole", role), ("Database", database)]
    return [password, *(
        {
            "apiVersion": "postgresql.cnpg.io/v1", "kind": kind,
            "metadata": metadata(site, service, service.name, at), "spec": spec,
        }
        for kind, spec in made
    )]  # fmt: skip


def _granted(site: Site, service: ServiceFacts, provider: ServiceFacts) -> list[Manifest]:
    """The provider's own command in a Job: run at each sync, before the user's pods; it is safe to repeat."""
    at, wiring, words = provider.name, service.wiring, Words(site, provider)
    private = {name: text for name, text in wiring.grant_env.items() if references([text])}
    first = [_in_wave(policy, -2) for policy in grant_policies(site, service, provider)]
    password = external_secret(site, service, private, words, f"{service.name}-database", at)
    secret_name = password["metadata"]["name"]
    env = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": name}}}
        if name in private
        else {"name": name, "value": words.argument(text)}
        for name, text in wiring.grant_env.items()
    ]
    run = command(provider, words, wiring.grant_command)
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - a pod's own
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    if private:
        first.append(_in_wave(password, -2))
    if wiring.grant_stdin:
        data = {"stdin": wiring.grant_stdin}
        name = f"{service.name}-database-{digest(data)}"
        about = metadata(site, service, name, at)
        script = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data, "immutable": True}
        first.append(_in_wave(script, -2))
        run = ["sh", "-c", 'exec "$@" < "$0"', f"{SCRIPT}/stdin", *run]
        mounts.append({"name": "script", "mountPath": SCRIPT})
        volumes.append({"name": "script", "configMap": {"name": name}})
    container = {
        "name": "grant", "image": image(provider), "command": run, "env": env, **resources(provider),
        "securityContext": confined(), "volumeMounts": mounts,
    }  # fmt: skip
    template = {
        "metadata": {"labels": metadata(site, service)["labels"]},
        "spec": {
            "restartPolicy": "OnFailure", "automountServiceAccountToken": False, "enableServiceLinks": False,
            "securityContext": user(provider), "containers": [container], "volumes": volumes,
        },
    }  # fmt: skip
    spec = {"backoffLimit": 10, "ttlSecondsAfterFinished": 3600, "template": template}
    job: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        # A name of at most 63: the longest that a service may have, and this.
        "metadata": metadata(site, service, f"{service.name}-{digest(spec)}", at),
        "spec": spec,
    }
    return [*first, _in_wave(job, -1, {
        "argocd.argoproj.io/hook": "Sync", "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
    })]  # fmt: skip


def _in_wave(manifest: Manifest, wave: int, more: dict[str, str] | None = None) -> Manifest:
    annotations = {**(more or {}), "argocd.argoproj.io/sync-wave": str(wave)}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}
