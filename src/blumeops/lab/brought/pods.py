"""The pods in an object of Kubernetes, whatever its kind, and their containers; each with its path in there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from blumeops.lab.brought.model import KubeObject

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def pods(each: KubeObject) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """The pods' specifications in an object, whatever its kind: what has a list of containers; each with its path."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), each.data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            if any(isinstance(value.get(key), list) for key in _CONTAINERS):
                yield path, value
            waiting += (((*path, key), inner) for key, inner in value.items())
        elif isinstance(value, list):
            waiting += (((*path, place), inner) for place, inner in enumerate(value))


def containers(spec: Mapping[str, Any]) -> Iterator[tuple[tuple[str, int], Mapping[str, Any]]]:
    """The containers of a pod's specification, each with its path in there."""
    for key in _CONTAINERS:
        found = spec.get(key)
        for place, container in enumerate(found if isinstance(found, list) else ()):
            if isinstance(container, dict):
                yield (key, place), container
