"""What each request of the Connect API is answered with, once its token is known.

A token sees its own vaults and no others: what another vault is, or whether it is, is never told. A change is written
into the audit log before it is made.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from blumeops.connect import edits, shapes
from blumeops.connect.audit import Attempts, Audit
from blumeops.connect.journal import Journal
from blumeops.connect.tokens import Token, Tokens
from blumeops.secrets.cabinet import Cabinet, Contents, Edit
from blumeops.secrets.items import Field, Item, Vault, is_identifier, vaults

VERSION = "1.7.3"
"""The Connect server whose answers these are: SDKs ask for 1.3.0 at least."""
HEADERS = {"1Password-Connect-Version": VERSION, "Cache-Control": "no-store"}


@dataclass(frozen=True)
class Door:
    """What stands behind the API. `changed` is called after each change; `loopback`: only names of this machine are
    answered."""

    cabinet: Cabinet
    tokens: Tokens
    audit: Audit
    attempts: Attempts
    journal: Journal
    clock: Callable[[], float]
    changed: Callable[[], None]
    loopback: bool


@dataclass(frozen=True)
class Call:
    """One request that a token allows."""

    door: Door
    token: Token
    request: Request
    body: bytes

    def about(self) -> dict[str, object]:
        """What the audit log says of it."""
        return {**about_request(self.request), "token": self.token.id, "name": self.token.name}

    def denied(self, why: str) -> HTTPException:
        """A 403, which is written down."""
        self.door.audit(status=403, why=why, **self.about())
        return HTTPException(403, why)

    def vaults(self, contents: Contents) -> list[Vault]:
        """Those of the token; also ones with nothing in them yet."""
        every = vaults(contents.values, contents.seals, self.token.vaults)
        return [vault for vault in every if vault.name in self.token.vaults]

    def vault(self, contents: Contents) -> Vault:
        """The one of the address. Raises HTTPException 400, 403."""
        wanted = self.request.path_params["vault"]
        if not is_identifier(wanted):
            raise HTTPException(400, "Invalid Vault UUID")
        found = [each for each in self.vaults(contents) if wanted in (each.id, each.name)]
        if not found:
            raise self.denied("this token has no access to that vault")
        return found[0]

    def item(self, contents: Contents) -> Item:
        """The one of the address. Raises HTTPException 400, 403, 404."""
        vault, wanted = self.vault(contents), self.request.path_params["item"]
        if not is_identifier(wanted):
            raise HTTPException(400, "Invalid Item UUID")
        found = [each for each in vault.items if wanted == each.id]
        if not found:
            raise HTTPException(404, f'item {wanted} not found in vault "{vault.name}"')
        return found[0]

    def json(self) -> object:
        """The body. Raises HTTPException 400."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, "the body is not JSON") from error

    def change(self, edit: Callable[[Contents], tuple[str, str, Edit]]) -> tuple[Contents, str]:
        """Make a change: `edit` gives vault, title and what becomes of them. Returns what is in the store then, and the
        title. Written down before and after. Raises what the store does, HTTPException 403."""
        if not self.token.write:
            raise self.denied("this token may only read")
        about: dict[str, object] = {}

        def made(contents: Contents) -> Edit:
            vault, title, wanted = edit(contents)
            fields = sorted(str(reference) for reference in wanted.values) + ["/".join(path) for path in wanted.gone]
            about.update(vault=vault, item=title, fields=fields)
            self.door.audit(event="changing", **self.about(), **about)
            return wanted

        what = self.request.method.lower()
        after = self.door.cabinet.change(made, f"Connect: {what} by {self.token.name}\n")
        self.door.audit(event="changed", **self.about(), **about)
        self.door.changed()
        return after, str(about["item"])


def about_request(request: Request) -> dict[str, object]:
    """What the audit log says of a request whoever sent it."""
    address = request.client.host if request.client else ""
    return {"method": request.method, "path": request.url.path, "from": address}


def shown(value: Any, status: int = 200) -> Response:
    """JSON, with the headers that every answer has."""
    return JSONResponse(value, status, headers=HEADERS)


def activity(call: Call) -> Response:
    """What this token asked lately."""
    return shown(call.door.journal.of(call.token))


def list_vaults(call: Call) -> Response:
    """Its vaults, or the one of that name."""
    contents, wanted = call.door.cabinet.read(), call.request.query_params.get("filter")
    found = [each for each in call.vaults(contents) if shapes.matches(wanted, each.name, each.id)]
    return shown([shapes.vault(each, contents.modified) for each in found])


def get_vault(call: Call) -> Response:
    """One of its vaults."""
    contents = call.door.cabinet.read()
    return shown(shapes.vault(call.vault(contents), contents.modified))


def list_items(call: Call) -> Response:
    """The items of a vault, or the one of that title, without fields."""
    contents, wanted = call.door.cabinet.read(), call.request.query_params.get("filter")
    found = [each for each in call.vault(contents).items if shapes.matches(wanted, each.name, each.id)]
    return shown([shapes.summary(each, contents.modified) for each in found])


def get_item(call: Call) -> Response:
    """An item with its values."""
    contents = call.door.cabinet.read()
    return shown(shapes.whole(call.item(contents), contents.modified))


def create(call: Call) -> Response:
    """A new item, as it is kept."""

    def edit(contents: Contents) -> tuple[str, str, Edit]:
        vault = call.vault(contents)
        return vault.name, *edits.created(call.json(), vault.name, vault.id, vault.items)

    return _changed(call, *call.change(edit))


def replace(call: Call) -> Response:
    """An item as a whole, as it is kept."""
    return _edited(call, lambda item: edits.replaced(call.json(), item))


def patch(call: Call) -> Response:
    """Single fields of an item; the item as it is kept."""
    return _edited(call, lambda item: edits.patched(call.json(), item))


def delete(call: Call) -> Response:
    """No item any more."""
    _edited(call, edits.removed)
    return Response(status_code=204, headers=HEADERS)


def _edited(call: Call, made: Callable[[Item], Edit]) -> Response:
    def edit(contents: Contents) -> tuple[str, str, Edit]:
        item = call.item(contents)
        return item.vault, item.name, made(item)

    return _changed(call, *call.change(edit))


def _changed(call: Call, contents: Contents, title: str) -> Response:
    """The item as it is now; one whose last field was taken away is there no more."""
    vault = call.vault(contents)
    now = next((item for item in vault.items if item.name == title), Item(vault.name, title, ()))
    return shown(shapes.whole(now, contents.modified))


def list_files(call: Call) -> Response:
    """The one file of a document; none of other items."""
    item = call.item(call.door.cabinet.read())
    return shown([shapes.file(item, item.document)] if item.document else [])


def get_file(call: Call) -> Response:
    """About a file, and with `inline_files=true` what is in it, in base64."""
    item, document = _document(call)
    found = shapes.file(item, document)
    if call.request.query_params.get("inline_files", "").lower() == "true":
        found["content"] = base64.b64encode(document.value.encode()).decode()
    return shown(found)


def get_content(call: Call) -> Response:
    """What is in a file, byte for byte."""
    _, document = _document(call)
    return Response(document.value.encode(), media_type="application/octet-stream", headers=HEADERS)


def _document(call: Call) -> tuple[Item, Field]:
    item, wanted = call.item(call.door.cabinet.read()), call.request.path_params["file"]
    if not is_identifier(wanted):
        raise HTTPException(400, "Invalid File UUID")
    if item.document is None or item.document.id != wanted:
        raise HTTPException(404, "file not found")
    return item, item.document
