"""`check --live`: what only the world can answer. Stores, registries, indexes and site `here` are asked; nothing is
changed. The engines of site `home` are not asked.

In: a lab that passed the checks, and its site. Out: findings: a warning for each version that is behind, for a tag that
means something else than it is locked to, for what the store lacks and for what does not run well here; notes for what
could not be asked, and for what runs otherwise than it is described.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from blumeops.app import live_here, vault
from blumeops.base.errors import BlumeError
from blumeops.base.findings import Finding, Place, in_order
from blumeops.base.site import SiteFolder
from blumeops.checks.check import CheckedLab
from blumeops.facts.images import Used, used_images
from blumeops.facts.origins import Origin
from blumeops.facts.pins import Pin, pins
from blumeops.lab.images import parse_image
from blumeops.lab.model import Lab
from blumeops.upstream.ask import Away
from blumeops.upstream.listing import ASKED, versions_of
from blumeops.upstream.newer import newer
from blumeops.upstream.registry import NoSuchImage, Registries
from blumeops.upstream.together import asked_together

Progress = Callable[[str], None]


def findings(
    checked: CheckedLab, folder: Path, site: SiteFolder, age_key: Path | None, environment: Mapping[str, str],
    progress: Progress,
) -> list[Finding]:  # fmt: skip
    """All of them, by place. `environment`: where the index of packages may be named."""
    registries = Registries()
    found = [*_secrets(checked, folder, site, age_key), *_behind(checked.lab, registries, environment, progress)]
    return in_order([*found, *_moved(checked.lab, registries, progress), *live_here.findings(checked, site)])


def _secrets(checked: CheckedLab, folder: Path, site: SiteFolder, age_key: Path | None) -> list[Finding]:
    """As `secret check`, for this description."""
    lab = checked.lab.settings.lab
    try:
        return vault.findings(vault.read(site, lab, folder, age_key, checked), site, age_key)
    except BlumeError as error:
        place, hint = checked.lab.place("secrets"), error.hint
        return [Finding(error.code, place, error.subject, f"{error.message}: not asked for secrets", hint, "note")]


def _behind(
    lab: Lab, registries: Registries, environment: Mapping[str, str], progress: Progress
) -> Iterator[Finding]:  # fmt: skip
    asked = {pin: next((each for each in pin.origins if each.datasource in ASKED), None) for pin in pins(lab)}
    origins = list(dict.fromkeys(origin for origin in asked.values() if origin is not None))
    told: dict[Origin, tuple[str, ...] | str] = {}
    for origin, answer in asked_together(origins, lambda each: _versions(each, registries, environment)):
        told[origin] = answer
        progress(f"asked {len(told)} of {len(origins)} for versions: {origin.name}")
    for pin, known in asked.items():
        answer = () if known is None else told[known]
        if known is not None and isinstance(answer, str):
            message = f"whether {pin.version} is behind is not known: {known.name}: {answer}"
            yield Finding("BLU136", pin.place, pin.service, message, severity="note")
        elif known is not None and not isinstance(answer, str):
            yield from _compared(pin, known, answer)
    unasked = sorted({pin.service for pin, known in asked.items() if known is None})
    if unasked:
        message = f"nobody is asked for the versions of {', '.join(unasked)}: no registry, PyPI or GitHub tells them"
        yield Finding("BLU136", Place("lab.yaml", 1, 1), lab.settings.lab, message, severity="note")


def _versions(origin: Origin, registries: Registries, environment: Mapping[str, str]) -> tuple[str, ...] | str:
    """What there is, or why that is not known."""
    try:
        return versions_of(origin, registries, environment)
    except Away as error:
        return str(error)


def _compared(pin: Pin, origin: Origin, known: tuple[str, ...]) -> Iterator[Finding]:
    if origin.datasource == "pypi":  # 18.6 is any 18.6.x there
        numbers = pin.version.count(".") + 1
        known = tuple(dict.fromkeys(".".join(each.split(".")[:numbers]) for each in known))
    found = newer(pin.version, known)
    if found.newest:
        line = f", and {found.in_line} of its own line" if found.in_line else ""
        message = f"{pin.version} is behind: {found.newest} is there{line} ({origin.name})"
        hint = "change the version here" if pin.own else "name a `version:`; the catalogue's is older"
        yield Finding("BLU135", pin.place, pin.service, message, hint, "warning")


def _moved(lab: Lab, registries: Registries, progress: Progress) -> Iterator[Finding]:
    """Tags that mean something else than what they are locked to."""
    used: dict[str, Used] = {}
    for each in used_images(lab):
        if (lab.locked or {}).get(each.image):
            used.setdefault(each.image, each)
    answers = asked_together(list(used.values()), lambda each: _digest(registries, each.image))
    for done, (each, digest) in enumerate(answers, 1):
        progress(f"asked for {done} of {len(used)} digests: {each.image}")
        if digest and digest != (lab.locked or {})[each.image]:
            message = f"{each.image} means something else now than it is locked to"
            yield Finding("BLU137", each.place, each.service, message, "blumeops lock shows both", "warning")


def _digest(registries: Registries, image: str) -> str:
    """Empty where it is not told: then its list of tags was not told either, and that is a note."""
    try:
        return registries.digest(parse_image(image))
    except (Away, NoSuchImage):
        return ""
