"""BLU30x: what is placed can run there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blumeops.base.findings import Finding, Place
from blumeops.facts.derive import Facts
from blumeops.facts.graph import parts, wants
from blumeops.lab.app import App
from blumeops.lab.brought.model import way_of
from blumeops.lab.model import Lab, Service
from blumeops.lab.settings import Host

OF_KUBERNETES = re.compile(r"default|init|folders|kube-.*")
"""Namespaces that each cluster has for itself (all that begin with `kube-`), and containers that we put into pods."""


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Services on machines that are always on; images and parts of a cluster in one; what is routed is reachable."""
    hosts = lab.settings.hosts
    for name, service in lab.services.items():
        app = lab.app_of(name)
        host = hosts.get(service.host or "")
        if host:
            yield from _fit(service.host or "", host, lab.service_place(name, "host"), name)
        if service.host and app and app.kind == "platform":
            message = f"{app.app} is a part of a Kubernetes cluster"
            yield Finding("BLU303", lab.service_place(name, "host"), name, message, "place it with `cluster:`")
        if service.host and service.image and host and host.os == "macos":
            message = f"is an image, and {service.host} (macos) runs native programs"
            yield Finding("BLU304", lab.service_place(name, "image"), name, message, "place it on a Linux host")
    for name, cluster in lab.settings.clusters.items():
        if cluster.host in hosts:
            yield from _fit(cluster.host, hosts[cluster.host], lab.place("clusters", name, "host"), name)
    yield from _without_images(lab)
    yield from _names(lab)
    yield from _missing_parts(lab)
    network = lab.settings.network
    proxy = lab.services.get(network.proxy)
    if network.domain and not network.tailnet and proxy is not None and proxy.host:
        for route in facts.routes:
            if facts.services[route.service].service.cluster:
                message = (
                    f"cannot be reached by {network.proxy} on {proxy.host}: a cluster's services have tailnet names"
                )
                hint = "name the tailnet in `network: {tailnet: …}`"
                yield Finding("BLU305", lab.service_place(route.service), route.service, message, hint)


def _without_images(lab: Lab) -> Iterator[Finding]:
    """A cluster runs images alone. Site `here` would run the program as a process, and `home` nothing at all: the
    mistake would be met on the day of the move."""
    keepers = {service.database for service in lab.services.values()}
    for name, service in lab.services.items():
        app = lab.app_of(name)
        if not service.cluster or app is None or way_of(service):
            continue
        kinds = {source.kind for source in app.sources}
        if not kinds & {"container", "chart"}:
            message = f"is placed in a cluster, and its app {app.app} names neither an image nor a chart"
        elif name in keepers and "container" not in kinds:
            message = f"makes its users' databases by a command of its image, and its app {app.app} names none"
        else:
            continue
        hint = "add `{container: …}` to the app's sources, or place it on a host"
        yield Finding("BLU307", lab.service_place(name, "cluster"), name, message, hint)


def _names(lab: Lab) -> Iterator[Finding]:
    """A service in a cluster has a namespace and a container of its name; Kubernetes' names know no `_`. (Their form
    and length are those of names in a lab: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/)"""
    for name, service in lab.services.items():
        app = lab.app_of(name)
        if not service.cluster:
            continue
        if OF_KUBERNETES.fullmatch(name):
            message = "is a name that a cluster has for itself: of a namespace, or of a container beside the service's"
            hint = "call it otherwise, and say what it is: `app:`"
            yield Finding("BLU309", lab.service_place(name), name, message, hint)
        for word, keys in _keys(service, app).items() if app else ():
            seen: dict[str, str] = {}
            for key in keys:
                plain = re.sub("[_-]+", "-", key).strip("-")
                if plain in seen:
                    own = word != "state" and key in getattr(service, word)
                    place = lab.service_place(name, *((word, key) if own else ()))
                    message = f"has {word} `{seen[plain]}` and `{key}`, which have one name in Kubernetes"
                    yield Finding("BLU309", place, name, message, "let them differ by more than - and _")
                seen.setdefault(plain, key)


def _keys(service: Service, app: App) -> dict[str, list[str]]:
    """The words that become names of Kubernetes, by field of the service."""
    folders = (service.state or app.state).folders
    return {"ports": list({**app.ports, **service.ports}), "state": list(folders), "mounts": list(service.mounts)}


def _missing_parts(lab: Lab) -> Iterator[Finding]:
    """A warning for each part of a cluster that a service in it cannot do without: it may be there by other means."""
    there = parts(lab)
    optional = {"cloudnative-pg"} | ({"external-secrets"} if lab.settings.secrets.store == "sops" else set())
    for name, service in lab.services.items():
        for app, why in wants(lab, name).items():
            if (
                (service.cluster, app) not in there
                and app not in optional
                and lab.broken.isdisjoint({app, "services:"})
            ):
                message = f"{why} {app}, which is not described for {service.cluster}"
                hint = f"add `{app}: {{cluster: {service.cluster}}}`, if nothing else installs it there"
                yield Finding("BLU306", lab.service_place(name), name, message, hint, severity="warning")


def _fit(name: str, host: Host, place: Place, subject: str) -> Iterator[Finding]:
    hint = "choose a host of role compute"
    if host.role == "workstation":
        yield Finding("BLU302", place, subject, f"is placed on {name}, a workstation, which is not always on", hint)
    elif host.os == "dsm":
        yield Finding(
            "BLU302", place, subject, f"is placed on {name}, where dsm runs neither services nor clusters", hint
        )
