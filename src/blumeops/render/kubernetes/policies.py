"""NetworkPolicies: what a service's pods may call and who may call them; everything else is dropped.

Each rule has a comment with the file and the words of the lab from which it follows (not the line: that changes with
what stands above it). A call between two services has two halves, one at each end; both stand in the files of the
service whose words say it, and live in the namespaces of the two. Policies add up, so neither's own has to be changed.

The network of the cluster has to enforce them: k3s does, minikube with `--cni=calico`. What runs on the same node as
kubelet asks pods how they are past every policy. https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from blumeops.facts.access.access import Reason
from blumeops.facts.access.borders import Inward, Outward
from blumeops.facts.access.pods import EVERYBODY, Call, Span
from blumeops.facts.derive import ServiceFacts
from blumeops.lab.brought.model import way_of
from blumeops.render.kubernetes.manifest import Manifest
from blumeops.render.kubernetes.places import Site, by_operator, metadata, selector
from blumeops.render.kubernetes.together import others
from blumeops.render.yaml import Noted

PRIVATE = {
    "0.0.0.0/0": ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
    "::/0": ("fc00::/7", "fe80::/10"),
}
"""All addresses, without those of homes, clusters and tailnets."""
TAILNET = ("100.64.0.0/10", "fd7a:115c:a1e0::/48")
"""https://tailscale.com/kb/1015/100.x-addresses"""
NAMESPACE = "kubernetes.io/metadata.name"
"""The label that the API server gives each namespace."""
DNS: Manifest = Noted("Names: each pod asks the cluster's DNS", {
    "to": [{
        "namespaceSelector": {"matchLabels": {NAMESPACE: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
})  # fmt: skip


def policies(site: Site, service: ServiceFacts) -> list[Manifest]:
    """The policies of a service with pods of ours, in its namespace and in those of whom its words speak."""
    said = [call for call in site.pods.said_by.get(service.name, ()) if not _together(site, call)]
    own = _policy(site, service, "own", service.name, pods_of(site, service), _in(site, service), _out(site, service))
    made = [_deny(site, service), own]
    if way_of(service.service):
        made.append(_within(site, service))
    for name in sorted({call.user for call in said} - {service.name, EVERYBODY}):
        user = site.facts.services[name]
        rules = [_egress(site, call) for call in said if call.user == name]
        if guarded(user):
            made.append(_policy(site, service, f"to-{service.name}", name, pods_of(site, user), egress=rules))
    for name in sorted({call.used for call in said} - {service.name}):
        used = site.facts.services[name]
        rules = [_ingress(site, call) for call in said if call.used == name]
        if guarded(used):
            made.append(_policy(site, service, f"from-{service.name}", name, pods_of(site, used), ingress=rules))
    return made


def connect_policies(site: Site, connect: ServiceFacts) -> list[Manifest]:
    """Those of 1Password Connect: External Secrets asks it, whoever `allow:` names, and it asks 1Password."""
    ingress = _in(site, connect, other=True)
    external = site.operators.get((connect.service.cluster, "external-secrets"))
    if external is not None:
        reason = Reason(site.lab.service_place(external.name), f"{external.name} fetches secrets from {connect.name}")
        spans = ((connect.ports["http"].port, "tcp"),)
        ingress.insert(0, _rule("from", [peer(site, external)], spans, reason))
    reason = Reason(site.lab.service_place(connect.name), f"{connect.name} asks 1Password")
    egress = [DNS, _rule("to", _internet(), ((443, "tcp"),), reason)]
    return [_deny(site, connect), _policy(site, connect, "own", connect.name, {}, ingress, egress)]


def grant_policies(site: Site, user: ServiceFacts, provider: ServiceFacts) -> list[Manifest]:
    """Those of the Job that makes a user's database, in the provider's namespace: it calls the provider alone."""
    use = user.database
    assert use is not None
    spans = ((provider.ports[use.port].port, "tcp"),)
    reason = Reason(site.lab.service_place(user.name, "database"), f"a Job makes the database of {user.name}")
    here = [{"podSelector": {"matchLabels": pods_of(site, provider)}}]
    there = [{"podSelector": {"matchLabels": selector(user)}}]
    at = provider.name
    return [
        _policy(site, user, f"grant-{user.name}", at, selector(user), egress=[DNS, _rule("to", here, spans, reason)]),
        _policy(site, user, f"from-grant-{user.name}", at, pods_of(site, provider),
                ingress=[_rule("from", there, spans, reason)]),
    ]  # fmt: skip


def pods_of(site: Site, service: ServiceFacts) -> dict[str, str]:
    """The labels that its pods have in its namespace. A database's, and the Jobs that make it, are the operator's.

    What the lab brings has labels of its own: all pods of its namespace.
    """
    if way_of(service.service):
        return {}
    return {"cnpg.io/cluster": service.name} if by_operator(site, service) else selector(service)


def guarded(service: ServiceFacts) -> bool:
    """Whether there are policies in its namespace: of a chart nobody knows what its pods have to call."""
    return service.app.kind != "platform" and service.service.chart is None


def peer(site: Site, service: ServiceFacts) -> Manifest:
    """A service's pods, seen from any namespace. A chart's pods have labels of the chart's own."""
    found: Manifest = {"namespaceSelector": {"matchLabels": {NAMESPACE: service.name}}}
    if service.app.kind != "platform" and (labels := pods_of(site, service)):
        found["podSelector"] = {"matchLabels": labels}
    return found


# one service's own


def _deny(site: Site, service: ServiceFacts) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": metadata(site, service, "default-deny"),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }  # fmt: skip


def _within(site: Site, service: ServiceFacts) -> Manifest:
    """Several pods may make up what the lab brings: they call each other."""
    reason = Reason(site.lab.service_place(service.name), f"the pods of {service.name} call each other")
    ingress, egress = ([_rule(key, [{"podSelector": {}}], (), reason)] for key in ("from", "to"))
    return _policy(site, service, "within", service.name, {}, ingress, egress)


def _parts(site: Site, service: ServiceFacts, key: str) -> list[Manifest]:
    """Parts of a Compose file call each other at any port, as in one network."""
    found = [peer(site, site.facts.services[name]) for name in others(site, service.name)]
    if not found:
        return []
    file = site.lab.members[service.name].file
    reason = Reason(site.lab.service_place(service.name), f"{service.name} is one of the parts of {file}")
    return [_rule(key, found, (), reason)]


def _together(site: Site, call: Call) -> bool:
    """Whether it is between parts of one Compose file, for which there is a rule already."""
    return call.used in others(site, call.user)


def _in(site: Site, service: ServiceFacts, other: bool = False) -> list[Manifest]:
    """`other`: what others say of the calls to it stands here too."""
    rules = [_inward(site, service, each) for each in site.borders.inward(service)]
    calls = [call for call in site.pods.of_used.get(service.name, ()) if not _together(site, call)]
    return [
        *rules,
        *_parts(site, service, "from"),
        *(_ingress(site, call) for call in calls if other or call.by == service.name),
    ]


def _out(site: Site, service: ServiceFacts) -> list[Manifest]:
    calls = [call for call in site.pods.of_user.get(service.name, ()) if call.by == service.name]
    calls = [call for call in calls if not _together(site, call)]
    cluster = service.service.cluster
    for call in site.pods.of_user.get(EVERYBODY, ()):
        if call.used != service.name and site.lab.services[call.used].cluster == cluster:
            calls.append(call)
    outward = [_outward(site, each) for each in site.borders.outward(service)]
    return [DNS, *_parts(site, service, "to"), *(_egress(site, call) for call in calls), *outward]


# rules


def _policy(
    site: Site, service: ServiceFacts, name: str, namespace: str, pods: dict[str, str],
    ingress: Iterable[Manifest] | None = None, egress: Iterable[Manifest] | None = None,
) -> Manifest:  # fmt: skip
    """One policy, of the direction that has rules: the other is the default's."""
    spec: Manifest = {"podSelector": {"matchLabels": pods} if pods else {}}
    rules = {key: list(each) for key, each in (("ingress", ingress), ("egress", egress)) if each is not None}
    spec["policyTypes"] = [key.capitalize() for key, each in rules.items() if each]
    spec |= {key: each for key, each in rules.items() if each}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": metadata(site, service, name, namespace), "spec": spec,
    }  # fmt: skip


def _ingress(site: Site, call: Call) -> Manifest:
    peers = [{"namespaceSelector": {}}] if call.user == EVERYBODY else [peer(site, site.facts.services[call.user])]
    return _rule("from", peers, _at_pods(site, call), call.reason)


def _egress(site: Site, call: Call) -> Manifest:
    return _rule("to", [peer(site, site.facts.services[call.used])], _at_pods(site, call), call.reason)


def _at_pods(site: Site, call: Call) -> tuple[Span, ...]:
    """The ports of the pods that are called. Of what the lab brings, the Service alone is known, not what is behind."""
    return () if way_of(site.facts.services[call.used].service) else call.ports


def _inward(site: Site, service: ServiceFacts, each: Inward) -> Manifest:
    ports = () if way_of(service.service) else each.ports
    match each.source:
        case "door":
            return _rule("from", [_proxy_of(site, service)], ports, each.reason)
        case "operators":
            operator = site.operators[service.service.cluster, "cloudnative-pg"]
            instances = {"podSelector": {"matchLabels": pods_of(site, service)}}
            return _rule("from", [peer(site, operator), instances], each.ports, each.reason)
    return _rule("from", [], ports, each.reason)


def _outward(site: Site, each: Outward) -> Manifest:
    peers: list[Manifest]
    match each.to:
        case "internet":
            peers = list(_internet())
        case "tailnet":
            peers = [{"ipBlock": {"cidr": cidr}} for cidr in TAILNET]
        case "operator":
            peers = [_proxies(site, site.facts.services[each.user].service.cluster)]
        case _:
            peers = _device(site, each.host)
    return _rule("to", peers, each.ports, each.reason)


def _rule(key: str, peers: Iterable[Manifest], spans: Iterable[Span], reason: Reason) -> Manifest:
    """`peers`: none is everybody. `spans`: none is every port."""
    rule: Manifest = {key: found} if (found := list(peers)) else {}
    ports = [{"protocol": protocol.upper(), "port": number} for number, protocol in spans]
    return Noted(f"{reason.place.file}: {reason.text}", {**rule, **({"ports": ports} if ports else {})})


def _internet() -> Iterator[Manifest]:
    for cidr, private in PRIVATE.items():
        yield {"ipBlock": {"cidr": cidr, "except": list(private)}}


def _device(site: Site, host: str) -> list[Manifest]:
    """A device by its address. One that the lab knows by name alone may be anywhere: the port has to do."""
    try:
        found = ipaddress.ip_address(site.lab.settings.hosts[host].address or "")
    except ValueError:
        return []
    return [{"ipBlock": {"cidr": f"{found}/{found.max_prefixlen}"}}]


def _proxy_of(site: Site, service: ServiceFacts) -> Manifest:
    """The pods that Tailscale's operator makes for a service: they have labels of the object that they are made for.

    https://github.com/tailscale/tailscale/blob/main/cmd/k8s-operator/sts.go
    """
    kind = "ingress" if "http" in service.ports else "svc"
    found = _proxies(site, service.service.cluster)
    found["podSelector"]["matchLabels"] |= {
        "tailscale.com/parent-resource-type": kind,
        "tailscale.com/parent-resource-ns": service.name,
        "tailscale.com/parent-resource": service.name,
    }
    return found


def _proxies(site: Site, cluster: str | None) -> Manifest:
    """All that the operator makes, in its namespace; where the lab does not describe it, in any."""
    operator = site.operators.get((cluster, "tailscale-operator"))
    return {
        "namespaceSelector": {"matchLabels": {NAMESPACE: operator.name}} if operator else {},
        "podSelector": {"matchLabels": {"tailscale.com/managed": "true"}},
    }
