"""What an API server makes of a custom resource by its published definition: it fills in defaults, and prunes.

In: an object as it is sent. Out: the object as it would be stored, and where the two differ. The definitions lie
beside the repository, in ../shared/crds: of Argo CD v3.5.1, External Secrets v2.9.0, CloudNativePG v1.30.0 and
Tailscale's operator v1.102.3. Other versions fill in other fields.

Followed rules: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
(#defaulting, #defaulting-and-nullable, #field-pruning); what they leave open is as in the API server's own code,
https://github.com/kubernetes/apiextensions-apiserver/tree/master/pkg/apiserver/schema (defaulting, pruning).
"""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

CRDS = Path(__file__).resolve().parents[2] / "shared" / "crds"
ABSENT = "the published custom resource definitions are not here: expected in ../shared/crds"


@cache
def published(version: str, kind: str) -> dict[str, Any]:
    """The schema of a custom resource as its definition has it. Skips the test where there are no definitions."""
    if not CRDS.is_dir():
        pytest.skip(ABSENT)
    for path in sorted(CRDS.glob("*.yaml")):
        text = path.read_text()
        if f"    kind: {kind}\n" not in text:  # some have a million characters: only the one that is wanted is read
            continue
        spec = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]
        for each in spec["versions"]:
            if (f"{spec['group']}/{each['name']}", spec["names"]["kind"]) == (version, kind):
                schema: dict[str, Any] = each["schema"]["openAPIV3Schema"]
                return schema
    raise AssertionError(f"there is no definition of {version} {kind}")


def stored(manifest: dict[str, Any]) -> dict[str, Any]:
    """A custom resource as the API server keeps it. Its metadata is the API server's own affair: it stays as it is."""
    rest = {key: value for key, value in manifest.items() if key != "metadata"}
    found: dict[str, Any] = kept(rest, published(manifest["apiVersion"], manifest["kind"]))
    return {"metadata": manifest["metadata"], **found}


def kept(value: Any, schema: Any) -> Any:
    """A copy of `value` with the defaults of `schema`, and without what that does not declare."""
    return _pruned(_filled(copy.deepcopy(value), schema), schema)


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Each place where `after` has more (`+ spec.x: 1`), less (`- …`) or something else (`! spec.x: 1 -> 2`)."""
    if isinstance(before, dict) and isinstance(after, dict):
        said = []
        for key in (*before, *(key for key in after if key not in before)):
            at = f"{path}.{key}" if path else str(key)
            if key not in after:
                said.append(f"- {at}: {before[key]!r}")
            elif key not in before:
                said.append(f"+ {at}: {after[key]!r}")
            else:
                said += differences(before[key], after[key], at)
        return said
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [each for place, (old, new) in pairs for each in differences(old, new, f"{path}[{place}]")]
    # True is 1 in Python, but not in JSON.
    same = before == after and isinstance(before, bool) == isinstance(after, bool)
    return [] if same else [f"! {path}: {before!r} -> {after!r}"]


def _filled(value: Any, schema: Any) -> Any:
    """`value` with each default that is not there, and those below them: a default may need more of its own."""
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if "default" in field and (name not in value or _null(value[name], field)):
                value[name] = copy.deepcopy(field["default"])
            elif name in value and _null(value[name], field):
                del value[name]  # a null where none may be is no value
        return {name: _filled(each, _below(schema, name)) for name, each in value.items()}
    if isinstance(value, list):
        items = schema.get("items", {})
        return [_filled(copy.deepcopy(items.get("default")) if _null(each, items) else each, items) for each in value]
    return value


def _null(value: Any, schema: Any) -> bool:
    """Whether it is a null that the schema does not allow."""
    return value is None and not schema.get("nullable", False)


def _below(schema: Any, name: str) -> Any:
    """The schema of a field; empty for what nobody declared."""
    if name in schema.get("properties", {}):
        return schema["properties"][name]
    others = schema.get("additionalProperties")
    return others if isinstance(others, dict) else {}


def _pruned(value: Any, schema: Any) -> Any:
    """`value` without the fields that nobody declared."""
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(value, dict):
        # Below a declared field the rule begins anew.
        return {
            name: _pruned(each, _below(schema, name)) if _declared(schema, name) else each
            for name, each in value.items()
            if open_ended or _embedded(schema, name) or _declared(schema, name)
        }
    if isinstance(value, list) and not (open_ended and "items" not in schema):
        return [_pruned(each, schema.get("items", {})) for each in value]
    return value


def _declared(schema: Any, name: str) -> bool:
    return name in schema.get("properties", {}) or isinstance(schema.get("additionalProperties"), dict)


def _embedded(schema: Any, name: str) -> bool:
    """Whether it belongs to every object of Kubernetes, which the field is by its schema."""
    return bool(schema.get("x-kubernetes-embedded-resource")) and name in ("apiVersion", "kind", "metadata")
