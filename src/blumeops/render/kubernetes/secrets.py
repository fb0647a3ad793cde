"""Secrets as External Secrets brings them: an ExternalSecret makes the Secret that pods read.

Every field that the operator would fill in is said, so that what is in the cluster equals what is in Git.
"""

from __future__ import annotations

from collections.abc import Mapping

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import SecretValue, Text
from blumeops.render.kubernetes.manifest import Manifest, digest
from blumeops.render.kubernetes.places import Site, metadata, ports_of
from blumeops.render.kubernetes.words import Words, references, variables

STORE = "onepassword"
"""The ClusterSecretStore that every ExternalSecret names: whoever serves the Connect API is behind it."""
TOKEN = ("onepassword-token", "token")
"""The Secret, and its key, with the token for Connect: as in Connect's own chart. It must be there beforehand."""


def external_secret(
    site: Site,
    service: ServiceFacts,
    keys: Mapping[str, Text],
    words: Words,
    name: str = "",
    namespace: str = "",
    kind: str = "Opaque",
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """The ExternalSecret of `keys`; it and its Secret have a name that is another when anything of it is.

    So a pod that reads it starts anew when a secret is taken from elsewhere, and waits until that is there.
    """
    named = variables(references(keys.values()))
    template: Manifest = {"engineVersion": "v2", "mergePolicy": "Replace", "type": kind}
    if labels:
        template["metadata"] = {"labels": dict(labels)}
    template["data"] = {key: words.template(text, named) for key, text in keys.items()}
    data = [{"secretKey": variable, "remoteRef": _remote(reference)} for reference, variable in named.items()]
    name = f"{name or service.name}-{digest([template, data])}"
    target = {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain", "template": template}
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": metadata(site, service, name, namespace),
        "spec": {
            "refreshInterval": "1h0m0s",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": STORE},
            "target": target,
            "data": data,
        },
    }


def store(site: Site, connect: ServiceFacts) -> Manifest:
    """The ClusterSecretStore before a 1Password Connect: of every vault that the lab's services name."""
    found = {use.reference for service in site.facts.services.values() for use in service.secrets}
    own = (named for brought in site.lab.brought.values() for named in brought.secrets)
    found |= {named.reference for named in own if named.how == "remoteRef"}
    vaults = sorted({_path(reference)[0] for reference in found} or {site.lab.settings.secrets.vault})
    name, key = TOKEN
    provider = {
        "connectHost": f"http://{connect.name}.{connect.name}.svc:{ports_of(connect)['http'].port}",
        "vaults": {vault: place for place, vault in enumerate(vaults, 1)},
        "auth": {"secretRef": {"connectTokenSecretRef": {"namespace": connect.name, "name": name, "key": key}}},
    }
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ClusterSecretStore",
        "metadata": {"name": STORE, "labels": metadata(site, connect)["labels"]},
        "spec": {"provider": {"onepassword": provider}},
    }


def secret(reference: str) -> Text:
    """A text that is one secret."""
    return (SecretValue(reference),)


def _remote(reference: str) -> Manifest:
    """Connect finds a field by its label in an item: the section is not looked at."""
    _, item, *_, field = _path(reference)
    return {
        "key": item,
        "property": field,
        "conversionStrategy": "Default",
        "decodingStrategy": "None",
        "metadataPolicy": "None",
    }


def _path(reference: str) -> list[str]:
    """Vault, item, perhaps section, field."""
    return reference.removeprefix("op://").split("/")
