"""YAML as people write it and as Ansible reads it, version 1.1: PyYAML's writer quotes what that would misread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, no aliases, nothing for null, text of several lines as a block."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text.rstrip("\n") else None
    expression = text.startswith(("{", "'")) and "'" in text and not {'"', "\\"} & set(text)
    if expression or "\x85" in text:  # that is a newline to YAML 1.1, and PyYAML would write it plain
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _tuple(dumper: yaml.SafeDumper, items: tuple[Any, ...]) -> yaml.SequenceNode:
    return dumper.represent_list(items)


def _nothing(dumper: yaml.SafeDumper, _: None) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "")


_Dumper.add_representer(str, _text)
_Dumper.add_representer(tuple, _tuple)
_Dumper.add_representer(type(None), _nothing)


def mapping(data: Mapping[str, Any]) -> str:
    """A document that is a mapping, keys in the order given."""
    return _dump(dict(data))


def listing(items: Iterable[Mapping[str, Any]]) -> str:
    """A document that is a list, with an empty line between its items."""
    return "\n".join(_dump([item]) for item in items) or "[]\n"


def _dump(data: Any) -> str:
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False
    )
    return text
