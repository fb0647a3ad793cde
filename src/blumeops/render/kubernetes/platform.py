"""The parts of a cluster that are charts: the values that the rest of the lab relies on, and what stands beside them.

Each chart keeps its own defaults but for what others name: a Service, a Secret, a port. The service's own
`kubernetes:` block is laid on these values. What opens Connect has to be in the cluster before anything can be fetched
by it: a person puts it there once, with the commands of `argocd/README.md`, which keep no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from blumeops.facts.access.identities import OPERATOR
from blumeops.facts.derive import ServiceFacts
from blumeops.render.kubernetes.manifest import Manifest
from blumeops.render.kubernetes.places import Site
from blumeops.render.kubernetes.policies import connect_policies
from blumeops.render.kubernetes.secrets import TOKEN, external_secret, secret, stores
from blumeops.render.kubernetes.words import Words
from blumeops.render.kubernetes.workloads import Files, has_ingress, ingress

CREDENTIALS = ("op-credentials", "1password-credentials.json")
"""The Secret, and its key, from which Connect's chart reads how to open its vaults; in base64 once more, since the
program takes it from its environment: https://github.com/1Password/connect-helm-charts"""
OAUTH = "operator-oauth"
"""The Secret that the chart of Tailscale's operator reads, with the keys `client_id` and `client_secret`."""


def values(site: Site, service: ServiceFacts) -> Manifest:
    """What a chart is told; empty for one that the lab relies on as it is."""
    match service.app.app:
        case "argocd":
            url = service.people_url or service.machine_url
            return {
                # Its parts are called after the service; TLS ends at the proxy that leads to it.
                "fullnameOverride": service.name,
                "configs": {
                    **({"cm": {"url": url}} if url else {}),
                    "params": {"server.insecure": True},
                },
                "dex": {"enabled": False},
                "notifications": {"enabled": False},
            }
        case "external-secrets":
            return {"installCRDs": True}
        case "cloudnative-pg":
            return {"crds": {"create": True}}
        case "onepassword-connect":
            name, key = CREDENTIALS
            return {
                "connect": {
                    "applicationName": service.name,
                    "serviceType": "ClusterIP",
                    "credentialsName": name,
                    "credentialsKey": key,
                    "api": {"httpPort": service.ports["http"].port},
                },
                "operator": {"create": False},
            }
        case "tailscale-operator":
            return {
                "installCRDs": True,
                "operatorConfig": {"hostname": service.name, "defaultTags": [OPERATOR]},
                "apiServerProxyConfig": {"mode": "false"},
            }
    return {}


def beside(site: Site, service: ServiceFacts) -> Files:
    """The files that stand beside a chart."""
    match service.app.app:
        case "argocd" if has_ingress(site, service):
            found = ingress(site, service, {"number": 80})
            found["spec"]["defaultBackend"]["service"]["name"] = f"{service.name}-server"
            return {"ingress.yaml": [found]}
        case "onepassword-connect":
            files: Files = {
                "clustersecretstore.yaml": stores(site, service),
                "networkpolicy.yaml": connect_policies(site, service),
            }
            # Machines would find it behind the proxy too: it is opened to whom somebody names, and to nobody else.
            opened = has_ingress(site, service) and service.service.allow
            port = {"number": service.ports["http"].port}
            return files | ({"ingress.yaml": [ingress(site, service, port)]} if opened else {})
        case "tailscale-operator" if site.has(service.service.cluster, "external-secrets"):
            references = {use.name: use.reference for use in service.secrets}
            keys = {key: secret(references[key]) for key in ("client_id", "client_secret")}
            made = external_secret(site, service, keys, Words(site, service))
            made["metadata"]["name"] = made["spec"]["target"]["name"] = OAUTH
            return {"externalsecret.yaml": [made]}
    return {}


def beforehand(site: Site) -> Iterator[str]:
    """The commands that put into each cluster what opens Connect: `op` reads, kubectl takes it from its input."""
    for (_, app), service in site.operators.items():
        if app != "onepassword-connect":
            continue
        references = {use.name: use.reference for use in service.secrets}
        at = f"-n {service.name}"
        context = "" if len(site.lab.settings.clusters) == 1 else f" --context {service.service.cluster}"
        kubectl = f"kubectl{context}"
        yield f"{kubectl} create namespace {service.name}"
        for (name, key), what, encoded in (
            (CREDENTIALS, "credentials", " | base64 | tr -d '\\n'"), (TOKEN, "token", ""),
        ):  # fmt: skip
            yield (
                f"op read --no-newline {quote(references[what])}{encoded} |\n"
                f"  {kubectl} create secret generic {name} {at} --from-file={key}=/dev/stdin"
            )
