"""Secrets as 1Password shows them: values by reference enter; vaults with items, sections and fields leave.

A store keeps names and values and nothing more. What 1Password's clients expect beside them follows from the names:
identifiers (26 characters of a-z and 2-7, the same on every machine), an item's category, a field's type and purpose.
An item whose only field is `document` is a document: its value is the content of a file of that name, by which
clients find it (`op://vault/item/document`) as they find a field by its label.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from blumeops.secrets.references import Reference

DOCUMENT = "document"
CONCEALED = "CONCEALED"
_IDENTIFIER = re.compile(r"[a-z0-9]{26}")
_PURPOSES = {"username": "USERNAME", "password": "PASSWORD", "notesPlain": "NOTES"}


def identifier(*path: str) -> str:
    """Of a vault, an item, a section, a field or a file, by the names on the way to it. It tells nothing of a value."""
    digest = hashlib.sha256("\0".join(("blumeops", *path)).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:26]


def is_identifier(text: str) -> bool:
    """Whether 1Password's clients take this for an identifier instead of a name."""
    return _IDENTIFIER.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Field:
    """One value. `repr` does not show it."""

    reference: Reference
    value: str

    def __repr__(self) -> str:
        return f"Field({self.reference})"

    @property
    def label(self) -> str:
        """Its name."""
        return self.reference.field

    @property
    def id(self) -> str:
        """1Password's own for the three fields that every category knows, where they stand outside of sections."""
        return self.label if self.purpose else identifier("field", *self.reference.path)

    @property
    def section(self) -> str:
        """The label of its section; empty outside of one."""
        return self.reference.section

    @property
    def section_id(self) -> str:
        """The identifier of its section."""
        return section_id(self.reference.vault, self.reference.item, self.section)

    @property
    def purpose(self) -> str:
        """USERNAME, PASSWORD, NOTES or none."""
        return "" if self.section else _PURPOSES.get(self.label, "")

    @property
    def type(self) -> str:
        """Everything is a secret, but for a user name and notes."""
        return "STRING" if self.purpose in ("USERNAME", "NOTES") else CONCEALED


@dataclass(frozen=True, slots=True)
class Item:
    """The fields under one title."""

    vault: str
    name: str
    fields: tuple[Field, ...]
    version: int = 1
    """Another one whenever a value changes, if the store tells; not a count."""

    @property
    def id(self) -> str:
        """Follows from the names of vault and item: a client finds it again after every restart."""
        return identifier("item", self.vault, self.name)

    @property
    def sections(self) -> tuple[str, ...]:
        """The labels of its sections."""
        return tuple(dict.fromkeys(field.section for field in self.fields if field.section))

    @property
    def document(self) -> Field | None:
        """The field that is the content of a file, if the item is a document."""
        only = self.fields[0] if len(self.fields) == 1 else None
        return only if only and only.reference.path[2:] == (DOCUMENT,) else None

    @property
    def category(self) -> str:
        """What 1Password would call an item with these fields."""
        purposes = {field.purpose for field in self.fields}
        if self.document:
            return "DOCUMENT"
        if "PASSWORD" in purposes:
            return "LOGIN" if "USERNAME" in purposes else "PASSWORD"
        return "SECURE_NOTE" if purposes == {"NOTES"} else "API_CREDENTIAL"


@dataclass(frozen=True, slots=True)
class Vault:
    """The items of one vault, by title."""

    name: str
    items: tuple[Item, ...]

    @property
    def id(self) -> str:
        """Follows from the name."""
        return vault_id(self.name)


def vault_id(name: str) -> str:
    """The identifier of a vault."""
    return identifier("vault", name)


def section_id(vault: str, item: str, section: str) -> str:
    """The identifier of a section."""
    return identifier("section", vault, item, section)


def vaults(
    values: Mapping[Reference, str], seals: Mapping[Reference, str] | None = None, also: Iterable[str] = ()
) -> tuple[Vault, ...]:
    """All vaults by name, and empty ones for those of `also` that hold nothing. `seals`: what stands in the store for
    each value, another text when the value changes; versions are made of it, since of a value nothing may be told.
    """
    found: dict[str, dict[str, list[Field]]] = {name: {} for name in also}
    for reference, value in values.items():
        found.setdefault(reference.vault, {}).setdefault(reference.item, []).append(Field(reference, value))
    return tuple(
        Vault(
            name,
            tuple(Item(name, title, tuple(those), _version(those, seals)) for title, those in sorted(items.items())),
        )
        for name, items in sorted(found.items())
    )


def _version(those: Iterable[Field], seals: Mapping[Reference, str] | None) -> int:
    if not seals:
        return 1
    texts = sorted(f"{each.reference}\0{seals.get(each.reference, '')}" for each in those)
    return int.from_bytes(hashlib.sha256("\n".join(texts).encode()).digest()[:4]) >> 1 or 1


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...


Thing = TypeVar("Thing", bound=_Named)


def named(things: Sequence[Thing], text: str) -> list[Thing]:
    """Those that `text` means: by identifier, else by name, else by a name that differs in case alone."""
    return (
        [thing for thing in things if thing.id == text]
        or [thing for thing in things if thing.name == text]
        or [thing for thing in things if thing.name.casefold() == text.casefold()]
    )


def fields(item: Item, section: str, name: str) -> list[Field]:
    """The fields that `name` means, in the section of that label or identifier; without a section, a field outside of
    sections comes before those inside."""
    if section:
        inside = [each for each in item.fields if each.section and section in (each.section, each.section_id)]
        inside = inside or [each for each in item.fields if each.section.casefold() == section.casefold()]
        return _labelled(inside, name)
    return _labelled([each for each in item.fields if not each.section], name) or _labelled(item.fields, name)


def _labelled(those: Iterable[Field], name: str) -> list[Field]:
    those = list(those)
    return (
        [each for each in those if name in (each.label, each.id)]
        or [each for each in those if each.label.casefold() == name.casefold()]
    )  # fmt: skip
