"""Every secret of a lab: who names it, and how it is delivered at each site. No value enters, and none leaves.

In: a lab and its facts. Out: one `Entry` a reference, in their order. What is generated when it is missing, and what a
person must bring, stands in it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from blumeops.base.errors import UserError
from blumeops.base.findings import Place
from blumeops.facts.derive import Facts, Recipe, SecretUse, ServiceFacts
from blumeops.facts.parts import SecretFile, SecretValue, Text
from blumeops.lab.model import Lab
from blumeops.render.local import is_run
from blumeops.secrets.references import Reference


@dataclass(frozen=True, slots=True)
class Use:
    """One place that needs the secret. `service`: empty for the lab itself."""

    subject: str
    """`miniflux.admin_password`, `gitops.token`."""
    service: str
    place: Place
    here: tuple[str, ...]
    """How it gets there at site `here`; empty: it is not needed there."""
    home: str
    once: bool = False
    """Whether the program takes it at its first start alone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One reference. `recipe`: how it is made when there is none; None: a person brings it."""

    reference: Reference
    uses: tuple[Use, ...]
    recipe: Recipe | None


def inventory(lab: Lab, facts: Facts) -> list[Entry]:
    """Every reference that the description names and that is well formed."""
    uses: dict[Reference, list[Use]] = {}
    recipes: dict[Reference, list[Recipe | None]] = {}
    for service in facts.services.values():
        for secret in service.secrets:
            if reference := _parsed(secret.reference):
                uses.setdefault(reference, []).append(_use(lab, facts, service, secret))
                recipes.setdefault(reference, []).append(secret.recipe)
    for text, use in (*_of_lab(lab), *_brought(lab)):
        if reference := _parsed(text):
            uses.setdefault(reference, []).append(use)
            recipes.setdefault(reference, []).append(None)
    return [Entry(reference, tuple(found), _recipe(recipes[reference])) for reference, found in sorted(uses.items())]


def _recipe(wanted: Iterable[Recipe | None]) -> Recipe | None:
    """The one for most characters; None where one of the users cannot do with a value of ours."""
    recipes = list(wanted)
    return None if None in recipes else max((each for each in recipes if each), key=lambda recipe: recipe.length)


def _parsed(text: str) -> Reference | None:
    """None for what is none: the checks say so."""
    try:
        return Reference.parse(text)
    except UserError:
        return None


def _use(lab: Lab, facts: Facts, service: ServiceFacts, secret: SecretUse) -> Use:
    here = [*_own(service, secret), *_for_others(facts, service, secret.reference)] if is_run(service) else []
    cluster = service.service.cluster
    home = (
        f"ExternalSecret in {service.name} of {cluster}" if cluster else f"`op read` by the playbook of {service.host}"
    )
    place = secret.place if secret.name in service.service.secrets else lab.service_place(service.name)
    return Use(f"{service.name}.{secret.name}", service.name, place, tuple(dict.fromkeys(here)), home, secret.once)


def _own(service: ServiceFacts, secret: SecretUse) -> Iterator[str]:
    wiring = service.wiring
    for name, text in wiring.env.items():
        if _holds(text, secret.reference):
            yield f"environment ({name})"
    for name, text in wiring.files.items():
        if _holds(text, secret.reference):
            yield f"file {name}"
    every: list[Text] = [*wiring.command, *wiring.arguments, *wiring.init_command, *wiring.env.values()]
    if any(part == SecretFile(secret.name) for text in [*every, *wiring.files.values()] for part in text):
        yield "private file"
    if any(_holds(text, secret.reference) for text in wiring.grant_env.values()):
        yield "environment of the command that makes its database"


def _for_others(facts: Facts, provider: ServiceFacts, reference: str) -> Iterator[str]:
    for user in facts.services.values():
        asks = user.database and user.database.provider == provider.name and user is not provider
        if asks and any(_holds(text, reference) for text in user.wiring.grant_env.values()):
            yield f"environment of the command that makes {user.name}'s database"


def _holds(text: Text, reference: str) -> bool:
    return any(isinstance(part, SecretValue) and part.reference == reference for part in text)


def _of_lab(lab: Lab) -> Iterator[tuple[str, Use]]:
    """What lab.yaml itself names."""
    gitops, dns = lab.settings.gitops, lab.settings.network.dns
    if gitops.token:
        here = ("the controller, which follows the remote",)
        yield gitops.token, Use("gitops.token", "", lab.place("gitops", "token"), here, "")
    if gitops.webhook:
        here = ("the controller, which checks webhooks",)
        yield gitops.webhook, Use("gitops.webhook", "", lab.place("gitops", "webhook"), here, "")
    if dns:
        home = f"`op read` by the playbook of the proxy's host, for {dns.provider}"
        yield dns.token, Use("network.dns.token", "", lab.place("network", "dns", "token"), (), home)


def _brought(lab: Lab) -> Iterator[tuple[str, Use]]:
    """What stands in the files that the lab brings itself. Nobody knows what they do with it: a person brings it."""
    for name, brought in lab.brought.items():
        service = lab.services[name]
        for named in brought.secrets:
            if named.how == "remoteRef":
                home = f"an ExternalSecret of its own in {service.cluster}"
            elif service.host:
                home = f"`op read` by the playbook of {service.host}"
            else:
                home = f"whoever reads it in {service.cluster}"
            yield named.reference, Use(f"{name}.{brought.way}", name, named.place, (), home)


def unused(entries: Iterable[Entry], stored: Iterable[Reference]) -> list[Reference]:
    """What a store holds and nobody names."""
    return sorted(set(stored) - {entry.reference for entry in entries})


def ambiguous(stored: Iterable[Reference]) -> list[tuple[Reference, Reference]]:
    """References of one item whose fields have the same label: who asks by label (External Secrets) gets an error."""
    first: dict[tuple[str, str, str], Reference] = {}
    found = []
    for reference in sorted(set(stored)):
        label = (reference.vault, reference.item, reference.field)
        if label in first:
            found.append((first[label], reference))
        first.setdefault(label, reference)
    return found
