"""Plain values become typed ones; what does not fit becomes findings at the right places.

What stands where a secret belongs is never repeated: somebody may have written the value itself.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from blumeops.base.findings import Finding, Place
from blumeops.lab.fields import PATTERNS
from blumeops.lab.marks import Document, Mark, shown

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

_WANTED = {
    "string_type": "text", "int_type": "a whole number", "int_parsing": "a whole number",
    "int_from_float": "a whole number", "int_parsing_size": "a whole number that is not so large",
    "bool_type": "true or false", "bool_parsing": "true or false", "float_type": "a number",
    "float_parsing": "a number", "finite_number": "a finite number",
    "dict_type": "a mapping (`key: value` lines)", "model_type": "a mapping (`key: value` lines)",
    "model_attributes_type": "a mapping (`key: value` lines)", "tuple_type": "a list", "list_type": "a list",
}  # fmt: skip
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le"), "greater_than": ("more than", "gt"),
}  # fmt: skip
MOST_COMPARED = 200
MOST_DETAILS = 100
_MOST_TOLD = 24


def validate(model: type[Model], data: Any, document: Document, path: Path = ()) -> tuple[Model | None, list[Finding]]:
    """`data`, which stands at `path` of `document`, as a `model`; or None and every reason why not."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, _findings(model, _details(error), document, path)


def validate_what_fits(
    model: type[Model], data: Any, document: Document, path: Path
) -> tuple[Model | None, list[Finding], frozenset[str]]:
    """As `validate`, and the names of wrong fields: the model is without them, so that the rest can be judged."""
    try:
        return model.model_validate(data), [], frozenset()
    except ValidationError as error:
        details = _details(error)
        found = _findings(model, details, document, path)
    wrong = frozenset(str(detail["loc"][0]) for detail in details if detail["loc"])
    if not isinstance(data, dict) or not wrong:
        return None, found, wrong
    rest, more = validate(model, {key: value for key, value in data.items() if key not in wrong}, document, path)
    if wrong.isdisjoint(model.model_fields):  # else what is missing now may be what was taken away
        found += more
    return rest, found, wrong


def _details(error: ValidationError) -> list[ErrorDetails]:
    """What is wrong; of a flood only that it is one, since each mistake costs a kilobyte."""
    if error.error_count() <= MOST_DETAILS:
        return error.errors(include_url=False)
    flood = {"error": f"has {error.error_count()} mistakes, too many to tell"}
    return [{"type": "value_error", "loc": (), "msg": "", "input": None, "ctx": flood}]


def _findings(model: type[BaseModel], details: list[ErrorDetails], document: Document, path: Path) -> list[Finding]:
    """One finding a value: of a choice of types, each of which says why it does not fit, the wants are joined."""
    groups: dict[tuple[Place, str], list[ErrorDetails]] = {}
    for detail in details:
        place, subject = _where(detail, document, path)
        groups.setdefault((place, subject), []).append(detail)
    around = {subject.rpartition(".")[0] for _, subject in groups}
    found = []
    for (place, subject), group in groups.items():
        if subject in around and all(detail["type"] in _WANTED for detail in group):
            continue  # another of the choices fits better: what is inside is to blame
        found.append(_finding(model, group, place, subject, document))
    return found


def _where(detail: ErrorDetails, document: Document, path: Path) -> tuple[Place, str]:
    """The place, and the path as a person sees it: without the parts that only the types have."""
    whole = (*path, *detail["loc"])
    named, mark = [], document.mark
    for part in whole:
        step: Mark | None = mark.step(part)
        if step is not None:
            mark = step
            named.append(str(part))
    of_key = "[key]" in whole or detail["type"] in ("extra_forbidden", "missing")
    if detail["type"] == "missing":
        named.append(str(whole[-1]))
    return document.place(*whole, of_key=of_key), shown(".".join(named), 100) or document.file


def _finding(
    model: type[BaseModel], group: list[ErrorDetails], place: Place, subject: str, document: Document
) -> Finding:
    detail = group[0]
    kind, loc = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        known = _fields_at(model, loc[:-1])
        return Finding("BLU101", place, subject, "there is no such field", meant(str(loc[-1]), known))
    if kind == "missing":
        return Finding("BLU102", place, subject, "is missing")
    path = subject.split(".")
    secret = "token" in path or "secrets" in path[1:]
    return Finding("BLU103", place, subject, _words(group, "" if secret else f", not {_given(detail.get('input'))}"))


def meant(given: str, known: Collection[str]) -> str:
    """The hint for a name that is not known: the nearest one, or what there is. Among many none is looked for."""
    import difflib  # most descriptions are right

    near = difflib.get_close_matches(given[:100], known, 1) if len(known) <= MOST_COMPARED else []
    if near:
        return f"did you mean `{near[0]}`?"
    first = ", ".join(sorted(known)[:_MOST_TOLD])
    return f"known: {first}{', …' if len(known) > _MOST_TOLD else ''}" if known else "there are none"


def _words(group: list[ErrorDetails], but: str) -> str:
    """What it must be; `but`: what it is instead, as the end of the sentence."""
    detail = group[0]
    kind, context = detail["type"], detail.get("ctx", {})
    wanted = list(dict.fromkeys(_WANTED[each["type"]] for each in group if each["type"] in _WANTED))
    if len(wanted) > 1:
        *first, last = (each for each in wanted if each != "a whole number")
        wanted = [f"{', '.join(first)} or {last}"]
    if kind == "value_error":
        return shown(str(context["error"]), 200)
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}{but}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]}{but}"
    if kind == "string_pattern_mismatch":
        return f"must be {PATTERNS.get(context['pattern'], 'like ' + context['pattern'])}{but}"
    return f"must be {wanted[0]}{but}" if wanted else f"does not fit: {detail['msg']}{but}"


def _given(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return shown(repr(value)) if isinstance(value, str) else shown(str(value), 30)


def _fields_at(model: type[BaseModel], loc: Path) -> list[str]:
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
