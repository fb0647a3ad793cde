"""A service that brings its own chart or manifests: its files as they are, and what leads to them.

    argocd/manifests/<service>/own/    the lab's folder, byte for byte
    argocd/manifests/<service>/*.yaml  what the description adds: the tailnet's name, the Secret of `secrets:`

The contract with the files: their Service has the service's name and its ports, their pods read the Secret of that
name. So nothing in them has to be changed, and the rest of the lab finds them like any other service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.images import locked_digest, of_manifests
from blumeops.lab.brought.model import Brought, KubeObject
from blumeops.lab.brought.pods import containers, pods
from blumeops.lab.sources import AppSource
from blumeops.render.kubernetes.manifest import Manifest
from blumeops.render.kubernetes.places import Site, on_tailnet
from blumeops.render.kubernetes.policies import guarded, policies
from blumeops.render.kubernetes.secrets import external_secret, secret
from blumeops.render.kubernetes.words import Words
from blumeops.render.kubernetes.workloads import Files, has_ingress, ingress

OWN = "own"
"""The folder of what is brought, beside what is derived."""
_BASELINE = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
"""https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline"""


def brought_by(site: Site, service: ServiceFacts) -> Brought | None:
    """What the lab brings for the service in a cluster."""
    return site.lab.brought.get(service.name)


def derived_files(site: Site, service: ServiceFacts) -> Files:
    """What is added to the files of the lab."""
    files: Files = {}
    if has_ingress(site, service):
        port = {"number": service.ports["http"].port}  # how the port is called, the lab's own files say
        files["ingress.yaml"] = [ingress(site, service, port)]
    references = {use.name: use.reference for use in service.secrets if use.name in service.app.secrets}
    if references:
        keys = {name: secret(reference) for name, reference in references.items()}
        made = external_secret(site, service, keys, Words(site, service))
        made["metadata"]["name"] = made["spec"]["target"]["name"] = service.name
        files["externalsecret.yaml"] = [made]
    if guarded(service):
        files["networkpolicy.yaml"] = policies(site, service)
    return files


def copies(brought: Brought) -> dict[str, bytes]:
    """The lab's files, by path below the service's folder."""
    return {f"{OWN}/{path}": text for path, text in brought.files.items()} if brought.way == "manifests" else {}


def resources(brought: Brought) -> list[str]:
    """What the kustomization around them lists."""
    if brought.way != "manifests":
        return []
    from blumeops.lab.brought.manifests import listed  # few labs bring any

    return [OWN] if brought.kustomized else [f"{OWN}/{path}" for path in listed(brought.files)]


def pinned(site: Site, brought: Brought) -> Manifest:
    """The part of that kustomization that pins images of the lab's files to what they are locked to. A digest stands
    instead of the tag: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/"""
    found = {bare: locked_digest(site.lab, name) for bare, (name, _) in sorted(of_manifests(brought).items())}
    images = [{"name": bare, "digest": digest} for bare, digest in found.items() if digest]
    return {"images": images} if images else {}


def source_of_chart(service: ServiceFacts) -> AppSource | None:
    """The chart that the service names itself."""
    chart = service.service.chart
    return AppSource(chart=chart.name, repository=chart.repository, version=service.service.version) if chart else None


def values(brought: Brought | None) -> str:
    """The text of a chart's values, as it is written; empty without any."""
    text = brought.files.get(brought.path) if brought and brought.way == "chart" else None
    return text.decode() if text else ""


def security(brought: Brought) -> str:
    """The strictest of Kubernetes' pod security standards that lets these pods start, short of `restricted`."""
    return "privileged" if any(_privileged(each) for each in brought.objects) else "baseline"


def left(site: Site, service: ServiceFacts, brought: Brought) -> Iterator[str]:
    """What a person has to see to."""
    ports = service.ports
    if brought.way == "chart" and ports:
        numbers = ", ".join(str(port.port) for port in ports.values())
        yield f"its chart must make a Service {service.name} with port {numbers}: `fullnameOverride` does, in most"
    if on_tailnet(site, service) and "http" not in ports:
        yield "Tailscale's operator gives its Service a name once that has the annotation `tailscale.com/expose`"
    if not guarded(service):
        yield "nobody knows what a chart's pods have to call: no NetworkPolicy closes its namespace"
    if any(not each.namespace for each in brought.objects):
        yield f"objects in {OWN}/ name no namespace, which Argo CD gives them: by hand, add `-n {service.name}`"
    for each in brought.fetched:
        yield f"{each} is fetched when it is applied, and nobody read it"


def _privileged(each: KubeObject) -> bool:
    for _, spec in pods(each):
        if any(spec.get(key) is True for key in ("hostNetwork", "hostPID", "hostIPC")):
            return True
        volumes = spec.get("volumes")
        if isinstance(volumes, list) and any(isinstance(volume, dict) and "hostPath" in volume for volume in volumes):
            return True
        if any(_beyond(container) for _, container in containers(spec)):
            return True
    return False


def _beyond(container: Mapping[str, Any]) -> bool:
    """Whether a container asks for more than the standard `baseline` grants."""
    context, ports = container.get("securityContext"), container.get("ports")
    if any(isinstance(port, dict) and port.get("hostPort") for port in (ports if isinstance(ports, list) else ())):
        return True
    if not isinstance(context, dict):
        return False
    capabilities = context.get("capabilities")
    added = capabilities.get("add") if isinstance(capabilities, dict) else None
    asked = set(map(str, added)) if isinstance(added, list) else set()
    return context.get("privileged") is True or not asked <= _BASELINE
