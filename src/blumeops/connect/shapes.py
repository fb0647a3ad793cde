"""What the Connect API shows: vaults, items, fields and files as JSON, and the filter of a list.

The shapes are those that 1Password's SDKs read (https://developer.1password.com/docs/connect/connect-api-reference/).
"""

from __future__ import annotations

import re
from typing import Any

from blumeops.base.errors import UserError
from blumeops.secrets.items import Field, Item, Vault, identifier, vault_id

_FILTER = re.compile(r'\s*(name|title|id|tag)\s+eq\s+"(.*)"\s*', re.IGNORECASE | re.DOTALL)
_EDITOR = identifier("user").upper()
Shown = dict[str, Any]


def vault(each: Vault, modified: str) -> Shown:
    """A vault, with how many items are in it."""
    return {
        "id": each.id, "name": each.name, "description": "", "attributeVersion": 1, "contentVersion": _content(each),
        "items": len(each.items), "type": "USER_CREATED", "createdAt": modified, "updatedAt": modified,
    }  # fmt: skip


def summary(item: Item, modified: str) -> Shown:
    """An item in a list: without fields."""
    return {
        "id": item.id, "title": item.name, "vault": {"id": vault_id(item.vault), "name": item.vault},
        "category": item.category, "urls": [], "favorite": False, "tags": [], "version": item.version,
        "lastEditedBy": _EDITOR, "createdAt": modified, "updatedAt": modified,
    }  # fmt: skip


def whole(item: Item, modified: str) -> Shown:
    """An item with its values."""
    named = {each.section: each.section_id for each in item.fields if each.section}
    shown = {**summary(item, modified), "sections": [{"id": number, "label": name} for name, number in named.items()]}
    if document := item.document:
        return {**shown, "fields": [], "files": [file(item, document)]}
    return {**shown, "fields": [field(each) for each in item.fields], "files": []}


def field(each: Field) -> Shown:
    """A field with its value."""
    shown: Shown = {"id": each.id, "type": each.type, "label": each.label, "value": each.value}
    if each.section:
        shown["section"] = {"id": each.section_id, "label": each.section}
    return {**shown, "purpose": each.purpose} if each.purpose else shown


def file(item: Item, document: Field) -> Shown:
    """The file that a document is."""
    path = f"/v1/vaults/{vault_id(item.vault)}/items/{item.id}/files/{document.id}/content"
    return {"id": document.id, "name": document.label, "size": len(document.value.encode()), "content_path": path}


def matches(wanted: str | None, name: str, number: str) -> bool:
    """Whether a vault or an item is what the filter asks for. The SDKs write `title eq "…"` and `name eq "…"` for
    either, and escape nothing in it. Raises UserError `BLU534` for any other filter."""
    if wanted is None:
        return True
    found = _FILTER.fullmatch(wanted)
    if not found:
        raise UserError("BLU534", "filter", 'is none that is understood: write `title eq "…"` or `name eq "…"`')
    key = found[1].lower()
    return key != "tag" and (number if key == "id" else name) == found[2]


def _content(each: Vault) -> int:
    return sum(item.version for item in each.items) & 0x7FFFFFFF or 1
