"""`secret`: the references of a lab, what its store has of them, and new values. No command here shows one."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time

from blumeops.app import ask
from blumeops.app import vault as app
from blumeops.base.errors import UserError
from blumeops.base.findings import errors
from blumeops.cli import output
from blumeops.cli.place import Place, place
from blumeops.cli.run import told
from blumeops.secrets import age, sops
from blumeops.secrets.age import find_key
from blumeops.secrets.inventory import Entry
from blumeops.secrets.references import Reference
from blumeops.status.remote import ago
from blumeops.status.shown import time_of

MADE = "no: made by the next sync"
LONGEST = 64 << 10
"""Bytes of a value that is read from standard input."""


def secret(arguments: argparse.Namespace) -> int:
    """Run the command below `secret`."""
    where = place(arguments)
    commands = {"list": _list, "check": _check, "set": _set, "rotate": _rotate, "recipients": _recipients, "key": _key}
    return commands[arguments.secret_command](arguments, where)


def _list(arguments: argparse.Namespace, where: Place) -> int:
    vault = app.read(where.site, where.lab, where.folder, arguments.age_key)
    if arguments.json:
        secrets = [_as_json(vault, each) for each in vault.entries]
        output.say_json({"version": 1, "source": vault.source, "secrets": secrets})
        return 0
    rows = []
    for entry in vault.entries:
        named = [str(entry.reference), _state(vault, entry)]
        for use in entry.uses:
            rows.append([*named, use.subject, ", ".join(use.here) or "-", use.home or "-"])
            named = ["", ""]
    head, *body = output.table(("SECRET", "STORED", "USED AS", "HERE", "HOME"), rows)
    output.say(output.paint(head, "dim"))
    for line in body:
        output.say(line)
    output.progress(f"\nread from {vault.source}; `blumeops op read op://VAULT/ITEM/FIELD` shows a value")
    return 0


def _state(vault: app.Vault, entry: Entry) -> str:
    if entry.reference in vault.stored:
        since = vault.since.get(entry.reference)
        return f"for {ago(time.time() - since)}" if since else "yes"
    if not app.needed_here(entry):
        return "no: not used here"
    return MADE if entry.recipe is not None else "no"


def _as_json(vault: app.Vault, entry: Entry) -> dict[str, object]:
    since = vault.since.get(entry.reference)
    return {
        "reference": str(entry.reference),
        "stored": entry.reference in vault.stored,
        "since": time_of(since) if since else None,
        "generated": entry.recipe is not None,
        "uses": [
            {
                "subject": use.subject, "service": use.service, "file": use.place.file, "line": use.place.line,
                "here": list(use.here), "home": use.home,
            }
            for use in entry.uses
        ],
    }  # fmt: skip


def _check(arguments: argparse.Namespace, where: Place) -> int:
    vault = app.read(where.site, where.lab, where.folder, arguments.age_key)
    found = app.findings(vault, where.site, arguments.age_key)
    if arguments.json:
        output.say_json({"version": 1, "findings": [finding.as_json() for finding in found]})
    else:
        output.say_findings(found)
    made = sum(_state(vault, entry) == MADE for entry in vault.entries)
    if made:
        output.progress(f"{made} of {len(vault.entries)} secrets are not there yet: the next sync makes them")
    elif not found:
        output.progress("the store has what the lab names, and nothing else")
    return 1 if errors(found) else 0


def _set(arguments: argparse.Namespace, where: Place) -> int:
    reference = Reference.parse(arguments.reference)
    value = _value(reference)
    if ask.comes_back(where.site):
        return _asked(arguments, where, values={str(reference): value})
    vault = app.read(where.site, where.lab, where.folder, arguments.age_key)
    if where.folder is None or where.site.lab_name.is_file():
        raise _not_running(where)
    key = find_key(arguments.age_key, os.environ, where.site.age_key, create=False)
    app.put_in_folder(where.folder, vault, key, {reference: value})
    if arguments.json:
        output.say_json({"version": 1, "changed": [str(reference)]})
    else:
        output.say(f"{reference} stands in {where.folder / sops.NAME}: commit it")
    return 0


def _rotate(arguments: argparse.Namespace, where: Place) -> int:
    return _asked(arguments, where, new=arguments.names)


def _recipients(arguments: argparse.Namespace, where: Place) -> int:
    if arguments.add or arguments.remove:
        return _asked(arguments, where, add=arguments.add, remove=arguments.remove)
    vault = app.read(where.site, where.lab, where.folder, arguments.age_key)
    found = sops.recipients(vault.data) if vault.data else ()
    if arguments.json:
        output.say_json({"version": 1, "source": vault.source, "recipients": list(found)})
        return 0
    for each in found:
        output.say(each)
    if not found:
        output.progress(
            f"nobody yet: there is no SOPS file in {vault.source}; `blumeops up` makes it where it is needed"
        )
    return 0


def _key(arguments: argparse.Namespace, where: Place) -> int:
    """Where the key lies, and whom the store must be encrypted for to be opened by it; or another place for it."""
    key = find_key(arguments.age_key, os.environ, where.site.age_key, create=False)
    if arguments.store_in_keyring:
        key = age.into_keyring(key.path)
    elif arguments.from_keyring:
        key = age.from_keyring(key.path)
    if arguments.json:
        told = {"version": 1, "file": str(key.path), "keyring": key.in_keyring, "recipients": list(key.recipients)}
        output.say_json(told)
    else:
        output.say(f"{', '.join(key.recipients)}: in {'the keyring, says ' if key.in_keyring else ''}{key.path}")
    return 0


def _asked(arguments: argparse.Namespace, where: Place, **wanted: object) -> int:
    """Let the controller change it, and follow it to the end."""
    asked = {"values": {}, "new": [], "add": [], "remove": []} | wanted
    code = told(ask.request_secrets(where.site, asked))
    if arguments.json:
        output.say_json({"version": 1, "changed": not code})
    elif not code:
        output.progress("main has a new commit: git pull")
    return code


def _value(reference: Reference) -> str:
    """What a person types, unseen, or what is piped. A line is given without its end; a text of several lines keeps
    it, since no program reads a private key that ends without one."""
    try:
        data = _typed(reference) if sys.stdin and sys.stdin.isatty() else _piped()
        text = data.decode()
        line = text.removesuffix("\n").removesuffix("\r")
        value = text if "\n" in line else line
    except UnicodeError:
        raise UserError(
            "BLU519", str(reference), "the value is not text (UTF-8)", "encode it, as with base64"
        ) from None
    if not value or len(data) > LONGEST:
        what = "no value came on standard input" if not value else f"the value is longer than {LONGEST >> 10} KiB"
        raise UserError("BLU519", str(reference), what, f"blumeops secret set {reference} < FILE")
    return value


def _typed(reference: Reference) -> bytes:
    try:
        return getpass.getpass(f"value of {reference}: ", sys.stderr).encode()
    except EOFError:  # Ctrl-D
        return b""


def _piped() -> bytes:
    return sys.stdin.buffer.read(LONGEST + 1) if sys.stdin else b""


def _not_running(where: Place) -> UserError:
    return UserError("BLU794", where.lab, "is not up, and its secrets are on the forge's main", "blumeops up")
