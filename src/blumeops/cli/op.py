"""`op`: 1Password's command, answered from the lab's store. The only command that shows values.

What enters: op's arguments, and a way to open the store. What leaves: on standard output what op itself prints.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence

from blumeops.base.errors import UserError
from blumeops.base.files import write_whole
from blumeops.connect import command as words
from blumeops.connect.inject import inject
from blumeops.secrets.cabinet import Contents
from blumeops.secrets.items import Vault, vaults

TEMPLATE_BYTES = 16 << 20


def op(arguments: argparse.Namespace) -> int:
    """`blumeops op …`, for the lab that the options name."""
    from blumeops.app.cabinets import Where, reading
    from blumeops.cli.place import Place, place

    if arguments.op_command == "shim":
        from blumeops.cli.op_shim import shim

        return shim(arguments)
    where: Place | None = None
    try:
        where = place(arguments)
    except UserError:
        if not arguments.file:
            raise
    asked = Where(where.site, where.lab, where.folder) if where else Where(None, "store", None)

    def contents() -> Contents:
        return reading(asked, arguments.file, arguments.age_key, os.environ).read()

    if arguments.json:
        arguments.format = "json"
    return answer(arguments, asked.lab, contents)


def answer(arguments: argparse.Namespace, lab: str, contents: Callable[[], Contents]) -> int:
    """Print what op prints. Raises UserError in op's words, and what opening the store does."""
    as_json = getattr(arguments, "format", os.environ.get("OP_FORMAT")) == "json"
    match arguments.op_command:
        case "signin":
            return 0
        case "account" | "whoami":
            contents()  # who cannot open the store is not signed in
            return _account(arguments, lab, as_json)
        case "inject" if arguments.in_file is None and sys.stdin is None:
            raise UserError("BLU530", "the template", "expected data on stdin but none found")
    opened = contents()
    return _ANSWERS[arguments.op_command](arguments, vaults(opened.values, opened.seals), opened.modified, as_json)


def _read(arguments: argparse.Namespace, found: Sequence[Vault], _: str, as_json: bool) -> int:
    value = words.read(found, arguments.reference)
    if as_json and getattr(arguments, "json", False):
        _say_json({"version": 1, "reference": arguments.reference, "value": value})
        return 0
    return _give(arguments, value if arguments.no_newline else value + "\n")


def _inject(arguments: argparse.Namespace, found: Sequence[Vault], _: str, as_json: bool) -> int:
    try:
        with open(arguments.in_file, "rb") if arguments.in_file else sys.stdin.buffer as file:
            data = file.read(TEMPLATE_BYTES + 1)
    except OSError as error:
        raise UserError("BLU530", str(arguments.in_file), f"cannot be read: {error.strerror}") from error
    if len(data) > TEMPLATE_BYTES:
        raise UserError("BLU530", "the template", f"is larger than {TEMPLATE_BYTES >> 20} MiB")
    try:
        template = data.decode()
    except UnicodeDecodeError as error:
        raise UserError("BLU530", "the template", "is not UTF-8") from error
    return _give(arguments, inject(template, words.resolver(found), os.environ))


def _item(arguments: argparse.Namespace, found: Sequence[Vault], modified: str, as_json: bool) -> int:
    if arguments.op_subcommand == "list":
        items = words.listed(found, arguments.vault, arguments.categories, arguments.tags or arguments.favorite)
        if as_json:
            _say_json([words.summary(each, modified) for each in items])
        else:
            _say_table({"ID": each.id, "TITLE": each.name, "VAULT": each.vault, "EDITED": modified} for each in items)
        return 0
    item = words.find_item(found, arguments.item, arguments.vault)
    if arguments.otp:
        raise words.missing(item.name, f'item "{item.name}" does not have a one-time password')
    if arguments.fields:
        chosen = words.selected(item, arguments.fields)
        shown = [words.field(item, each) for each in chosen]
        if as_json:
            _say_json(shown[0] if len(shown) == 1 else shown)
        else:
            print(words.comma_separated(words.revealed(item, each, arguments.reveal) for each in chosen))
    elif as_json:
        _say_json(words.whole(item, modified))
    else:
        print("\n".join(words.plain(item, modified, arguments.reveal)))
    return 0


def _vault(arguments: argparse.Namespace, found: Sequence[Vault], modified: str, as_json: bool) -> int:
    one = arguments.op_subcommand == "get"
    chosen = [words.find_vault(found, arguments.vault)] if one else list(found)
    shown = [words.vault(each, modified) for each in chosen]
    if as_json:
        _say_json(shown[0] if one else shown)
    else:
        _say_table({"ID": each["id"], "NAME": each["name"]} for each in shown)
    return 0


def _document(arguments: argparse.Namespace, found: Sequence[Vault], _: str, as_json: bool) -> int:
    item = words.find_item(found, arguments.item, arguments.vault)
    if item.document is None:
        raise words.missing(item.name, f'"{item.name}" isn\'t a document: it has other fields than `document`')
    return _give(arguments, item.document.value)


def _account(arguments: argparse.Namespace, lab: str, as_json: bool) -> int:
    shown = words.account(lab)
    if arguments.op_command == "account" and arguments.op_subcommand == "get":
        shown = {"id": shown["account_uuid"], "name": lab, "domain": lab, "type": "BUSINESS", "state": "ACTIVE"}
    listing = arguments.op_command == "account" and arguments.op_subcommand == "list"
    if as_json:
        _say_json([shown] if listing else shown)
    elif listing:
        _say_table([{"URL": shown["url"], "EMAIL": shown["email"], "USER ID": shown["user_uuid"]}])
    else:
        print("\n".join(f"{name.replace('_', ' ').capitalize() + ':':<14} {value}" for name, value in shown.items()))
    return 0


_ANSWERS = {"read": _read, "inject": _inject, "item": _item, "vault": _vault, "document": _document}


def _give(arguments: argparse.Namespace, text: str) -> int:
    """To standard output, or to a private file, whose path is printed then."""
    if arguments.out_file is None:
        sys.stdout.write(text)
        return 0
    path = arguments.out_file.absolute()
    if path.exists() and not arguments.force:
        raise UserError("BLU530", str(path), "is there already", "--force replaces it")
    write_whole(path, text, arguments.file_mode)
    print(path)
    return 0


def _say_json(shown: object) -> None:
    print(json.dumps(shown, indent=2, ensure_ascii=False))


def _say_table(rows: Iterable[dict[str, str]]) -> None:
    listed = list(rows)
    cells = [list(listed[0]), *(list(row.values()) for row in listed)] if listed else []
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("    ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
