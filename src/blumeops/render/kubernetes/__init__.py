"""Kubernetes and Argo CD: a checked lab becomes the manifests of everything that is placed in a cluster.

    argocd/apps.yaml                  the one Application to apply by hand; it makes the others
    argocd/apps/<service>.yaml        one Application a service, in waves
    argocd/manifests/<service>/       plain YAML: `kubectl kustomize`, `kubectl apply -k` and a reader get the same
    argocd/README.md                  how to use the files without us, and what is not in them

Nothing here knows an app by itself, but for the parts of a cluster that decide how others run: Argo CD,
CloudNativePG, External Secrets with 1Password Connect, Tailscale's operator. Each file says from which
file of the lab it is derived, and a change of one service changes only that service's files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from blumeops.base.errors import UserError
from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab
from blumeops.facts.derive import ServiceFacts
from blumeops.lab.brought.model import way_of
from blumeops.render.kubernetes import argocd, brought, platform, preview, secrets
from blumeops.render.kubernetes.collector import access
from blumeops.render.kubernetes.databases import database_file, provider_files
from blumeops.render.kubernetes.manifest import Manifest, dump
from blumeops.render.kubernetes.places import Site, by_operator, source_of
from blumeops.render.kubernetes.policies import policies
from blumeops.render.kubernetes.words import references
from blumeops.render.kubernetes.workloads import Files, has_ingress, workload_files
from blumeops.render.telemetry.view import derives

BECOMES = {
    "app": "the label `app.kubernetes.io/name`",
    "about": "nothing: no object has a place for it",
    "version": "the image's tag, the chart's version",
    "kind": "a Deployment or StatefulSet (`service`), a CronJob at the time of backups (`job`), a chart (`platform`)",
    "sources": "the image; where there is none, the chart as an Argo CD Application",
    "tools": "nothing: they are in the image",
    "options": "the text where they are looked up",
    "ports": "ports of the container and of a ClusterIP Service; a LoadBalancer for an `entry`",
    "needs": "the Application's sync wave",
    "provides": "with CloudNativePG a Cluster, and a DatabaseRole and Database a user; else a Job a user; no dumps",
    "command": "the container's `command`; the image's own when there is none",
    "arguments": "the container's `args`",
    "init": "an init container that runs it with the image's shell when the path is not there",
    "reload": "nothing: pods start anew, since the ConfigMap's name has a digest of its content",
    "loaded": "nothing: the socket is in the pod",
    "env": "`env`; what has a secret in it comes from the Secret",
    "files": "a ConfigMap, each file mounted at its path; in the Secret when a secret is in it",
    "secrets": "an ExternalSecret, and files below /run/secrets/<service>",
    "health": "startup, readiness and liveness probes",
    "metrics": "the annotations `prometheus.io/*` of the pod, and a target of the Prometheus in the same cluster",
    "logs": "nothing: lines of the pod; a collector in the cluster takes levels out by the format",
    "state": "a StatefulSet with a claim a folder, kept when the service is deleted",
    "samples": "nothing: a person puts real ones there",
    "update": "Recreate, or RollingUpdate with none unavailable; with folders always the old pod first",
    "stop": "the grace period; a signal other than TERM is sent by a preStop hook",
    "resources": "memory: request and limit",
    "devices": "nothing: a device plugin of the cluster gives them, by what the `kubernetes:` block says",
    "internet": "a rule of its NetworkPolicy: to every address that is not of a private network",
}

_BEFORE = """\
## What no file can hold

External Secrets fetches every other secret by way of 1Password Connect; what opens Connect itself is put into the
cluster once, before its Application. It goes from one program to the next, and never into a file or a command line.
(Where `op` fails, the Secret that it leaves is empty: `kubectl describe secret` shows the sizes. Delete it, try again.)
"""


def render(checked: CheckedLab, repository: str = "", previews: Mapping[str, str] | None = None) -> FileTree:
    """The files of all clusters. `repository`: from where Argo CD pulls them; else the lab's forge is asked.
    `previews`: by service, the branch that Argo CD takes its folder from. Raises UserError `BLU810` for one of them
    that has none."""
    site, previews = Site(checked.lab, checked.facts), previews or {}
    preview.known(site, previews)
    repository = repository or argocd.repository_of(site)
    files: dict[str, bytes] = {}
    missing: list[str] = []
    for name in sorted(site.lab.services):
        if site.lab.services[name].cluster is None:
            continue
        if reason := _hindrance(site, name):
            if name in previews:
                raise UserError(preview.CODE, name, f"is not rendered: {reason}")
            missing.append(f"{name}: {reason}")
            continue
        service = site.facts.services[name]
        application, manifests = _service(site, service, repository)
        header = _header(site, name)
        about = header + _exception(service, application)
        if branch := previews.get(name):
            application = preview.at_branch(application, name, branch)
            about += f"\n# A preview of the branch {branch}: rendered without --preview it is back"
        files[f"{argocd.APPS}/{name}.yaml"] = dump(about, [application])
        own = brought.brought_by(site, service)
        if manifests or (own and own.way == "manifests"):
            listed = [*manifests, *(brought.resources(own) if own else ())]
            kustomization = {
                "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                "resources": sorted(listed), **(brought.pinned(site, own) if own else {}),
            }  # fmt: skip
            for file, objects in {**manifests, "kustomization.yaml": [kustomization]}.items():
                files[f"{argocd.MANIFESTS}/{name}/{file}"] = dump(header, objects)
            for file, text in (brought.copies(own) if own else {}).items():
                files[f"{argocd.MANIFESTS}/{name}/{file}"] = text
        missing += [f"{name}: {left}" for left in _left(site, service, manifests)]
    if files:
        files["argocd/apps.yaml"] = dump("Derived from lab.yaml: change it there", [argocd.root(site, repository)])
        files["argocd/README.md"] = _readme(site, missing).encode()
    return FileTree(files)


def left_out(checked: CheckedLab) -> dict[str, str]:
    """The services of clusters that have no files, and why."""
    site = Site(checked.lab, checked.facts)
    placed = (name for name, service in site.lab.services.items() if service.cluster)
    return {name: reason for name in placed if (reason := _hindrance(site, name))}


def _service(site: Site, service: ServiceFacts, repository: str) -> tuple[Manifest, Files]:
    """The Application of a service, and the files of its folder."""
    if own := brought.brought_by(site, service):
        part = service.app.kind == "platform"  # what runs it is another chart, what is around it is not
        files = platform.beside(site, service) if part else brought.derived_files(site, service)
        files |= _databases(site, service)
        if (chart := brought.source_of_chart(service)) is not None:
            told = brought.values(own) or (platform.values(site, service) if part else "")
            return argocd.chart_application(site, service, chart, repository, bool(files), told), files
        return argocd.application(site, service, repository, brought.security(own)), files
    chart = source_of(service.app, "chart")
    if source_of(service.app, "container") is None and chart is not None:
        files = platform.beside(site, service)
        told = platform.values(site, service)
        return argocd.chart_application(site, service, chart, repository, bool(files), told), files
    files = provider_files(site, service) if by_operator(site, service) else workload_files(site, service)
    files |= {"access.yaml": access(site, service)} if derives(service, "collector") else {}
    files |= _databases(site, service) | {"networkpolicy.yaml": policies(site, service)}
    return argocd.application(site, service, repository), files


def _databases(site: Site, service: ServiceFacts) -> Files:
    """What makes the service's own database, and those of its users elsewhere."""
    guests = site.guests.get(service.name, [])
    files = {f"database-{guest.name}.yaml": database_file(site, guest) for guest in guests}
    if service.database and service not in site.guests.get(service.database.provider, []):
        own = database_file(site, service)
        files |= {"database.yaml": own} if own else {}
    return files


def _hindrance(site: Site, name: str) -> str:
    """Why a service has no files; empty when it has."""
    service = site.facts.services.get(name)
    described = site.lab.services[name]
    if service is None:
        return "`app:` is not rendered yet"
    if way_of(described):
        return ""
    wiring = service.wiring
    commands = (
        *wiring.command,
        *wiring.arguments,
        *wiring.init_command,
        wiring.init_creates,
        *wiring.health_command,
        *wiring.grant_command,
    )
    if references(commands):
        return "a secret stands in a command, where everybody on the node could read it"
    for share in described.mounts.values():
        host, _, folder = share.partition("/")
        if "nfs" not in site.lab.settings.hosts[host].shares[folder].by:
            return f"{share} is not offered by NFS, the only way by which pods mount shares"
    return ""


def _left(site: Site, service: ServiceFacts, manifests: Files) -> Iterable[str]:
    """What the files of a service need that the lab does not have in its cluster, or that nobody renders."""
    cluster = service.service.cluster
    if own := brought.brought_by(site, service):
        yield from brought.left(site, service, own)
    elif source_of(service.app, "container") is None and "externalsecret.yaml" not in manifests and service.app.secrets:
        yield f"the Secrets that its chart reads ({', '.join(service.app.secrets)}) must be there before it"
    if by_operator(site, service) and site.lab.settings.backup and "scheduledbackup.yaml" not in manifests:
        yield "nothing copies it elsewhere: its `kubernetes:` block names no store for backups"
    kinds = {manifest["kind"] for objects in manifests.values() for manifest in objects}
    if not site.has(cluster, "external-secrets"):
        ours = [each for objects in manifests.values() for each in objects if each["kind"] == "ExternalSecret"]
        if asked := " and ".join(sorted({f"`{name}`" for each in ours for name in secrets.stores_of(each)})):
            yield f"External Secrets, with a ClusterSecretStore {asked}, makes its Secrets"
    if has_ingress(site, service) and "Ingress" in kinds and not site.has(cluster, "tailscale-operator"):
        yield "Tailscale's operator gives its Ingress a name"


def _header(site: Site, name: str) -> str:
    member = site.lab.members.get(name)
    file, key = (member.file, member.key) if member else (site.lab.service_files[name], name)
    return f"Derived from {file}, service {key}: change it there"


def _exception(service: ServiceFacts, application: Manifest) -> str:
    """A second comment, where pods are not held to the standard `restricted`: why."""
    labels = application["spec"]["syncPolicy"].get("managedNamespaceMetadata", {}).get("labels", {})
    enforced = labels.get("pod-security.kubernetes.io/enforce", "restricted")
    if enforced == "restricted":
        return ""
    why = (
        "its `kubernetes:` block may ask for more"
        if service.service.kubernetes
        else "what the lab brings may ask for more"
    )
    return f"\n# Its pods are held to `{enforced}`, and warned of what is beyond `restricted`: {why}"


def _readme(site: Site, missing: list[str]) -> str:
    namespace = argocd.namespace_of_argocd(site)
    listed = "\n".join(f"- {line}" for line in missing) or "Nothing is missing."
    commands = "\n".join(f"    {line}" for each in platform.beforehand(site) for line in each.splitlines())
    before = f"{_BEFORE}\n{commands}\n\n" if commands else ""
    return f"""\
<!-- Derived from lab.yaml: change it there -->
# The clusters of {site.lab.settings.lab}

With Argo CD, once: `kubectl apply -n {namespace} -f argocd/apps.yaml`. Without it: `kubectl create namespace SERVICE`
for each service, then in the order of the waves in `argocd/apps/`
`kubectl apply --server-side -k argocd/manifests/SERVICE`.

Each service has a namespace of its own name. Objects for its database live in the provider's; rules about whom it
calls, in the namespaces of both. What no rule opens is closed, where the cluster's network enforces NetworkPolicies:
k3s does, minikube when it is started with `--cni=calico`.

{before}## Not in these files

{listed}
"""
