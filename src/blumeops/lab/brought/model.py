"""What a lab brings itself for one service: files, and what was read in them that other rooms need to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from blumeops.base.findings import Place
from blumeops.lab.marks import Document, Mark

Way = Literal["chart", "manifests", "role"]
WAYS: tuple[Way, ...] = ("chart", "manifests", "role")
LITERAL = "literal"
"""The rule's name in `secrets.allow`, of values that stand in the description."""


def way_of(service: object) -> Way | None:
    """By which of WAYS a service is brought; None when it is not."""
    return next((way for way in WAYS if getattr(service, way) is not None), None)


@dataclass(frozen=True, slots=True)
class Named:
    """A reference to a secret, and where it stands. `how`: by what it is looked up."""

    reference: str
    place: Place
    how: Literal["op://", "remoteRef"]


@dataclass(frozen=True, slots=True)
class KubeObject:
    """One object of a manifest. `name` and `namespace` are as kustomize leaves them; empty where none is said."""

    kind: str
    group: str
    """`apps` of `apps/v1`; empty for Kubernetes' core."""
    name: str
    namespace: str
    data: Mapping[str, Any]
    file: str
    mark: Mark

    def place(self, *path: str | int, of_key: bool = False) -> Place:
        """The place of the value at `path`, or of its key."""
        return Document(self.file, self.data, self.mark).place(*path, of_key=of_key)


@dataclass(frozen=True, slots=True)
class Image:
    """An image that a manifest runs, with the tag or digest that it ends up with."""

    image: str
    place: Place


@dataclass(frozen=True)
class Brought:
    """What stands in for an app's own rendering."""

    way: Way
    path: str
    """The folder or, of a chart, the file of its values, below the lab's folder; empty for a chart without any."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """By path below the folder, as they are written."""
    secrets: tuple[Named, ...] = ()
    objects: tuple[KubeObject, ...] = ()
    images: tuple[Image, ...] = ()
    kustomized: bool = False
    """Whether the folder has a kustomization of its own."""
    defaults: tuple[str, ...] = ()
    """The variables that a role has a value for, in its `defaults`."""
    fetched: tuple[str, ...] = ()
    """What its kustomizations fetch from elsewhere, and nobody read."""

    @property
    def asks_api(self) -> bool:
        """Whether its pods are given rights at the cluster's API server, and so call it."""
        return any(each.kind in ("RoleBinding", "ClusterRoleBinding") for each in self.objects)
