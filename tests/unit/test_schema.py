"""The JSON Schemas for editors: what loads fits them, and the mistakes that a person makes while typing do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
from pydantic import BaseModel, TypeAdapter

from blumeops.lab import app, model, yaml
from blumeops.lab import settings as lab_settings
from blumeops.lab.fields import Name
from blumeops.lab.schema import SCHEMAS, SHORT, schema_files

REPOSITORY = Path(__file__).parents[2]
VALIDATORS = {kind: Draft202012Validator(schema()) for kind, schema in SCHEMAS.items()}
Services = dict[Name, model.Service]
MODELS: dict[str, TypeAdapter[Any]] = {
    "lab": TypeAdapter(lab_settings.Settings),
    "services": TypeAdapter(Services),
    "app": TypeAdapter(app.App),
}
FILES = [
    *(("lab", path) for path in REPOSITORY.glob("labs/*/lab.yaml")),
    *(("services", path) for path in REPOSITORY.glob("labs/*/services/*.yaml")),
    *(("app", path) for path in REPOSITORY.glob("src/blumeops/catalogue/*/app.yaml")),
]
GOLDEN = [
    *(("lab", path) for path in REPOSITORY.glob("tests/golden/**/lab.yaml")),
    *(("services", path) for path in REPOSITORY.glob("tests/golden/**/services/*.yaml")),
    *(("app", path) for path in REPOSITORY.glob("tests/golden/**/apps/*/app.yaml")),
]


def data_of(path: Path) -> Any:
    """A file as the loader reads it."""
    return yaml.read(path.read_bytes(), path.name).data


def loads(kind: str, data: Any) -> bool:
    """Whether the models take it."""
    if kind == "services" and data is None:
        return True
    try:
        MODELS[kind].validate_python(data)
    except ValueError:
        return False
    return True


def fits(kind: str, data: Any) -> bool:
    """Whether the schema does."""
    return bool(VALIDATORS[kind].is_valid(data))


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_one(kind: str) -> None:
    """Of draft 2020-12, whose own schema it fits."""
    Draft202012Validator.check_schema(SCHEMAS[kind]())
    assert set(schema_files()) >= {f"{kind}.schema.json"} == set(schema_files(kind))


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda value: str(getattr(value, "parent", value)))
def test_every_file_of_the_project_fits(kind: str, path: Path) -> None:
    """Labs and catalogue, as the loader reads them."""
    assert [f"{error.json_path}: {error.message}" for error in VALIDATORS[kind].iter_errors(data_of(path))] == []


def test_whatever_loads_fits() -> None:
    """Among all the labs that the checks are tried with, a file that the models take is never marked by an editor."""
    taken = [(kind, path) for kind, path in GOLDEN if loads(kind, data_of(path))]
    assert len(taken) > 50
    assert [str(path) for kind, path in taken if not fits(kind, data_of(path))] == []


APP = {"app": "demo", "version": "1", "state": "none"}
GOOD: list[tuple[str, Any]] = [
    ("services", None),
    ("services", {"web": {"host": "server"}}),
    ("services", {"web": {"host": "server", "ports": {"http": 80, "dns": {"port": 53, "protocol": "udp"}}}}),
    ("services", {"web": {"host": "server", "state": "none"}}),
    ("services", {"web": {"host": "server", "state": {"data": "/data"}}}),
    ("services", {"web": {"host": "server", "state": {"database": True, "data": "/data"}}}),
    ("services", {"web": {"host": "server", "state": {"folders": {"data": "/data"}}}}),
    ("services", {"web": {"host": "server", "env": {"PORT": 80, "DEBUG": True, "NAME": "x"}}}),
    ("services", {"web": {"host": "server", "health": {"http": "/", "within": "1m30s"}}}),
    ("services", {"web": {"host": "server", "resources": {"memory": 1024}, "options": {"list": ["a", 1]}}}),
    ("services", {"web": {"host": "server", "kubernetes": {"any": ["thing"]}}}),
    ("lab", {"lab": "x", "hosts": {"nas": {"os": "dsm", "role": "storage", "memory": "16Gi"}}}),
    ("lab", {"lab": "x", "here": {"https": 443}, "backup": {"to": "nas/backups", "keep": {"daily": 7}}}),
    ("app", APP),
    ("app", {**APP, "stop": {"within": "90s"}, "needs": {"database": "postgresql"}}),
]
BAD: list[tuple[str, Any]] = [
    ("services", []),
    ("services", {"web": None}),
    ("services", {"Web": {"host": "server"}}),
    ("services", {"web": {"host": "server", "colour": "red"}}),
    ("services", {"web": {"host": "server", "allow": "members"}}),
    ("services", {"web": {"host": "server", "version": 2.2}}),
    ("services", {"web": {"host": "server", "ports": {"http": 70000}}}),
    ("services", {"web": {"host": "server", "ports": {"http": "80"}}}),
    ("services", {"web": {"host": "server", "ports": {"http": {"port": 80, "prot": "udp"}}}}),
    ("services", {"web": {"host": "server", "state": "nothing"}}),
    ("services", {"web": {"host": "server", "state": {"data": "data"}}}),
    ("services", {"web": {"host": "server", "state": {"folders": {"data": "/data"}, "more": "/more"}}}),
    ("services", {"web": {"host": "server", "env": {"A-B": "x"}}}),
    ("services", {"web": {"host": "server", "health": {"http": "/", "within": 30}}}),
    ("services", {"web": {"host": "server", "resources": {"memory": "128 MB"}}}),
    ("lab", {}),
    ("lab", {"lab": "x", "host": {}}),
    ("lab", {"lab": "x", "hosts": {"nas": {"os": "windows", "role": "storage"}}}),
    ("lab", {"lab": "x", "here": {"https": True}}),
    ("lab", {"lab": "x", "backup": {"to": "nas/backups", "keep": {"dayly": 7}}}),
    ("app", {"app": "demo", "version": "1"}),
    ("app", {**APP, "needs": {"cache": "redis"}}),
    ("app", {**APP, "options": {"depth": {"type": "number"}}}),
]


@pytest.mark.parametrize(("kind", "data"), GOOD)
def test_what_a_person_may_write_fits(kind: str, data: Any) -> None:
    """Short forms too; and the models agree."""
    assert loads(kind, data)
    assert fits(kind, data)


@pytest.mark.parametrize(("kind", "data"), BAD)
def test_a_mistake_is_marked(kind: str, data: Any) -> None:
    """Fields that do not exist, other types, other patterns; and the models agree."""
    assert not loads(kind, data)
    assert not fits(kind, data)


def test_every_short_form_is_known() -> None:
    """A model that takes other forms, by a before-validator, says in SHORT which."""
    models = {each for module in (app, model) for each in vars(module).values() if isinstance(each, type)}
    short = {
        each.__name__
        for each in models
        if issubclass(each, BaseModel)
        for validator in each.__pydantic_decorators__.model_validators.values()
        if validator.info.mode == "before"
    }
    assert short == set(SHORT)


def test_an_editor_shows_what_a_field_means() -> None:
    """The docstring below a field is its description, and a default is written as a person would write it."""
    schema = SCHEMAS["services"]()
    fields = schema["$defs"]["Service"]["properties"]
    assert fields["database"]["description"] == "The service that holds its database."
    assert fields["ports"]["additionalProperties"] is False
    assert schema["$defs"]["Health"]["properties"]["within"]["default"] == "30s"
    assert SCHEMAS["lab"]()["$defs"]["Here"]["properties"]["https"]["default"] == 8443
