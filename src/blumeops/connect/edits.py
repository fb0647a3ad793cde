"""Requests to change an item: their JSON enters, the edit of the store leaves.

A store of names and values keeps an item's title, its fields' labels, sections and values; what else a client sends
(category, tags, addresses, types) is not kept, and the answer shows so. A field is known by its identifier or, without
one, by its labels. Everything refused is a UserError `BLU534`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from blumeops.base.errors import UserError
from blumeops.secrets.cabinet import Edit
from blumeops.secrets.generate import generate
from blumeops.secrets.items import Item
from blumeops.secrets.references import Reference, is_name

_PURPOSES = {"USERNAME": "username", "PASSWORD": "password", "NOTES": "notesPlain"}
_CHARACTERS = {"LETTERS": string.ascii_letters, "DIGITS": string.digits, "SYMBOLS": "!@.-_*"}
_Text = Annotated[str, Field(max_length=65536)]
_Short = Annotated[str, Field(max_length=256)]


class _Body(BaseModel):
    """What clients send beside it is left alone: they send back all that they got."""

    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)


class _Section(_Body):
    id: _Short | None = None
    label: _Short | None = None


class _Recipe(_Body):
    length: Annotated[int, Field(ge=1, le=64)] = 32
    characterSets: list[Literal["LETTERS", "DIGITS", "SYMBOLS"]] = ["LETTERS", "DIGITS"]  # noqa: N815  # the API's name
    excludeCharacters: _Short = ""  # noqa: N815  # the API's name


class _Field(_Body):
    id: _Short | None = None
    section: _Section | None = None
    purpose: _Short | None = None
    label: _Short | None = None
    value: _Text | None = None
    generate: bool = False
    recipe: _Recipe | None = None


class _Vault(_Body):
    id: _Short


class _Item(_Body):
    id: _Short | None = None
    title: _Short
    vault: _Vault | None = None
    version: int | None = None
    sections: Annotated[list[_Section] | None, Field(max_length=1000)] = None
    fields: Annotated[list[_Field] | None, Field(max_length=1000)] = None


class _Operation(_Body):
    op: Literal["add", "remove", "replace"]
    path: _Short
    value: Any = None


_OPERATIONS = TypeAdapter(Annotated[list[_Operation], Field(max_length=1000)])


def created(data: object, vault: str, vault_id: str, known: Sequence[Item]) -> tuple[str, Edit]:
    """A new item: its title, and the edit. Raises also UserError `BLU535` for a title that is taken."""
    body = _valid(_Item, data)
    _name(body.title, "title")
    # External Secrets writes what its store names, which is a name or an identifier.
    if body.vault and body.vault.id not in (vault_id, vault):
        raise UserError("BLU535", "vault.id", "is another vault than the one in the address")
    if any(item.name == body.title for item in known):
        raise UserError("BLU535", body.title, "is the title of an item in this vault already", "change that one")
    values = _values(body, vault, body.title, None)
    if not values:
        _refuse("fields", "are missing: an item without a field cannot be kept")
    return body.title, Edit(values)


def replaced(data: object, item: Item) -> Edit:
    """An item as a whole: fields that are not in `data` go. Raises also UserError `BLU535` when it is based on another
    version than the one that is there."""
    body = _valid(_Item, data)
    if body.id and body.id != item.id:
        raise UserError("BLU535", "id", "is another item than the one in the address")
    if body.title != item.name:
        raise UserError("BLU535", "title", "cannot change, since references name it: create another item")
    if body.version is not None and body.version != item.version:
        raise UserError("BLU535", item.name, "was changed since that version", "get it again")
    if item.document and not body.fields:  # documents show their content as a file, so it does not come back
        return Edit()
    return _difference(item, _values(body, item.vault, item.name, item))


def patched(data: object, item: Item) -> Edit:
    """Single fields, by JSON Patch (RFC 6902): `/fields`, `/fields/ID`, `/fields/ID/value`, `/fields/ID/label`."""
    operations = _valid(_OPERATIONS, data)
    shown: dict[str, dict[str, Any]] = {
        each.id: {"id": each.id, "label": each.label, "value": each.value, "section": {"label": each.section}}
        for each in item.fields
    }
    for count, operation in enumerate(operations):
        match operation.path.split("/")[1:]:
            case ["fields"] | ["fields", "-"] if operation.op == "add" and isinstance(operation.value, dict):
                shown[f"new {count}"] = operation.value
            case ["fields", number] if number in shown and operation.op == "remove":
                del shown[number]
            case ["fields", number] if number in shown and isinstance(operation.value, dict):
                shown[number] = {**operation.value, "id": number}
            case ["fields", number, ("value" | "label") as part] if number in shown and operation.op != "remove":
                shown[number] = {**shown[number], part: operation.value}
            case _:
                _refuse(operation.op, "is asked of a path that is not there, or that a store of values does not keep")
    body = _valid(_Item, {"title": item.name, "fields": list(shown.values())})
    return _difference(item, _values(body, item.vault, item.name, item))


def removed(item: Item) -> Edit:
    """The whole item."""
    return Edit(gone=((item.vault, item.name),))


def _difference(item: Item, wanted: Mapping[Reference, str]) -> Edit:
    if not wanted:
        return removed(item)
    before = {each.reference: each.value for each in item.fields}
    gone = tuple(reference.path for reference in before.keys() - wanted.keys())
    return Edit({each: value for each, value in wanted.items() if before.get(each) != value}, tuple(sorted(gone)))


def _values(body: _Item, vault: str, title: str, item: Item | None) -> dict[Reference, str]:
    labels = {each.id: each.label for each in body.sections or () if each.id and each.label}
    known = {each.id: each for each in item.fields} if item else {}
    labels |= {each.section_id: each.section for each in known.values() if each.section}
    found: dict[Reference, str] = {}
    for each in body.fields or ():
        before = known.get(each.id or "")
        label = each.label or (before.label if before else "") or _PURPOSES.get(each.purpose or "", "")
        label = label or (each.id if each.id in _PURPOSES.values() else "") or ""
        _name(label, "a field's label")
        section = _section(each.section, labels)
        reference = Reference(vault, title, section, label)
        if reference in found:
            _refuse(str(reference), "is there twice")
        found[reference] = _generated(each.recipe or _Recipe()) if each.generate else each.value or ""
    return found


def _section(section: _Section | None, labels: Mapping[str, str | None]) -> str:
    if section is None or not (section.id or section.label):
        return ""
    label = section.label or labels.get(section.id or "")
    if not label:
        _refuse("a field's section", "has an identifier that no section of the item has")
    _name(label, "a section's label")
    return label


def _generated(recipe: _Recipe) -> str:
    alphabet = "".join(_CHARACTERS[each] for each in recipe.characterSets)
    return generate(recipe.length, "".join(set(alphabet) - set(recipe.excludeCharacters)))


def _name(text: str, what: str) -> None:
    if not is_name(text):
        _refuse(what, "must be of letters, digits, - _ . and inner spaces, so that a reference can name it")


def _valid(model: Any, data: object) -> Any:
    try:
        return model.validate_python(data) if isinstance(model, TypeAdapter) else model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise UserError("BLU534", where, first["msg"]) from None  # the cause has what was sent


def _refuse(subject: str, why: str) -> NoReturn:
    raise UserError("BLU534", subject, why)
