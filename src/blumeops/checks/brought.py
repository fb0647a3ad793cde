"""BLU15x, and BLU125, BLU130, BLU523 of the lab's own files: what it brings fits the service that brings it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from blumeops.base.findings import Finding, Place
from blumeops.checks.secrets import SECRET_NAME, is_written
from blumeops.checks.versions import FLOATING
from blumeops.facts.derive import Facts
from blumeops.lab.brought.model import LITERAL, Brought, KubeObject, way_of
from blumeops.lab.brought.pods import containers, pods
from blumeops.lab.marks import shown
from blumeops.lab.model import Lab, Service
from blumeops.lab.validate import meant

_WHOLE_VERSION = re.compile(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
"""Less than three numbers are a range to Helm: 1.2 is any 1.2.x."""
USED = {
    "chart": {"secrets", "kubernetes", "version", "database", "heal"},
    "manifests": {"secrets", "database", "heal", "internet"},
    "role": {"secrets", "ansible"},
}
"""By way: the fields that something is made of, beside those below."""
_ALWAYS = {"host", "cluster", "app", "chart", "manifests", "role", "name", "allow", "ports", "state", "health"}


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Placed where it can be applied, pinned, routed, declared; nothing written down that nothing is made of."""
    for name, service in lab.services.items():
        way = way_of(service)
        if way is None:
            continue
        place = lab.service_place(name, way, of_key=True)
        if way == "role" and service.cluster:
            yield Finding("BLU308", place, name, "is set up by a role, and a cluster is no host", "name its `host:`")
        if way != "role" and service.host:
            message = f"is set up by `{way}:`, and {service.host} is no cluster"
            yield Finding("BLU308", place, name, message, "name its `cluster:`")
        if service.app is None:
            for field in sorted(service.model_fields_set - USED[way] - _ALWAYS):
                message, hint = f"nothing is made of `{field}:` beside `{way}:`", f"say it in what `{way}:` names"
                at = lab.service_place(name, field, of_key=True)
                yield Finding("BLU125", at, name, message, hint, severity="warning")
        if service.chart:
            yield from _pinned(lab, name, service)
        if service.role and name in lab.brought:
            yield from _variables(lab, name, service, lab.brought[name])
        if brought := lab.brought.get(name):
            yield from _images(name, brought)
            yield from _namespaces(lab, name, brought)
            yield from _values(lab, name, brought)
            yield from _ports(lab, name, service, brought)
            yield from _kept(lab, name, service, brought)


def _pinned(lab: Lab, name: str, service: Service) -> Iterator[Finding]:
    if service.version is None:
        if f"{name}.version" not in lab.broken:
            place = lab.service_place(name, "chart", of_key=True)
            hint = 'write `version: "1.2.3"`: that of the chart'
            yield Finding("BLU156", place, name, "does not say which version of its chart", hint)
    elif not _WHOLE_VERSION.fullmatch(service.version):
        message = f"{service.version} is no version of a chart: Helm would take the newest that fits"
        yield Finding("BLU156", lab.service_place(name, "version"), name, message, "write three numbers, as 1.2.3")


def _variables(lab: Lab, name: str, service: Service, brought: Brought) -> Iterator[Finding]:
    """Variables for which no file of the role asks are misspelt, or left over."""
    for key in service.ansible:
        if not any(key.encode() in text for text in brought.files.values()):
            message = f"no file of its role says anything of `{key}`"
            place = lab.service_place(name, "ansible", key, of_key=True)
            yield Finding("BLU159", place, name, message, meant(key, brought.defaults), severity="warning")


def _images(name: str, brought: Brought) -> Iterator[Finding]:
    for image in brought.images:
        bare, _, digest = image.image.partition("@")
        tag = bare.rpartition(":")[2] if ":" in bare.rpartition("/")[2] else ""
        if not digest and (not tag or tag in FLOATING):
            message = f"{shown(image.image, 100)!r} is not pinned: it is something else every day"
            yield Finding("BLU130", image.place, name, message, "give the image a tag of its version, or a digest")


def _namespaces(lab: Lab, name: str, brought: Brought) -> Iterator[Finding]:
    """A service's namespace has its name: what is elsewhere is not cleared away with it, and may be another's."""
    for each in brought.objects:
        if each.namespace in ("", name):
            continue
        place, hint = each.place("metadata", "namespace"), f"leave it out: it is {name}'s, whose namespace is {name}"
        if each.namespace in lab.services:
            message = f"{_called(each)} would be in the namespace of the service {each.namespace}"
            yield Finding("BLU153", place, name, message, hint)
        else:
            message = f"{_called(each)} is in the namespace {shown(each.namespace)}"
            yield Finding("BLU153", place, name, message, hint, severity="warning")


def _values(lab: Lab, name: str, brought: Brought) -> Iterator[Finding]:
    """A Secret in a manifest has its values in Git, base64 hides nothing; so has a variable."""
    for each in brought.objects:
        place = each.place()
        written = any(each.data.get(key) for key in ("data", "stringData"))
        if each.kind == "Secret" and not each.group and written:
            yield from _in_git(lab, place, name, f"the {_called(each)} has its values in Git")
        for path, key, value in _environment(each):
            if SECRET_NAME.search(key) and is_written(value) and "$(" not in value:
                message = f"{shown(key)} has its value in Git, by its name a secret"
                yield from _in_git(lab, each.place(*path, "value"), name, message)


def _environment(each: KubeObject) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """The variables of an object's containers that have a text: where, name and text."""
    for path, spec in pods(each):
        for inner, container in containers(spec):
            for number, variable in enumerate(_mappings(container, "env")):
                key, value = variable.get("name"), variable.get("value")
                if isinstance(key, str) and isinstance(value, str):
                    yield (*path, *inner, "env", number), key, value


def _in_git(lab: Lab, place: Place, name: str, message: str) -> Iterator[Finding]:
    if not lab.settings.secrets.allows(place.file, LITERAL):
        hint = "let an ExternalSecret bring it, or name it in the service's `secrets:`"
        yield Finding("BLU523", place, name, message, hint)


def _ports(lab: Lab, name: str, service: Service, brought: Brought) -> Iterator[Finding]:
    """Others find a service as NAME.NAME.svc: a Service of its name has each port that it says."""
    app = lab.app_of(name)
    if brought.way != "manifests" or app is None or brought.fetched:
        return
    numbers = {number for each in brought.objects if each.kind == "Service" and each.name == name
               for number in _numbers(each.data)}  # fmt: skip
    for key, port in {**app.ports, **service.ports}.items():
        if port.port not in numbers:
            place = lab.service_place(name, "ports", key) if key in service.ports else lab.service_place(name)
            message = f"nothing leads to its port {key}: {brought.path} has no Service {name} with the port {port.port}"
            yield Finding("BLU154", place, name, message, f"call the Service {name}, and give it that `port:`")


def _numbers(data: Mapping[str, Any]) -> Iterable[Any]:
    return (each.get("port") for each in _mappings(data.get("spec"), "ports"))


def _kept(lab: Lab, name: str, service: Service, brought: Brought) -> Iterator[Finding]:
    """What a pod keeps on a volume is declared, so that a backup can hold it."""
    app = lab.app_of(name)
    if app is None or f"{name}.state" in lab.broken:
        return
    declared = (service.state or app.state).folders.values()
    for each in brought.objects:
        for path, place in _mounted(each):
            if not any(_covers(folder, path) or _covers(path, folder) for folder in declared):
                message = f"{_called(each)} keeps {shown(path)} on a volume, and no `state:` of {name} says so"
                hint = f"write `state: {{NAME: {shown(path)}}}`, or mount it `readOnly: true`"
                yield Finding("BLU158", place, name, message, hint)


def _covers(folder: str, path: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def _mounted(each: KubeObject) -> Iterator[tuple[str, Place]]:
    """Where an object's pods mount what outlives them, to write on it."""
    claimed = {_name(claim.get("metadata")) for claim in _mappings(each.data.get("spec"), "volumeClaimTemplates")}
    for path, spec in pods(each):
        kept = claimed | {volume.get("name") for volume in _mappings(spec, "volumes") if _outlives(volume)}
        for inner, container in containers(spec):
            for number, mount in enumerate(_mappings(container, "volumeMounts")):
                if mount.get("name") in kept and mount.get("readOnly") is not True:
                    at = each.place(*path, *inner, "volumeMounts", number, "mountPath")
                    yield str(mount.get("mountPath")), at


def _called(each: KubeObject) -> str:
    return shown(f"{each.kind} {each.name}")


def _outlives(volume: Mapping[str, Any]) -> bool:
    """Whether it is there when the pod is gone; devices and sockets of the node keep nothing."""
    claim, host = volume.get("persistentVolumeClaim"), volume.get("hostPath")
    if isinstance(claim, dict):
        return claim.get("readOnly") is not True
    path = str(host.get("path")) if isinstance(host, dict) else ""
    return bool(path) and not path.startswith(("/dev", "/sys", "/proc", "/run", "/var/run", "/etc/localtime"))


def _mappings(value: Any, key: str) -> list[Mapping[str, Any]]:
    found = value.get(key) if isinstance(value, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _name(about: Any) -> Any:
    return about.get("name") if isinstance(about, dict) else None
