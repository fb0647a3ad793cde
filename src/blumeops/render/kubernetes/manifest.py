"""Manifests as Python values: how they are laid on each other, and the file that several of them become."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from blumeops.render import yaml

Manifest = dict[str, Any]


def dump(header: str, manifests: Iterable[Manifest]) -> bytes:
    """One YAML file: `header` as its first line, a comment; then the documents."""
    return (f"# {header}\n" + "---\n".join(map(yaml.text, manifests))).encode()


def digest(content: Any) -> str:
    """Eight characters for a name: another content has another name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def merged(base: Any, over: Any) -> Any:
    """`base` with `over` laid on it: maps key by key (null takes a key away), lists of things with a name by
    that name, every other value whole."""
    if isinstance(base, dict) and isinstance(over, Mapping):
        result = {key: merged(value, over[key]) if key in over else value for key, value in base.items()}
        result |= {key: value for key, value in over.items() if key not in base}
        return {key: value for key, value in result.items() if value is not None}
    if isinstance(base, list) and isinstance(over, list) and all(map(_name, [*base, *over])):
        replaced = {_name(item): item for item in over}
        kept = [merged(item, replaced.pop(_name(item), {})) for item in base]
        return [*kept, *replaced.values()]
    return over


def _name(item: Any) -> str:
    """The name of a container, variable, volume, or of a claim in a StatefulSet; empty for what has none."""
    if not isinstance(item, Mapping):
        return ""
    metadata = item.get("metadata")
    return str(item.get("name") or (metadata.get("name", "") if isinstance(metadata, Mapping) else ""))
