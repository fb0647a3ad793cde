"""What 1Password's `op` finds and shows: vaults enter, and a request's words; values, JSON and op's errors leave.

The shapes are those of op 2.30 (https://developer.1password.com/docs/cli/reference/). Names may differ in case, and an
identifier may stand for each of them. Every error is a UserError whose message is op's own sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from blumeops.base.errors import UserError
from blumeops.secrets.items import CONCEALED, Field, Item, Vault, fields, identifier, named
from blumeops.secrets.references import SCHEME

Shown = dict[str, Any]


def find_vault(vaults: Sequence[Vault], wanted: str) -> Vault:
    """The vault of that name or identifier. Raises UserError `BLU510`."""
    found = named(vaults, wanted)
    if len(found) != 1:
        raise missing(wanted, f'"{wanted}" isn\'t a vault in this account. Specify the vault with its ID or name.')
    return found[0]


def find_item(vaults: Sequence[Vault], wanted: str, vault: str | None) -> Item:
    """The item of that title or identifier, in one vault or in all. Raises UserError `BLU510`."""
    inside = [find_vault(vaults, vault)] if vault else vaults
    found = [item for each in inside for item in named(each.items, wanted)]
    if not found:
        where = f' in the "{inside[0].name}" vault' if vault else ""
        said = f'"{wanted}" isn\'t an item{where}. Specify the item with its UUID, name, or domain.'
        raise missing(wanted, said)
    if len(found) > 1:
        which = "".join(f'\n\t* for the item "{each.name}" in vault {each.vault}: {each.id}' for each in found)
        said = f'More than one item matches "{wanted}". Try again and specify the item by its ID:{which}'
        raise missing(wanted, said)
    return found[0]


def find_field(item: Item, wanted: str, section: str = "") -> Field:
    """The field of that label or identifier. Raises UserError `BLU510`."""
    found = fields(item, section, wanted)
    if len(found) > 1:
        which = ", ".join(each.section or "no section" for each in found)
        said = f'more than one field of the item "{item.name}" is called "{wanted}": name its section ({which})'
        raise missing(wanted, said)
    if not found:
        where = f"{section}.{wanted}" if section else wanted
        raise missing(wanted, f'"{where}" isn\'t a field in the "{item.name}" item.')
    return found[0]


def read(vaults: Sequence[Vault], text: str) -> str:
    """The value behind a reference; of a document, also by its file's name. Raises UserError `BLU501`, `BLU510`."""
    vault, name, section, field = _parts(text)
    try:
        item = find_item([find_vault(vaults, vault)], name, vault)
        if item.document and not section and field.casefold() == item.name.casefold():
            return item.document.value
        return find_field(item, field, section).value
    except UserError as error:
        raise UserError(error.code, text, f"could not read secret '{text}': {error.message}", error.hint) from error


def _parts(text: str) -> tuple[str, str, str, str]:
    def refused(why: str) -> UserError:
        form = "secret references should match op://<vault>/<item>[/<section>]/<field>"
        return UserError("BLU501", "this reference", f"invalid secret reference: {why}: {form}")

    if text[: len(SCHEME)].lower() != SCHEME:
        raise refused(f"it does not start with {SCHEME}")  # without it: it may be a value
    path, query, attribute = text[len(SCHEME) :].partition("?")
    if query:
        raise refused(f"`?{attribute}` is asked of a store that keeps plain values and computes none")
    parts = path.split("/")
    if len(parts) not in (3, 4):
        raise refused(f"too {'few' if len(parts) < 3 else 'many'} '/' in '{text}'")
    if not all(part.strip() for part in parts):
        raise refused(f"an empty part in '{text}'")
    vault, item, *section, field = parts
    return vault, item, section[0] if section else "", field


def selected(item: Item, wanted: str) -> list[Field]:
    """The fields of `--fields`: `label=a,label=b`, `a,b`, `section.a`, `type=concealed`. Raises UserError `BLU510`."""
    found: list[Field] = []
    for word in wanted.split(","):
        key, equals, value = word.partition("=")
        if equals and key == "type":
            found += [each for each in item.fields if each.type.casefold() == value.casefold()]
            continue
        name = value if equals and key == "label" else word
        section, dot, inside = name.rpartition(".")
        in_section = fields(item, section, inside) if dot and section else []
        found += in_section if len(in_section) == 1 else [find_field(item, name)]
    return found


def listed(
    vaults: Sequence[Vault], vault: str | None, categories: str | None = None, tags: str | None = None
) -> list[Item]:
    """The items of one vault or of all. Nothing has a tag. Raises UserError `BLU510`."""
    inside = [find_vault(vaults, vault)] if vault else vaults
    kinds = {kind.strip().casefold().replace(" ", "_") for kind in (categories or "").split(",") if kind.strip()}
    items = [item for each in inside for item in each.items]
    return [] if tags else [item for item in items if not kinds or item.category.casefold() in kinds]


def summary(item: Item, modified: str) -> Shown:
    """An item in `op item list --format json`."""
    return {
        "id": item.id, "title": item.name, "version": item.version,
        "vault": {"id": _vault_id(item), "name": item.vault}, "category": item.category,
        "last_edited_by": identifier("user").upper(), "created_at": modified, "updated_at": modified,
    }  # fmt: skip


def whole(item: Item, modified: str) -> Shown:
    """An item in `op item get --format json`: with its values."""
    shown = summary(item, modified)
    if item.sections:
        shown["sections"] = [section(item, each) for each in item.sections]
    if document := item.document:
        name, size = document.label, len(document.value.encode())
        return {**shown, "files": [{"id": document.id, "name": name, "size": size, "content_path": ""}]}
    return {**shown, "fields": [field(item, each) for each in item.fields]}


def field(item: Item, each: Field) -> Shown:
    """A field of it."""
    shown: Shown = {"id": each.id}
    if each.section:
        shown["section"] = section(item, each.section)
    shown["type"] = each.type
    if each.purpose:
        shown["purpose"] = each.purpose
    return {**shown, "label": each.label, "value": each.value, "reference": str(each.reference)}


def section(item: Item, label: str) -> Shown:
    """A section, by the field that stands in it."""
    (first, *_) = (each for each in item.fields if each.section == label)
    return {"id": first.section_id, "label": label}


def vault(each: Vault, modified: str) -> Shown:
    """A vault in JSON."""
    return {
        "id": each.id, "name": each.name, "content_version": 1, "items": len(each.items), "created_at": modified,
        "updated_at": modified,
    }  # fmt: skip


def account(name: str) -> Shown:
    """Who is signed in: the lab itself, so that clients see an account."""
    return {
        "url": f"https://{name}.localhost", "email": f"blumeops@{name}.localhost",
        "user_uuid": identifier("user").upper(), "account_uuid": identifier("account", name).upper(),
    }  # fmt: skip


def plain(item: Item, modified: str, reveal: bool) -> list[str]:
    """An item for people, secrets only where they are asked for."""
    lines = [
        ("ID", item.id), ("Title", item.name), ("Vault", f"{item.vault} ({_vault_id(item)})"), ("Updated", modified),
        ("Favorite", "false"), ("Version", str(item.version)), ("Category", item.category),
    ]  # fmt: skip
    shown = [f"{name + ':':<12} {value}" for name, value in lines]
    if item.document:
        return [*shown, "Files:", f"  {item.document.id}:  {item.document.label}"]
    return [*shown, "Fields:"] + [f"  {_path(each)}:  {revealed(item, each, reveal)}" for each in item.fields]


def revealed(item: Item, each: Field, reveal: bool) -> str:
    """A value for people: since op 2.30, a concealed one only with `--reveal`."""
    hidden = each.type == CONCEALED and not reveal
    return f"[use 'op item get {item.id} --reveal' to reveal]" if hidden else each.value


def comma_separated(values: Iterable[str]) -> str:
    """Several fields on a line, quoted as in CSV."""
    return ",".join(
        f'"{value.replace(chr(34), chr(34) * 2)}"' if set(value) & set('",\r\n') else value for value in values
    )


def resolver(vaults: Sequence[Vault]) -> Callable[[str], str]:
    """Reads references, each once."""
    known: dict[str, str] = {}

    def value(text: str) -> str:
        if text not in known:
            known[text] = read(vaults, text)
        return known[text]

    return value


def missing(subject: str, said: str) -> UserError:
    """The store does not have it."""
    return UserError("BLU510", subject, said)


def _path(each: Field) -> str:
    return f"{each.section}.{each.label}" if each.section else each.label


def _vault_id(item: Item) -> str:
    return Vault(item.vault, ()).id
