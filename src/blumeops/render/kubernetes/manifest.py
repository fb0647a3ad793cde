"""Manifests as Python values, and the YAML that people and every reader of it understand alike.

Enters: dicts with keys in the order in which people write them. Leaves: one file, its origin on the first line.
Promised: readers of YAML 1.1 (kubectl, Argo CD) and of 1.2 find the same values, and equal input gives equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

Manifest = dict[str, Any]

# What some reader takes for a number, a date, a truth value or nothing: `1e3`, `0o7`, `12:30`, `y`, `.inf`.
# PyYAML itself quotes what PyYAML would misread, which is less.
_AMBIGUOUS = re.compile(
    r"[-+.]*[0-9][0-9a-fotxz_.,:+\- ]*|[-+]?\.(inf|nan)|y|n|yes|no|on|off|true|false|null|~|", re.IGNORECASE
)


def dump(header: str, manifests: Iterable[Mapping[str, Any]]) -> bytes:
    """One YAML file: `header` as its first line, a comment; then the documents."""
    documents = "---\n".join(
        yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31, default_flow_style=False)
        for manifest in manifests
    )
    return f"# {header}\n{documents}".encode()


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


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def analyze_scalar(self, scalar: str) -> Any:
        """A tab is no reason to quote several lines, but for the first: there readers look for the indentation."""
        if "\n" not in scalar or scalar.lstrip("\n").startswith("\t"):
            return super().analyze_scalar(scalar)
        analysis = super().analyze_scalar(scalar.replace("\t", "."))
        analysis.scalar = scalar
        return analysis


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _AMBIGUOUS.fullmatch(text) or not text.replace("\n", "").replace("\t", "").isprintable():
        style: str | None = '"'  # some readers end a line where others see a character
    else:
        style = "|" if "\n" in text.rstrip("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
