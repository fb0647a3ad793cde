"""BLU50x and BLU52x: references to secrets are well formed, and no secret stands where everybody can read it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blumeops.base.findings import Finding, Place
from blumeops.facts.derive import Facts
from blumeops.facts.parts import SecretValue
from blumeops.lab.brought.model import LITERAL
from blumeops.lab.model import Lab

_PART = r"[A-Za-z0-9._-]+( +[A-Za-z0-9._-]+)*"
_REFERENCE = re.compile(rf"op://{_PART}(/{_PART}){{2,3}}")
"""As `secrets/references.py` reads them."""


SECRET_NAME = re.compile(r"(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIALS?)$")


def is_written(text: str) -> bool:
    """Whether a variable has its value there: it is no path of a file, and looks nothing up."""
    return bool(text) and not text.startswith("/") and "{{" not in text


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Each secret is named by reference; a value in its place is refused without showing it."""
    for name, service in lab.services.items():
        for secret, reference in service.secrets.items():
            yield from _wrong(f"{name}.{secret}", reference, lab.service_place(name, "secrets", secret))
        for variable, text in service.env.items():
            place = lab.service_place(name, "env", variable)
            if (
                is_written(text)
                and SECRET_NAME.search(variable)
                and not lab.settings.secrets.allows(place.file, LITERAL)
            ):
                hint = "let the app name it in `secrets:`, and write {{ secrets.NAME }}"
                yield Finding("BLU523", place, f"{name}.{variable}", "has its value in Git, by its name a secret", hint)
    for name, facts_of in facts.services.items():
        wiring = facts_of.wiring
        for word, texts in (
            ("command", wiring.command),
            ("arguments", wiring.arguments),
            ("reload", wiring.reload),
            ("init", wiring.init_command),
            ("health", wiring.health_command),
        ):
            if any(isinstance(part, SecretValue) for text in texts for part in text):
                message = (
                    f"a secret stands in `{word}:` of {facts_of.app.app}, and every user of a machine sees arguments"
                )
                hint = "hand it over by `env:`, or as a file: {{ secrets.NAME.file }}"
                yield Finding("BLU520", lab.service_place(name), name, message, hint)
    yield from _ambiguous(facts)
    if lab.settings.network.dns:
        yield from _wrong("network.dns.token", lab.settings.network.dns.token, lab.place("network", "dns", "token"))
    gitops = lab.settings.gitops
    for field, given in (("token", gitops.token), ("webhook", gitops.webhook)):
        if given:
            yield from _wrong(f"gitops.{field}", given, lab.place("gitops", field))


def _ambiguous(facts: Facts) -> Iterator[Finding]:
    """External Secrets finds a field of an item by its label, whichever section it stands in, and refuses two.

    https://external-secrets.io/latest/provider/1password-automation/
    """
    uses = [
        (name, use)
        for name, service in facts.services.items()
        for use in service.secrets
        if _REFERENCE.fullmatch(use.reference)
    ]
    sections: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for _, use in uses:
        vault, item, *section, field = use.reference.split("/")[2:]
        sections.setdefault((vault, item, field), set()).add(tuple(section))
    for name, use in uses:
        vault, item, *_, field = use.reference.split("/")[2:]
        if facts.services[name].service.cluster and len(sections[vault, item, field]) > 1:
            message = f"{use.reference}: the item has a field {field} elsewhere too, and pods could be given neither"
            hint = "let each label stand once in an item: External Secrets does not look at sections"
            yield Finding("BLU528", use.place, f"{name}.{use.name}", message, hint)


def _wrong(subject: str, reference: str, place: Place) -> Iterator[Finding]:
    if not _REFERENCE.fullmatch(reference):
        hint = "write op://vault/item/field, and keep the value in the store"
        yield Finding("BLU501", place, subject, "is not a reference to a secret", hint)
