"""Applications: Argo CD applies each service's folder by itself, in waves, and an Application of its own all of them.

A wave says how many services stand before one in the order of starting: a change of one service leaves the others'
numbers alone. Argo CD waits for a wave only where its settings assess the health of Applications; elsewhere a
service that comes too early is tried again until what it needs is there.
"""

from __future__ import annotations

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.images import version_of
from blumeops.lab.sources import AppSource
from blumeops.render.kubernetes.manifest import Manifest
from blumeops.render.kubernetes.places import Site, address, metadata
from blumeops.render.kubernetes.workloads import own_words

APPS, MANIFESTS = "argocd/apps", "argocd/manifests"
SERVER = "https://kubernetes.default.svc"
"""The cluster in which Argo CD itself runs. Another one has to be made known to it by its name."""
NO_REPOSITORY = "https://forge.invalid"
"""Stands where nobody said from where Argo CD pulls."""


def repository_of(site: Site) -> str:
    """The lab's repository: where the lab says that it is, else in the forge that it names, where repository and owner
    are called as the lab is."""
    if site.lab.settings.gitops.url:
        return site.lab.settings.gitops.url
    lab, forge = site.lab.settings.lab, site.lab.settings.gitops.forge
    server = NO_REPOSITORY
    found = site.facts.services.get(forge or "")
    if found and forge and "http" in found.ports:
        server = found.machine_url
        if not server or found.service.cluster:
            host, port = address(site, forge, "http", _home(site))
            server = f"http://{host}:{port}"
    return f"{server}/{lab}/{lab}.git"


def root(site: Site, repository: str) -> Manifest:
    """The Application of Applications: the only one that somebody has to apply by hand."""
    lab = site.lab.settings.lab
    spec = _spec(site, _folder(site, repository, APPS), SERVER, namespace_of_argocd(site))
    about = {"name": "apps", "labels": {"app.kubernetes.io/part-of": lab}}
    return _application(site, about, spec)


def application(site: Site, service: ServiceFacts, repository: str, enforced: str = "") -> Manifest:
    """The Application of a service that has a folder. `enforced`: the pod security standard, where that is known."""
    source = _folder(site, repository, f"{MANIFESTS}/{service.name}")
    # What a service's own words say of its pods, nobody has held against the standard.
    enforced = enforced or ("baseline" if service.service.kubernetes else "restricted")
    labels = {
        "pod-security.kubernetes.io/enforce": enforced,
        "pod-security.kubernetes.io/warn": "restricted",
    }
    return _of_service(site, service, source, {"managedNamespaceMetadata": {"labels": labels}})


def chart_application(
    site: Site, service: ServiceFacts, chart: AppSource, repository: str, beside: bool,
    values: str | Manifest = "",
) -> Manifest:  # fmt: skip
    """The Application of a service that has a chart, and of its folder when there is something `beside` it.

    `values`: of the chart, as YAML that somebody wrote, or ours.
    """
    told = {"values" if isinstance(values, str) else "valuesObject": values} if values else {}
    source: Manifest = {
        "name": "chart",
        "repoURL": (chart.repository or "").removeprefix("oci://"),
        "chart": chart.chart,
        "targetRevision": version_of(chart, service.app, service.version),
        "helm": {"releaseName": service.name, **told},
    }
    folder = {"name": "manifests", **_folder(site, repository, f"{MANIFESTS}/{service.name}")}
    return own_words(service, _of_service(site, service, [source, folder] if beside else [source], {}))


def namespace_of_argocd(site: Site) -> str:
    """Where Applications live."""
    return site.argocd.name if site.argocd else "argocd"


def wave(site: Site, service: ServiceFacts) -> int:
    """The parts of the cluster first, then each service after those that it needs."""
    if service.app.kind == "platform":
        return 0
    services = site.facts.services
    before = [services[need] for need in service.needs if need in services and services[need].service.cluster]
    return 1 + max((wave(site, other) for other in before), default=0)


def _of_service(site: Site, service: ServiceFacts, source: Manifest | list[Manifest], sync: Manifest) -> Manifest:
    cluster = service.service.cluster
    destination = SERVER if cluster == _home(site) else ""
    spec = _spec(site, source, destination, service.name, sync)
    spec["syncPolicy"]["automated"]["selfHeal"] = service.heal
    if not destination:
        spec["destination"] = {"name": cluster, "namespace": service.name}
    about = {
        "name": service.name,
        "labels": metadata(site, service)["labels"],
        "annotations": {"argocd.argoproj.io/sync-wave": str(wave(site, service))},
    }
    return _application(site, about, spec)


def _application(site: Site, about: Manifest, spec: Manifest) -> Manifest:
    # What the API server and webhooks fill in is no difference: docs/decisions/0033-what-controllers-fill-in.md
    annotations = {**about.get("annotations", {}), "argocd.argoproj.io/compare-options": "ServerSideDiff=true"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": about["name"],
            "namespace": namespace_of_argocd(site),
            "labels": about["labels"],
            "annotations": annotations,
            "finalizers": ["resources-finalizer.argocd.argoproj.io/foreground"],
        },
        "spec": spec,
    }


def _spec(
    site: Site, source: Manifest | list[Manifest], server: str, namespace: str, sync: Manifest | None = None
) -> Manifest:
    return {
        "project": "default",
        **({"sources": source} if isinstance(source, list) else {"source": source}),
        "destination": {"server": server, "namespace": namespace},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            **(sync or {}),
            "syncOptions": [
                "CreateNamespace=true", "ServerSideApply=true", "PruneLast=true", "SkipDryRunOnMissingResource=true",
            ],
            "retry": {"limit": -1, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}},
        },
    }  # fmt: skip


def _folder(site: Site, repository: str, path: str) -> Manifest:
    return {"repoURL": repository, "targetRevision": site.lab.settings.gitops.branch, "path": path}


def _home(site: Site) -> str | None:
    """The cluster in which Argo CD runs: where its service is, else the only or first one."""
    return site.argocd.service.cluster if site.argocd else next(iter(site.lab.settings.clusters), None)
