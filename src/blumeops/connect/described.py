"""The API's own description, in OpenAPI 3.1: served at /v1/openapi.json, and what its tests are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_ID = {"type": "string", "pattern": "^[a-z0-9]{26}$"}
_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_ERROR_TEXTS = {
    "400": "The request is malformed.", "401": "No valid token.", "403": "The token does not allow that.",
    "404": "There is no such item or file.", "409": "The item was changed, is taken, or is in use.",
    "413": "The body is too large.", "429": "Too many wrong tokens.", "500": "The store failed.",
    "503": "The store is away.",
}  # fmt: skip
_EVERYWHERE = ("400", "401", "429", "500", "503")
Schema = dict[str, Any]


def description(version: str) -> Schema:
    """The whole of it."""
    vault, item, file = (_parameter(name) for name in ("vault", "item", "file"))
    one = "/v1/vaults/{vault}/items/{item}"
    new, whole = _json(_ref("NewItem")), _json(_ref("WholeItem"))
    patch = {"application/json": {"schema": {"type": "array", "items": _ref("Operation")}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "BlumeOps Connect API", "version": version},
        "security": [{"token": []}],
        "paths": {
            "/heartbeat": {"get": _open("Whether it is there", _plain("text/plain"))},
            "/health": {"get": _open("Whether the store can be opened", _json(_ref("Health")), "503")},
            "/metrics": {"get": _open("Counts of requests", _plain("text/plain"))},
            "/v1/activity": {"get": _operation("What the token asked", _list("Activity"))},
            "/v1/vaults": {"get": _operation("Vaults of the token", _list("Vault"), [_FILTER])},
            "/v1/vaults/{vault}": {"get": _operation("One vault", _json(_ref("Vault")), [vault], "403")},
            "/v1/vaults/{vault}/items": {
                "get": _operation("Items, without their fields", _list("ItemSummary"), [vault, _FILTER], "403"),
                "post": _operation("A new item", _json(_ref("Item")), [vault], "403", "409", "413", body=new),
            },
            one: {
                "get": _operation("An item", _json(_ref("Item")), [vault, item], "403", "404"),
                "put": _operation("An item as a whole", _json(_ref("Item")), [vault, item], *_WRITING, body=whole),
                "patch": _operation("Single fields", _json(_ref("Item")), [vault, item], *_WRITING, body=patch),
                "delete": _operation("No item any more", None, [vault, item], "403", "404", "409"),
            },
            one + "/files": {"get": _operation("Files", _list("File"), [vault, item], "403", "404")},
            one + "/files/{file}": {
                "get": _operation("A file", _json(_ref("File")), [vault, item, file, _INLINE], "403", "404")
            },
            one + "/files/{file}/content": {
                "get": _operation(
                    "What is in it", _plain("application/octet-stream"), [vault, item, file], "403", "404"
                )
            },
        },
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_WRITING = ("403", "404", "409", "413")
_FILTER = {
    "name": "filter", "in": "query", "required": False,
    "schema": {"type": "string", "pattern": '^(title|name) eq ".*"$'}, "description": "By name.",
}  # fmt: skip
_INLINE = {"name": "inline_files", "in": "query", "required": False, "schema": {"type": "boolean"}}


def _object(properties: Mapping[str, Schema], *optional: str, closed: bool = True) -> Schema:
    shape: Schema = {"type": "object", "properties": dict(properties)}
    if closed:
        shape["additionalProperties"] = False
    return {**shape, "required": [name for name in properties if name not in optional]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_SUMMARY: Mapping[str, Schema] = {
    "id": _ID, "title": _TEXT, "vault": _object({"id": _ID, "name": _TEXT}), "category": _TEXT,
    "urls": {"type": "array"}, "favorite": {"type": "boolean"}, "tags": {"type": "array", "items": _TEXT},
    "version": {"type": "integer"}, "lastEditedBy": _TEXT, "createdAt": _TIME, "updatedAt": _TIME,
}  # fmt: skip
_SECTION = {"id": _TEXT, "label": _TEXT}
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9._-]+( +[A-Za-z0-9._-]+)*$", "maxLength": 256}


def _wanted(least: int) -> Schema:
    """An item that a client sends, with so many fields at least."""
    fields: Schema = {"type": "array", "items": _ref("NewField"), "minItems": least, "maxItems": 1000}
    sections: Schema = {"type": "array", "items": _object(_SECTION, "id", "label", closed=False), "maxItems": 1000}
    properties: dict[str, Schema] = {
        "title": _NAME, "fields": fields, "id": _ID, "vault": _object({"id": _ID}), "version": {"type": "integer"},
        "sections": sections,
    }  # fmt: skip
    return _object(properties, "id", "vault", "version", "sections", closed=False)


_SCHEMAS: Mapping[str, Schema] = {
    "Error": _object({"status": {"type": "integer"}, "message": _TEXT}),
    "Health": _object({
        "name": _TEXT, "version": _TEXT, "dependencies": {"type": "array", "items": {"type": "object"}},
    }),
    "Vault": _object({
        "id": _ID, "name": _TEXT, "description": _TEXT, "attributeVersion": {"type": "integer"},
        "contentVersion": {"type": "integer"}, "items": {"type": "integer"}, "type": _TEXT, "createdAt": _TIME,
        "updatedAt": _TIME,
    }),
    "ItemSummary": _object(_SUMMARY),
    "Field": _object(
        {"id": _TEXT, "type": _TEXT, "label": _TEXT, "value": _TEXT, "section": _object(_SECTION), "purpose": _TEXT},
        "section", "purpose",
    ),
    "File": _object(
        {"id": _ID, "name": _TEXT, "size": {"type": "integer"}, "content_path": _TEXT, "content": _TEXT}, "content"
    ),
    "Item": _object({
        **_SUMMARY, "sections": {"type": "array", "items": _object(_SECTION)},
        "fields": {"type": "array", "items": _ref("Field")}, "files": {"type": "array", "items": _ref("File")},
    }),
    "NewItem": _wanted(1),
    "WholeItem": _wanted(0),
    "NewField": _object({
        "label": _NAME, "value": {"type": "string", "maxLength": 65536}, "id": _TEXT,
        "section": _object(_SECTION, "id", "label", closed=False), "generate": {"type": "boolean"},
    }, "id", "value", "section", "generate", closed=False),
    "Operation": _object(
        {"op": {"enum": ["add", "remove", "replace"]}, "path": {"type": "string", "maxLength": 256}, "value": {}},
        "value",
    ),
    "Activity": _object({"requestId": _TEXT, "timestamp": _TIME, "action": _TEXT, "result": _TEXT}, closed=False),
}  # fmt: skip


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _list(name: str) -> Schema:
    return _json({"type": "array", "items": _ref(name)})


def _plain(kind: str) -> Schema:
    return {kind: {"schema": _TEXT}}


def _parameter(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _ID}


def _errors(*statuses: str) -> Schema:
    return {
        status: {"description": _ERROR_TEXTS[status], "content": _json(_ref("Error"))} for status in sorted({*statuses})
    }


def _open(about: str, content: Schema, *errors: str) -> Schema:
    """An operation that asks for no token."""
    answers: Schema = {"200": {"description": about, "content": content}}
    answers |= {status: {"description": about, "content": content} for status in errors}
    return {"summary": about, "security": [], "responses": answers}


def _operation(
    about: str, content: Schema | None, parameters: Sequence[Schema] = (), *errors: str, body: Schema | None = None
) -> Schema:
    done = {"200": {"description": about, "content": content}} if content else {"204": {"description": about}}
    made: Schema = {
        "summary": about, "parameters": list(parameters), "responses": {**done, **_errors(*_EVERYWHERE, *errors)},
    }  # fmt: skip
    return {**made, "requestBody": {"required": True, "content": body}} if body else made
