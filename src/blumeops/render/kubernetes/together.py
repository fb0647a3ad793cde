"""The parts of a Compose file in a cluster: each has a namespace of its own, and finds the others as in that file.

Enters: a part. Leaves: Services of its namespace. One leads to its own pods at whatever port, since parts call each
other at ports that no `ports:` names: it has no address, and is there before they are healthy, as Compose's names are.
Each name of a part, its own too, is an alias of such a Service (`ExternalName`, which DNS answers with a CNAME).
https://kubernetes.io/docs/concepts/services-networking/service/#externalname
"""

from __future__ import annotations

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.together import labels, pods_of
from blumeops.render.kubernetes.manifest import Manifest
from blumeops.render.kubernetes.places import Site, metadata, selector

DOMAIN = "cluster.local"
"""What minikube, k3s and kubeadm call a cluster's own domain: an alias has to say a whole name."""


def names(site: Site, part: ServiceFacts) -> list[Manifest]:
    """The Services by which a part's pods find all of them; none for what comes from no Compose file."""
    if part.name not in site.lab.members:
        return []
    own = {"type": "ClusterIP", "clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector(part)}
    made = {part.name: None, pods_of(part.name): _service(site, part, pods_of(part.name), own)}
    for other in (part.name, *others(site, part.name)):
        target = {"type": "ExternalName", "externalName": f"{pods_of(other)}.{other}.svc.{DOMAIN}"}
        for label in filter(None, labels(site.lab.members[other]).values()):
            made.setdefault(label, _service(site, part, label, target))
    return [service for service in made.values() if service]


def others(site: Site, part: str) -> list[str]:
    """The other parts of its Compose file, in the order of names; none of what comes from no such file."""
    member = site.lab.members.get(part)
    return [name for name in site.composed[member.project] if name != part] if member else []


def _service(site: Site, part: ServiceFacts, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(site, part, name), "spec": spec}
