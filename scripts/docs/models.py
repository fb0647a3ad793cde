"""The models of apps and labs as tables: fields, kinds and defaults as written in the source, and their docstrings."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from blumeops.facts.lookups import VOCABULARY
from blumeops.lab import app, fields, model, quantities, schema, settings, sources
from blumeops.render import ansible, kubernetes, local

MODULES = {"app-model.md": (sources, app), "lab-model.md": (settings, model)}
"""By page: where the models of it are."""
ENGINES = {"local": local.BECOMES, "Ansible": ansible.BECOMES, "Kubernetes": kubernetes.BECOMES}

WORDS = {
    "Scalar": "text, a number, `true` or `false`",
    "Count": "a whole number, 1 or more",
    "PortNumber": "a number from 1 to 65535",
    "Duration": "a duration: `90s`, `1h30m`, `30d`; units `ms`, `s`, `m`, `h`, `d`, `w`",
    "Size": "a size: `128Mi`, `2G`, or a number of bytes; units `Ki`, `Mi`, `Gi`, `Ti`, `k`, `M`, `G`, `T`",
}
"""What a kind of value takes, where neither its pattern nor its docstring says so."""
PLAIN = {"str": "text", "int": "number", "float": "number", "bool": "true or false", "Any": "anything"}
OMIT = ("Lab",)


@dataclass(frozen=True)
class Field:
    """One field of a model, in words."""

    name: str
    kind: str
    default: str
    about: str


def models(page: str) -> dict[str, tuple[str, list[Field]]]:
    """The models of a page, by name: docstring and fields."""
    return {
        name: (_flat(ast.get_docstring(node) or ""), [_field(*each, module) for each in schema.fields(node)])
        for module in MODULES[page]
        for name, node in schema.classes(module).items()
        if name not in OMIT and node.bases
    }


def app_fields() -> str:
    """The table of an app's fields, with what each becomes."""
    _, own = models("app-model.md")["App"]
    lines = ["| field | holds | default | means |", "| --- | --- | --- | --- |"]
    lines += [f"| `{field.name}` | {field.kind} | {field.default} | {field.about} |" for field in own]
    lines += ["\n### What each field becomes\n", f"| field | {' | '.join(ENGINES)} |", "| --- | --- | --- | --- |"]
    for field in own:
        cells = [_escaped(becomes.get(field.name, "**not said**")) for becomes in ENGINES.values()]
        lines.append(f"| `{field.name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def app_parts() -> str:
    """What the fields of an app are made of."""
    return _parts({name: each for name, each in models("app-model.md").items() if name != "App"})


def lab() -> str:
    """The models of lab.yaml and services/*.yaml."""
    found = models("lab-model.md")
    first = {name: found.pop(name) for name in ("Settings", "Service")}
    return _parts(first | found)


def kinds() -> str:
    """What the words in the column `holds` mean, as far as they are not plain."""
    rows = [f"| {name} | {_escaped(about)} |" for name, about in sorted(_kinds().items())]
    return "\n".join(["| word | what it takes |", "| --- | --- |", *rows])


def lookups() -> str:
    """What a lookup can name."""
    rows = [f"| `{{{{ {name} }}}}` | {_escaped(about)} |" for name, about in VOCABULARY.items()]
    return "\n".join(["| lookup | becomes |", "| --- | --- |", *rows])


def _parts(found: dict[str, tuple[str, list[Field]]]) -> str:
    lines = []
    for name, (about, own) in found.items():
        lines += [f"### {name}\n", f"{about}\n", "| field | holds | default | means |", "| --- | --- | --- | --- |"]
        lines += [f"| `{field.name}` | {field.kind} | {field.default} | {field.about} |" for field in own]
        lines.append("")
    return "\n".join(lines)


def _field(node: ast.AnnAssign, about: str, module: ModuleType) -> Field:
    return Field(ast.unparse(node.target), _kind(node.annotation), _default(node.value, module), _escaped(about))


def _kind(node: ast.expr) -> str:
    """An annotation in words."""
    match node:
        case ast.Name(id=name) if name in PLAIN:
            return PLAIN[name]
        case ast.Name(id=name):
            return name if name in _kinds() else _link(name)
        case ast.BinOp(left=left, right=ast.Constant(value=None)):
            return _kind(left)
        case ast.BinOp(left=left, right=right):
            return f"{_kind(left)}, or {_kind(right)}"
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[one, _])):
            return f"a list of {_kind(one)}"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, value])):
            return f"a mapping of {_kind(key)} to {_kind(value)}"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=choices)):
            return ", ".join(f"`{ast.literal_eval(choice)}`" for choice in choices)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Constant(value=value)):
            return f"`{value!s}`"
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *_])):
            return _kind(inner)
    return _unknown(ast.unparse(node))


def _default(value: ast.expr | None, module: ModuleType) -> str:
    if value is None:
        return "required"
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field":
        if not value.args:
            return ""
        value = value.args[0]
    named = getattr(module, value.id, None) if isinstance(value, ast.Name) else None
    text = repr(named) if named is not None else ast.unparse(value)
    if text in ("{}", "()", "None", "''") or text.startswith("unsaid("):
        return ""
    text = re.sub(r"^'(.*)'$", r"\1", text)
    text = re.sub(r"^(\d+)\.0$", r"\1s", text)  # the only numbers with a point are durations
    return f"`{text}`".replace("True", "true").replace("False", "false")


@cache
def _kinds() -> dict[str, str]:
    """The kinds of value that fields.py and quantities.py define, in words."""
    found = {}
    for module in (fields, quantities):
        body = ast.parse(Path(str(module.__file__)).read_text()).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
            if not name[:1].isupper() or name.isupper():
                continue
            patterns = [getattr(each, "pattern", None) for each in getattr(getattr(module, name), "__metadata__", ())]
            said = [fields.PATTERNS[pattern] for pattern in patterns if pattern in fields.PATTERNS]
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                said.append(str(after.value.value).rstrip("."))
            found[name] = "; ".join(said) or WORDS.get(name) or _unknown(name)
    return found


def _link(name: str) -> str:
    """To the part about another model: those of apps stand on the page of apps, those of labs on theirs."""
    for page, modules in MODULES.items():
        if any(name in schema.classes(module) for module in modules):
            return f"[{name}]({page}#{name.lower()})"
    return _unknown(name)


def _unknown(name: str) -> str:
    raise SystemExit(f"scripts/docs/models.py has no words for the kind {name}")


def _flat(text: str) -> str:
    return _escaped(re.sub(r"\s+", " ", text).strip())


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
