"""Plain values become typed ones; what does not fit becomes findings at the right places."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from blumeops.base.findings import Finding
from blumeops.lab.yaml import Document

Model = TypeVar("Model", bound=BaseModel)

_WANTED = {
    "string_type": "text", "int_type": "a whole number", "int_parsing": "a whole number",
    "bool_type": "true or false", "bool_parsing": "true or false", "float_type": "a number",
    "dict_type": "a mapping (`key: value` lines)", "model_type": "a mapping (`key: value` lines)",
    "model_attributes_type": "a mapping (`key: value` lines)", "tuple_type": "a list", "list_type": "a list",
}  # fmt: skip


def validate(
    model: type[Model], data: Any, document: Document, path: tuple[str | int, ...] = ()
) -> tuple[Model | None, list[Finding]]:
    """`data`, which stands at `path` of `document`, as a `model`; or None and every reason why not."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        findings: dict[object, Finding] = {}
        for detail in error.errors(include_url=False):
            finding = _finding(model, detail, document, path)
            findings.setdefault((finding.place, finding.subject), finding)
        return None, list(findings.values())


def _finding(model: type[BaseModel], detail: ErrorDetails, document: Document, path: tuple[str | int, ...]) -> Finding:
    where = (*path, *detail["loc"])
    kind = detail["type"]
    subject = ".".join(str(part) for part in where if part != "[key]") or document.file
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(where[-1]), _fields_at(model, detail["loc"][:-1]), 1)
        hint = f"did you mean `{near[0]}`?" if near else ""
        place = document.place(*where, of_key=True)
        return Finding("BLU101", place, subject, "there is no such field", hint)
    if kind == "missing":
        return Finding("BLU102", document.place(*where[:-1], of_key=True), subject, "is missing")
    return Finding("BLU103", document.place(*where, of_key="[key]" in where), subject, _words(detail))


def _words(detail: ErrorDetails) -> str:
    kind, given = detail["type"], detail.get("input")
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    shown = (
        f"{given!r:.60}" if not isinstance(given, dict | list) else "a mapping" if isinstance(given, dict) else "a list"
    )
    if given is None:
        shown = "nothing"
    if kind in ("literal_error", "enum"):
        return f"must be {detail['ctx']['expected']}, not {shown}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {shown}"
    if kind == "string_pattern_mismatch":
        return f"{shown} does not fit: it must match {detail['ctx']['pattern']}"
    return f"{shown}: {detail['msg']}"


def _fields_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The field names of the model that `loc` leads to, as far as that can be followed."""
    at: type[BaseModel] | None = model
    for part in loc:
        annotation = at.model_fields[str(part)].annotation if at and str(part) in at.model_fields else at
        at = _model_in(annotation) or at
    return list(at.model_fields) if at else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := _model_in(inner):
            return found
    return None
