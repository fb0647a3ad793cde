"""JSON Schema (draft 2020-12) of the files that people write, for their editors; and the models as they are written.

Enters: the pydantic models and their source, of which the attribute docstrings become descriptions. Leaves: one
schema a kind of file. Promised: every file that loads fits its schema, short forms included. What only several
fields together can say (a service stands on one place) is left to the checks.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter

from blumeops.lab import app, model, settings, sources
from blumeops.lab.fields import AbsolutePath, Key, Name, PortNumber

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def classes(module: ModuleType) -> dict[str, ast.ClassDef]:
    """The classes of a module as its source writes them, by name."""
    body = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body
    return {node.name: node for node in body if isinstance(node, ast.ClassDef)}


def fields(node: ast.ClassDef) -> Iterator[tuple[ast.AnnAssign, str]]:
    """The fields of a class, and the docstring below each, on one line; empty where there is none."""
    for field, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            said = after.value if isinstance(after, ast.Expr) else None
            text = said.value if isinstance(said, ast.Constant) and isinstance(said.value, str) else ""
            yield field, re.sub(r"\s+", " ", text).strip()


def lab_schema() -> Schema:
    """Of lab.yaml."""
    return _whole(settings.Settings.model_json_schema(), "Settings", "lab.yaml: a home lab")


def app_schema() -> Schema:
    """Of app.yaml."""
    return _whole(app.App.model_json_schema(), "App", "app.yaml: how to run a program")


def services_schema() -> Schema:
    """Of services/*.yaml: a mapping of services, or an empty file."""
    service = model.Service.model_json_schema()
    inner = service.pop("$defs")
    whole = {
        "type": ["object", "null"],
        "propertyNames": {"pattern": _kind(Name)["pattern"]},
        "additionalProperties": {"$ref": "#/$defs/Service"},
        "$defs": inner | {"Service": service},
    }
    return _whole(whole, "", "services/*.yaml: services by name")


SCHEMAS: dict[str, Callable[[], Schema]] = {"lab": lab_schema, "services": services_schema, "app": app_schema}
"""By kind of file."""


def schema_files(*kinds: str) -> dict[str, bytes]:
    """The schemas of these kinds, of all when none is named, as JSON: by file name, `KIND.schema.json`."""
    made = {kind: SCHEMAS[kind]() for kind in kinds or SCHEMAS}
    return {f"{kind}.schema.json": f"{json.dumps(each, indent=1)}\n".encode() for kind, each in made.items()}


def _whole(schema: Schema, name: str, title: str) -> Schema:
    inner = schema.pop("$defs")
    for each, definition in inner.items():
        _describe(each, definition)
    if name:
        _describe(name, schema)
    shortened = {each: _with_short_form(each, definition) for each, definition in sorted(inner.items())}
    return {"$schema": DIALECT, **schema, "title": title, "$defs": shortened}


def _describe(name: str, schema: Schema) -> None:
    """Give the fields their docstrings; take away what pydantic made up, and defaults that say nothing."""
    docstrings = _docstrings().get(name, {})
    schema.pop("title", None)
    for field, about in schema.get("properties", {}).items():
        about.pop("title", None)
        default = about.pop("default", None)
        if isinstance(default, float):  # the only numbers with a point are durations
            about["default"] = f"{default:g}s"
        elif default is not None and default != "" and not isinstance(default, dict | list):
            about["default"] = default
        if docstrings.get(field):
            about["description"] = docstrings[field]
        for choice in (about, *about.get("anyOf", ())):
            if "patternProperties" in choice:
                choice["additionalProperties"] = False


def _port(whole: Schema) -> list[Schema]:
    """A port's number alone."""
    return [_kind(PortNumber), whole]


def _state(whole: Schema) -> list[Schema]:
    """`none`, and folders that stand beside `database`."""
    beside = {
        "type": "object",
        "properties": {"database": whole["properties"]["database"], "folders": False},
        "propertyNames": _kind(Key),
        "additionalProperties": _kind(AbsolutePath),
    }
    return [{"const": "none"}, {**whole, "required": ["folders"]}, beside]


SHORT: dict[str, Callable[[Schema], list[Schema]]] = {"Port": _port, "State": _state}
"""By model with a before-validator: all the forms that it takes. A test holds that no such model is missing."""


def _with_short_form(name: str, schema: Schema) -> Schema:
    if name not in SHORT:
        return schema
    about = {"description": schema.pop("description")}
    return about | {"anyOf": SHORT[name](schema)}


def _kind(kind: Any) -> Schema:
    return TypeAdapter(kind).json_schema()


@cache
def _docstrings() -> dict[str, dict[str, str]]:
    return {
        name: {ast.unparse(field.target): about for field, about in fields(node)}
        for module in (sources, app, settings, model)
        for name, node in classes(module).items()
    }
