"""`connect`: 1Password's Connect API in front of the lab's store, and the tokens that it asks for."""

from __future__ import annotations

import argparse
import ipaddress
import time
from datetime import UTC, datetime

from blumeops.app import connect as app
from blumeops.base.errors import UserError
from blumeops.base.site import SiteFolder
from blumeops.cli import output
from blumeops.cli.place import Place, place
from blumeops.connect.tokens import Token
from blumeops.secrets.references import is_name


def connect(arguments: argparse.Namespace) -> int:
    """Run the command below `connect`."""
    where = _where(arguments)
    if arguments.connect_command == "serve":
        return _serve(arguments, where)
    return {"create": _create, "list": _list, "revoke": _revoke}[arguments.token_command](arguments, where.site)


def _where(arguments: argparse.Namespace) -> Place:
    """The lab's site; for a file, any state folder will do: tokens and log lie in it."""
    try:
        return place(arguments)
    except UserError:
        if arguments.lab or not arguments.state:
            raise
        return Place("store", None, SiteFolder(arguments.state.absolute()))


def _serve(arguments: argparse.Namespace, where: Place) -> int:
    """Until it is stopped."""
    from blumeops.connect.api import app as api
    from blumeops.connect.serve import serve

    try:
        address = ipaddress.IPv4Address(arguments.listen)
    except ValueError as error:
        hint = "127.0.0.1 is this machine alone, 0.0.0.0 every one that reaches it"
        raise UserError("BLU534", arguments.listen, "is no IPv4 address to listen on", hint) from error
    local = address.is_loopback
    door = app.door(where.site, where.lab, arguments.file, arguments.age_key, output.progress, loopback=local)
    door.cabinet.read()  # a store that cannot be opened is said now, to the person who is here
    if not local:
        output.progress(f"note: {address} is reached from elsewhere, and tokens travel in the clear: put TLS before it")
    if not door.tokens.all():
        output.progress("note: there is no token yet; `blumeops connect token create` makes one")
    serve(
        api(door), str(address), arguments.port,
        lambda port: output.say(f"Connect API on http://{address}:{port}"),
    )  # fmt: skip
    return 0


def _create(arguments: argparse.Namespace, site: SiteFolder) -> int:
    """Print the token, once."""
    for vault in arguments.vault:
        if not is_name(vault):
            raise UserError("BLU533", vault, "cannot be the name of a vault")
    name = arguments.name or f"token of {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    token, text = app.tokens(site).create(
        name, arguments.vault, write=arguments.write, seconds=arguments.expires, now=time.time()
    )
    if arguments.json:
        output.say_json({"version": 1, **_told(token), "token": text})
        return 0
    output.say(text)
    output.progress(f"{token.name}: {_allows(token)}, {_ends(token)}. It is shown this once: only its hash is kept.")
    return 0


def _list(arguments: argparse.Namespace, site: SiteFolder) -> int:
    """Every token, without its secret."""
    found = app.tokens(site).all()
    if arguments.json:
        output.say_json({"version": 1, "tokens": [_told(token) for token in found]})
        return 0
    rows = [(token.id, token.name, _allows(token), _ends(token)) for token in found]
    for line in output.table(("ID", "NAME", "MAY", "UNTIL"), rows):
        output.say(line)
    if not rows:
        output.progress("there is no token yet; `blumeops connect token create --vault VAULT` makes one")
    return 0


def _revoke(arguments: argparse.Namespace, site: SiteFolder) -> int:
    """From the next request on it is refused."""
    token = app.tokens(site).revoke(arguments.token)
    if arguments.json:
        output.say_json({"version": 1, "revoked": token.id})
    else:
        output.say(f"{token.name} ({token.id}) is revoked")
    return 0


def _allows(token: Token) -> str:
    return f"{'read and write' if token.write else 'read'} {', '.join(token.vaults)}"


def _ends(token: Token) -> str:
    if token.expires is None:
        return "does not end"
    return ("ended " if token.expires <= time.time() else "until ") + _date(token.expires)


def _told(token: Token) -> dict[str, object]:
    return {
        "id": token.id, "name": token.name, "vaults": list(token.vaults), "write": token.write,
        "created": _date(token.created), "expires": _date(token.expires) if token.expires is not None else None,
    }  # fmt: skip


def _date(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
