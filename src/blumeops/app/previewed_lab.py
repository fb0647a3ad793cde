"""What a preview describes: a checked lab made into another one, which can stand beside it on the same machine.

What enters: the lab as it was read, which services are wanted, and the preview's name and ports. What leaves: the files
that differ, each with its new content, or None for one that goes. Pure. Promised: the store, the remote and the names
are the preview's own; no job is in it; what is left out is named nowhere any more.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import yaml

from blumeops.base.errors import UserError
from blumeops.checks.check import CheckedLab
from blumeops.facts.derive import ServiceFacts
from blumeops.lab.load import POLICY
from blumeops.lab.model import Lab
from blumeops.lab.settings import Here
from blumeops.secrets import rules, sops

LONGEST = 50
"""Characters of a name."""
SLUG = 20
"""Characters that a preview adds to names, at most."""


def wanted_services(checked: CheckedLab, names: Collection[str]) -> frozenset[str]:
    """The services of the description that these (none: all) come to, with all that they need and the proxy; no jobs.

    Raises UserError `BLU780` for a name that is no service, or a job.
    """
    lab, facts = checked.lab, checked.facts.services
    for name in names:
        if name not in facts:
            near = difflib.get_close_matches(name, facts, n=1)
            hint = f"did you mean {near[0]}?" if near else "`blumeops show` lists the services"
            raise UserError("BLU780", name, "is no service of that revision", hint)
        if facts[name].app.kind == "job":
            raise UserError("BLU780", name, "is a job, and none runs in a preview", "name what it works for")
    left = [name for name, service in facts.items() if service.app.kind != "job" and (not names or name in names)]
    left += [lab.settings.network.proxy] if lab.settings.network.proxy in facts else []
    found: set[str] = set()
    while left:
        name = left.pop()
        if name in found or facts[name].app.kind == "job":
            continue
        found.add(name)
        left += [need for need in facts[name].needs if need in facts]
        project = _entry(lab, name)  # the parts of a Compose file go together
        left += [member for member, each in lab.members.items() if each.project == project and member in facts]
    return frozenset(_entry(lab, name) for name in found)


def changed_files(
    checked: CheckedLab, keep: Collection[str], name: str, slug: str, here: Here
) -> dict[str, bytes | None]:
    """By path, what the preview `name` has instead of the lab's files. `keep`: entries of services."""
    lab = checked.lab
    files: dict[str, bytes | None] = {sops.NAME: None, rules.NAME: None, POLICY: None}
    files["lab.yaml"] = _dumped(_settings(lab, keep, name, here))
    for file in sorted(set(lab.service_files.values())):
        entries = lab.documents[file].data
        left = {each: _service(lab, each, entry, keep, slug) for each, entry in entries.items() if each in keep}
        files[file] = _dumped(left)
    return files


def issued_elsewhere(checked: CheckedLab, provided: Collection[str]) -> dict[str, str]:
    """By reference, a service that needs it: what no preview can make by itself. `provided`: services that something
    built in stands in for."""
    services: Iterable[ServiceFacts] = checked.facts.services.values()
    return {
        use.reference: service.name
        for service in services
        if service.name not in provided
        for use in service.secrets
        if use.recipe is None
    }


def label_of(label: str, slug: str) -> str:
    """A service's name in addresses: its own and the preview's; one that is too long is shortened."""
    whole = f"{label}-{slug}"
    if len(whole) <= LONGEST:
        return whole
    digest = hashlib.sha256(label.encode()).hexdigest()[:6]
    return f"{label[: LONGEST - len(slug) - len(digest) - 2].rstrip('-')}-{digest}-{slug}"


def _entry(lab: Lab, name: str) -> str:
    """The service of the description that one comes from."""
    return lab.members[name].project if name in lab.members else name


def _settings(lab: Lab, keep: Collection[str], name: str, here: Here) -> dict[str, Any]:
    data = dict(lab.documents["lab.yaml"].data)
    data |= {"lab": name, "here": here.model_dump()}
    data["gitops"] = {"heal": lab.settings.gitops.heal}  # neither remote nor webhook, status, consent
    data["secrets"] = {"store": "sops", "here": "sops", "vault": lab.settings.secrets.vault}
    if clusters := data.get("clusters"):
        data["clusters"] = {
            each: {key: value for key, value in entry.items() if key != "registry" or value in keep}
            for each, entry in clusters.items()
        }
    return data


def _service(lab: Lab, name: str, entry: Any, keep: Collection[str], slug: str) -> dict[str, Any]:
    made: dict[str, Any] = {**(entry or {}), "name": label_of(lab.services[name].name or name, slug)}
    if allowed := made.get("allow"):
        made["allow"] = [each for each in allowed if each not in lab.services or each in keep]
    return made


class _Dumper(yaml.SafeDumper):
    """Every text in quotes: no reader takes one for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def _dumped(data: Mapping[str, Any]) -> bytes:
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, width=1000).encode()
