"""A 1Password Connect server, through its own SDK: references enter, values leave, and new ones are kept there.

The SDK is imported when it is needed: it comes with the extra `connect`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blumeops.base.errors import Unavailable, UserError
from blumeops.secrets.items import DOCUMENT
from blumeops.secrets.references import Reference

if TYPE_CHECKING:
    from onepasswordconnectsdk.client import Client

TOKEN_FILE = "connect-token"  # noqa: S105  # a file's name
_Item = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ConnectStore:
    """`url`: of the server; `token`: a file with the access token that it issued."""

    url: str
    token: Path

    def read(self, references: Iterable[Reference]) -> dict[Reference, str]:
        """As Store says: each vault is listed once, each item fetched once."""
        wanted = sorted(set(references))
        if not wanted:
            return {}
        client = self._client()
        try:
            found: dict[Reference, str] = {}
            places = _items(client, {each.vault for each in wanted})
            for place in sorted({(each.vault, each.item) for each in wanted} & places.keys()):
                vault, item = places[place]
                fetched = client.get_item_by_id(item, vault)
                values = _values(fetched) | _document(client, fetched, vault)
                for each in wanted:
                    value = values.get((each.section, each.field)) if (each.vault, each.item) == place else None
                    if value is not None:
                        found[each] = value
        except Exception as error:  # the SDK raises its HTTP library's errors, its own, and KeyError
            raise self._away(error) from error
        return found

    def write(self, values: Mapping[Reference, str]) -> None:
        """As Keeper says: into items that are there, or new ones of category SERVER."""
        client = self._client()
        try:
            places = _items(client, {each.vault for each in values})
            vaults = {vault.name: vault.id for vault in client.get_vaults()}
            for place in sorted({(each.vault, each.item) for each in values}):
                if place[0] not in vaults:
                    raise UserError("BLU525", place[0], "is no vault that this token opens", "make it in 1Password")
                ours = {each: value for each, value in values.items() if (each.vault, each.item) == place}
                if place in places:
                    item = client.get_item_by_id(places[place][1], places[place][0])
                    client.update_item(item.id, places[place][0], _with(item, ours))
                else:
                    client.create_item(vaults[place[0]], _new(place[1], vaults[place[0]], ours))
        except UserError:
            raise
        except Exception as error:  # as above
            raise self._away(error) from error

    def _client(self) -> Client:
        try:
            from onepasswordconnectsdk.client import Client
        except ImportError as error:
            hint = "pip install onepasswordconnectsdk"
            raise Unavailable("BLU524", "connect", "its SDK is not installed", hint) from error
        try:
            token = self.token.read_text().strip()
        except OSError as error:
            hint = f"write the access token into {self.token}, for you alone to read"
            raise Unavailable("BLU524", self.url, "there is no token for it", hint) from error
        return Client(self.url, token)

    def _away(self, error: Exception) -> Unavailable:
        """The class alone: a message of the SDK may hold what the server said."""
        hint = "is it up, and is the token good for these vaults?"
        return Unavailable("BLU524", self.url, f"does not answer ({type(error).__name__})", hint)


def _items(client: Client, vaults: set[str]) -> dict[_Item, tuple[str, str]]:
    """By names of vault and item: their identifiers. Of two items with one title the first counts."""
    found: dict[_Item, tuple[str, str]] = {}
    for vault in client.get_vaults():
        if vault.name in vaults:
            for item in client.get_items(vault.id):
                found.setdefault((vault.name, item.title), (vault.id, item.id))
    return found


def _values(item: Any) -> dict[tuple[str, str], str]:
    """By labels of section and field; a field in a section also by its own label alone, where nothing else has it."""
    labels = {section.id: section.label or "" for section in item.sections or []}
    found: dict[tuple[str, str], str] = {}
    for field in item.fields or []:
        if field.value is not None:
            section = labels.get(field.section.id, "") if field.section else ""
            found[section, field.label] = field.value
    for (_, label), value in list(found.items()):
        found.setdefault(("", label), value)
    return found


def _document(client: Client, item: Any, vault: str) -> dict[tuple[str, str], str]:
    """The content of an item that is a document, as its only field."""
    files = client.get_files(item.id, vault) if item.category == "DOCUMENT" else []
    if len(files) != 1:
        return {}
    content = client.get_file_content(files[0].id, item.id, vault)
    return {("", DOCUMENT): content.decode() if isinstance(content, bytes) else content}


def _with(item: Any, values: Mapping[Reference, str]) -> Any:
    labels = {section.id: section.label or "" for section in item.sections or []}
    left = dict(values)
    for field in item.fields or []:
        section = labels.get(field.section.id, "") if field.section else ""
        for reference in list(left):
            if (reference.section, reference.field) == (section, field.label):
                field.value = left.pop(reference)
    item.sections, fields = _parts(left, item.sections or [])
    item.fields = [*(item.fields or []), *fields]
    return item


def _new(title: str, vault: str, values: Mapping[Reference, str]) -> Any:
    from onepasswordconnectsdk.models import Item, ItemVault

    sections, fields = _parts(values, [])
    return Item(title=title, category="SERVER", vault=ItemVault(id=vault), sections=sections, fields=fields)


def _parts(values: Mapping[Reference, str], sections: list[Any]) -> tuple[list[Any], list[Any]]:
    """The sections, with those that are lacking, and a field a value."""
    from onepasswordconnectsdk.models import Field, FieldSection, Section

    known = {section.label: section.id for section in sections}
    fields = []
    for reference, value in sorted(values.items()):
        inside = None
        if reference.section:
            if reference.section not in known:
                known[reference.section] = reference.section
                sections = [*sections, Section(id=reference.section, label=reference.section)]
            inside = FieldSection(id=known[reference.section])

        fields.append(Field(label=reference.field, type="CONCEALED", value=value, section=inside))
    return sections, fields
