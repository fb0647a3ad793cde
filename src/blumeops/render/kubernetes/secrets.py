"""Secrets as External Secrets brings them: an ExternalSecret makes the Secret that pods read.

Every field that the operator would fill in is said, so that what is in the cluster equals what is in Git.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import SecretValue, Text
from blumeops.render.kubernetes.manifest import Manifest, digest
from blumeops.render.kubernetes.places import Site, metadata
from blumeops.render.kubernetes.words import Words, references, variables

STORE = "onepassword"
"""The ClusterSecretStore of the lab's own vault: whoever serves the Connect API is behind it."""
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
    asked = [store_of(site, _path(reference)[0]) for reference in named]
    store = STORE if STORE in asked or not asked else asked[0]
    data = [_entry(*each, store) for each in zip(named.items(), asked, strict=True)]
    name = f"{name or service.name}-{digest([template, data])}"
    target = {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain", "template": template}
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": metadata(site, service, name, namespace),
        "spec": {
            "refreshInterval": "1h0m0s",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": store},
            "target": target,
            "data": data,
        },
    }


def stores(site: Site, connect: ServiceFacts) -> list[Manifest]:
    """The ClusterSecretStores before a 1Password Connect: one for each vault that the lab's services name.

    In a store of several vaults External Secrets takes an item from the first one that has an item of this title.
    """
    found = {use.reference for service in site.facts.services.values() for use in service.secrets}
    own = (named for brought in site.lab.brought.values() for named in brought.secrets)
    found |= {named.reference for named in own if named.how == "remoteRef"}
    vaults = {_path(reference)[0] for reference in found} or {site.lab.settings.secrets.vault}
    name, key = TOKEN
    token = {"connectTokenSecretRef": {"namespace": connect.name, "name": name, "key": key}}
    host = f"http://{connect.name}.{connect.name}.svc:{connect.ports['http'].port}"
    return [
        {
            "apiVersion": "external-secrets.io/v1",
            "kind": "ClusterSecretStore",
            "metadata": {"name": store_of(site, vault), "labels": metadata(site, connect)["labels"]},
            "spec": {
                "provider": {
                    "onepassword": {"connectHost": host, "vaults": {vault: 1}, "auth": {"secretRef": token}},
                },
            },
        }
        for vault in sorted(vaults)
    ]


def store_of(site: Site, vault: str) -> str:
    """The name of a vault's ClusterSecretStore."""
    if vault == site.lab.settings.secrets.vault:
        return STORE
    plain = re.sub(r"[^a-z0-9]+", "-", vault.lower()).strip("-")
    return f"{STORE}-{vault}" if plain == vault else f"{STORE}-{plain}-{digest(vault)}"


def stores_of(made: Manifest) -> list[str]:
    """The ClusterSecretStores that an ExternalSecret of ours asks."""
    spec = made["spec"]
    others = {entry["sourceRef"]["storeRef"]["name"] for entry in spec["data"] if "sourceRef" in entry}
    return [spec["secretStoreRef"]["name"], *sorted(others)]


def secret(reference: str) -> Text:
    """A text that is one secret."""
    return (SecretValue(reference),)


def _entry(named: tuple[str, str], store: str, default: str) -> Manifest:
    """Connect finds a field by its label in an item: the section is not looked at."""
    reference, variable = named
    _, item, *_, field = _path(reference)
    remote = {
        "key": item,
        "property": field,
        "conversionStrategy": "Default",
        "decodingStrategy": "None",
        "metadataPolicy": "None",
    }
    entry: Manifest = {"secretKey": variable, "remoteRef": remote}
    if store != default:
        entry["sourceRef"] = {"storeRef": {"kind": "ClusterSecretStore", "name": store}}
    return entry


def _path(reference: str) -> list[str]:
    """Vault, item, perhaps section, field."""
    return reference.removeprefix("op://").split("/")
