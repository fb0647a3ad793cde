"""A service's pod, and what it reads: configuration as a ConfigMap, secrets through an ExternalSecret.

Promised: within the `restricted` Pod Security Standard as long as the service's own `kubernetes:` block leaves it
so. Both objects have a digest of their content in their names: a change starts the pods anew, and old ones keep
what they began with. https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.images import version_of
from blumeops.facts.parts import Folder, SecretFile, Text
from blumeops.lab.app import Stop
from blumeops.lab.quantities import size_text
from blumeops.render.kubernetes.collector import account
from blumeops.render.kubernetes.manifest import Manifest, digest
from blumeops.render.kubernetes.places import Site, metadata, mounted, object_name, selector, source_of
from blumeops.render.kubernetes.probes import probes
from blumeops.render.kubernetes.secrets import external_secret, secret
from blumeops.render.kubernetes.words import Words, config_files, references, uses

GROUP = 1000
"""The group that owns the volumes of a pod whose image does not say its user: each of its programs is in it."""
PRIVILEGED = 1024
READABLE = 0o440
"""By the program's group, which owns the volume; never by others."""
VOLUMES = "/volumes"
"""Where the step that makes folders sees each volume whole."""


@dataclass(frozen=True)
class Pod:
    """`template`: of a Deployment and its kin. `claims`: by volume, the path of a folder that is kept."""

    template: Manifest
    config: Manifest | None
    secrets: Manifest | None
    folders: tuple[str, ...]


def pod(site: Site, service: ServiceFacts, claims: Mapping[str, str] | None = None) -> Pod:
    """The pod of a service whose app has an image. `claims`: by state folder, the claim's name, where a
    StatefulSet makes none."""
    return _Builder(site, service).pod(claims or {})


def image(service: ServiceFacts) -> str:
    """The image with its tag and, where the lab has locked it, its digest. What is in a cluster has one: `BLU307` is an
    error."""
    source = source_of(service.app, "container")
    assert source is not None
    tagged = f"{source.name}:{version_of(source, service.app, service.version)}"
    return f"{tagged}@{service.digest}" if service.digest else tagged


def user(service: ServiceFacts) -> Manifest:
    """The pod's security context: never root; the image's own user where the app does not name it."""
    source = source_of(service.app, "container")
    uid = source.uid if source else None
    return {
        "runAsNonRoot": True,
        **({"runAsUser": uid} if uid is not None else {}),
        "fsGroup": uid or GROUP,
        # Else each start would open private files to the group, and PostgreSQL refuses such.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def confined(service: ServiceFacts | None = None) -> Manifest:
    """A container's security context."""
    low = service is not None and any(port.port < PRIVILEGED for port in service.ports.values())
    added = {"add": ["NET_BIND_SERVICE"]} if low else {}
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], **added},
    }


def resources(service: ServiceFacts) -> Manifest:
    """Memory is reserved up to its limit: the node never promises more than it has."""
    memory = (service.service.resources or service.app.resources).memory
    if memory is None:
        return {}
    return {"resources": {"requests": {"memory": size_text(memory)}, "limits": {"memory": size_text(memory)}}}


def command(service: ServiceFacts, words: Words, texts: tuple[Text, ...]) -> list[str]:
    """A command of the app, its program with the image's folder where that is not on PATH."""
    said = [words.argument(text) for text in texts]
    source = source_of(service.app, "container")
    if said and source and source.bin and "/" not in said[0]:
        said[0] = f"{source.bin}/{said[0]}"
    return said


class _Builder:
    def __init__(self, site: Site, service: ServiceFacts) -> None:
        self.site, self.service, self.app, self.wiring = site, service, service.app, service.wiring
        self.words = Words(site, service)
        self.files = config_files(site, service)
        self.folders = (service.service.state or service.app.state).folders
        self.texts = [
            *self.wiring.command, *self.wiring.arguments, *self.wiring.init_command, self.wiring.init_creates,
            *self.wiring.health_command, *self.wiring.env.values(), *self.files.values(),
        ]  # fmt: skip
        self.config = self.config_map()
        self.secrets = self.external_secret()

    def config_map(self) -> Manifest | None:
        data = {_key(name): self.words.plain(text) for name, text in self.files.items() if not references([text])}
        if not data:
            return None
        name = f"{self.service.name}-{digest(data)}"
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(self.site, self.service, name),
            "data": data,
            "immutable": True,
        }

    def external_secret(self) -> Manifest | None:
        """What has a secret in it. No variable has a dot in its name: the three kinds of key never meet."""
        keys = {name: text for name, text in self.wiring.env.items() if references([text])}
        keys |= {f"file.{name}": text for name, text in self.files.items() if references([text])}
        uses_of = {use.name: use.reference for use in self.service.secrets}
        keys |= {f"secret.{name}": secret(uses_of[name]) for name in self.secret_files()}
        return external_secret(self.site, self.service, keys, self.words) if keys else None

    def secret_files(self) -> list[str]:
        return sorted({part.name for text in self.texts for part in text if isinstance(part, SecretFile)})

    def pod(self, claims: Mapping[str, str]) -> Pod:
        spec: Manifest = {
            **account(self.service),
            "enableServiceLinks": False,
            "securityContext": user(self.service),
            "terminationGracePeriodSeconds": max(1, math.ceil(self.app.stop.within)),
            "initContainers": self.before(),
            "containers": [self.container()],
            "volumes": [*self.volumes(), *_claimed(claims)],
        }  # fmt: skip
        if not spec["initContainers"]:
            del spec["initContainers"]
        about: Manifest = {"labels": selector(self.service), "annotations": self.scraped()}
        if not about["annotations"]:
            del about["annotations"]
        return Pod({"metadata": about, "spec": spec}, self.config, self.secrets, tuple(self.folders))

    def scraped(self) -> Manifest:
        """The annotations by which Prometheus and Alloy are commonly told."""
        metrics = self.app.metrics
        if metrics is None or metrics.folder:
            return {}
        number = self.service.ports[metrics.port].port
        return {
            "prometheus.io/scrape": "true", "prometheus.io/port": str(number), "prometheus.io/path": metrics.http,
        }  # fmt: skip

    def container(self) -> Manifest:
        made: Manifest = {"name": self.service.name, "image": image(self.service)}
        if self.wiring.command:
            made["command"] = command(self.service, self.words, self.wiring.command)
        elif self.wiring.arguments:
            made["args"] = [self.words.argument(text) for text in self.wiring.arguments]
        made |= self.env()
        ports = self.service.ports
        if ports:
            made["ports"] = [
                {"name": object_name(name, 15), "containerPort": port.port, "protocol": port.protocol.upper()}
                for name, port in ports.items()
            ]
        made |= (
            probes(self.service, command(self.service, self.words, self.wiring.health_command))
            | _pre_stop(self.app.stop)
            | resources(self.service)
        )
        return made | {"securityContext": confined(self.service), "volumeMounts": self.mounts()}

    def env(self) -> Manifest:
        env: list[Manifest] = []
        for name, text in self.wiring.env.items():
            if references([text]):
                assert self.secrets is not None
                source = {"name": self.secrets["metadata"]["name"], "key": name}
                env.append({"name": name, "valueFrom": {"secretKeyRef": source}})
            else:
                env.append({"name": name, "value": self.words.argument(text)})
        return {"env": env} if env else {}

    def before(self) -> list[Manifest]:
        """The step that prepares the state, when what it makes is not there. The image's own shell looks.

        It gets folders of its own user's: a volume's own is root's, and may hold a `lost+found`.
        """
        if not self.wiring.init_command:
            return []
        shared: Manifest = {"image": image(self.service)}
        last = resources(self.service) | {"securityContext": confined()}
        steps: list[Manifest] = []
        if self.folders:
            names = [object_name(f"state-{folder}") for folder in self.folders]
            paths = [f"{VOLUMES}/{name}/{folder}" for name, folder in zip(names, self.folders, strict=True)]
            mounts = [{"name": name, "mountPath": f"{VOLUMES}/{name}"} for name in names]
            make = ["sh", "-c", 'mkdir -p -m 0700 "$@"', "folders", *paths]
            steps.append({"name": "folders", **shared, "command": make, **last, "volumeMounts": mounts})
        unless = ["sh", "-c", 'test -e "$0" || exec "$@"', self.words.argument(self.wiring.init_creates)]
        run = [*unless, *command(self.service, self.words, self.wiring.init_command)]
        steps.append({"name": "init", **shared, "command": run, **self.env(), **last, "volumeMounts": self.mounts()})
        return steps

    def mounts(self) -> list[Manifest]:
        mounts: list[Manifest] = []
        for folder, path in self.folders.items():
            mount = {"name": object_name(f"state-{folder}"), "mountPath": path}
            mounts.append({**mount, "subPath": folder} if self.wiring.init_command else mount)
        for name in self.service.service.mounts:
            path = mounted(self.site, self.service, name)
            mounts.append({"name": object_name(f"mount-{name}"), "mountPath": path})
        for folder in self.inner():
            mounts.append({"name": object_name(f"files-{folder}"), "mountPath": self.app.files[folder].path})
        for name, text in self.files.items():
            if "/" in name:
                continue
            private = bool(references([text]))
            key = f"file.{name}" if private else name
            volume, path = "secrets" if private else "files", self.app.files[name].path
            mounts.append({"name": volume, "mountPath": path, "subPath": key, "readOnly": True})
        if self.secret_files():
            mounts.append({"name": "secrets", "mountPath": self.words.secrets_folder, "readOnly": True})
        if self.has_run():
            mounts.append({"name": "run", "mountPath": self.words.run_folder})
        if "/tmp" not in self.folders.values():  # noqa: S108 - a pod's own
            mounts.append({"name": "tmp", "mountPath": "/tmp"})  # noqa: S108 - a pod's own
        return mounts

    def volumes(self) -> list[Manifest]:
        volumes: list[Manifest] = []
        for name in self.service.service.mounts:
            claim = object_name(f"mount-{name}")
            volumes.append({"name": claim, "persistentVolumeClaim": {"claimName": claim}})
        if self.config:
            if any("/" not in name for name in self.files):
                volumes.append({"name": "files", "configMap": {"name": self.config["metadata"]["name"]}})
            for folder, names in self.inner().items():
                items = [{"key": _key(name), "path": name.partition("/")[2]} for name in names]
                source = {"name": self.config["metadata"]["name"], "items": items}
                volumes.append({"name": object_name(f"files-{folder}"), "configMap": source})
        private = [f"file.{name}" for name, text in self.files.items() if references([text])]
        if self.secrets and (private or self.secret_files()):
            items = [{"key": key, "path": key} for key in private]
            items += [{"key": f"secret.{name}", "path": name} for name in self.secret_files()]
            source = {"secretName": self.secrets["metadata"]["name"], "defaultMode": READABLE, "items": items}
            volumes.append({"name": "secrets", "secret": source})
        if self.has_run():
            volumes.append({"name": "run", "emptyDir": {}})
        if "/tmp" not in self.folders.values():  # noqa: S108 - a pod's own
            volumes.append({"name": "tmp", "emptyDir": {}})
        return volumes

    def inner(self) -> dict[str, list[str]]:
        """By derived folder: the files in it, which are mounted as one."""
        found: dict[str, list[str]] = {}
        for name in self.files:
            if "/" in name:
                found.setdefault(name.partition("/")[0], []).append(name)
        return found

    def has_run(self) -> bool:
        return uses(self.texts, lambda part: part == Folder("run"))


def _key(name: str) -> str:
    """The key of a file in a ConfigMap."""
    return name.replace("/", ".")


def _claimed(claims: Mapping[str, str]) -> list[Manifest]:
    """The volumes of claims that are objects of their own."""
    return [
        {"name": object_name(f"state-{folder}"), "persistentVolumeClaim": {"claimName": claim}}
        for folder, claim in claims.items()
    ]


def _pre_stop(stop: Stop) -> Manifest:
    """A signal that is not TERM: the image's shell sends it and waits for the end. An image without a shell gets
    the signal that the image itself names.

    The shell ends with the program, so kubelet tells of a FailedPreStopHook at each such stop: it is none.

    `lifecycle.stopSignal` would say it, but stands behind a gate that is closed by default (Kubernetes 1.37).
    """
    if stop.signal == "TERM":
        return {}
    script = f"kill -{stop.signal} 1; while kill -0 1 2>/dev/null; do sleep 1; done"
    return {"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", script]}}}}
