"""The models of apps and labs as tables: fields, kinds and defaults as written in the source, and their docstrings."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from blumeops.facts.wiring import VOCABULARY
from blumeops.render import ansible, kubernetes, local

LAB = Path(__file__).resolve().parents[2] / "src" / "blumeops" / "lab"
ENGINES = {"local": local.BECOMES, "Ansible": ansible.BECOMES, "Kubernetes": kubernetes.BECOMES}

KINDS = {
    "str": "text", "int": "a whole number", "bool": "`true` or `false`", "Any": "anything",
    "Scalar": "text, a number, `true` or `false`",
    "Name": "a name: lower-case letters, digits and inner hyphens, beginning with a letter, 53 at most",
    "Key": "a key: lower-case letters, digits, `_` and `-`, beginning with a letter, 63 at most",
    "EnvName": "an environment variable's name",
    "FileName": "a file's name, without a folder",
    "AbsolutePath": "an absolute path",
    "UrlPath": "the path of a URL, beginning with `/`",
    "Version": "a version, quoted where YAML would read a number",
    "Templated": "text that may hold [lookups](lookups.md)",
    "PortNumber": "a number from 1 to 65535",
    "Duration": "a duration: `90s`, `1h30m`, `30d`; units `ms`, `s`, `m`, `h`, `d`, `w`",
    "Size": "a size: `128Mi`, `2G`, or a number of bytes; units `Ki`, `Mi`, `Gi`, `Ti`, `k`, `M`, `G`, `T`",
}  # fmt: skip
PLAIN = {"str": "text", "int": "number", "bool": "true/false", "Any": "anything", "Scalar": "text or number"}
OMIT = ("Lab",)


@dataclass(frozen=True)
class Field:
    """One field of a model, in words."""

    name: str
    kind: str
    default: str
    about: str


def models(file: str) -> dict[str, tuple[str, list[Field]]]:
    """The models of a module, by name: docstring and fields."""
    found = {}
    tree = ast.parse((LAB / file).read_text())
    constants = {
        node.targets[0].id: ast.unparse(node.value)
        for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }  # fmt: skip
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name not in OMIT and node.bases:
            found[node.name] = (_flat(ast.get_docstring(node) or ""), _fields(node, constants))
    return found


def app_fields() -> str:
    """The table of an app's fields, with what each becomes."""
    _, fields = models("app.py")["App"]
    lines = ["| field | holds | default | means |", "| --- | --- | --- | --- |"]
    lines += [f"| `{field.name}` | {field.kind} | {field.default} | {field.about} |" for field in fields]
    lines += ["\n### What each field becomes\n", f"| field | {' | '.join(ENGINES)} |", "| --- | --- | --- | --- |"]
    for field in fields:
        cells = [_escaped(becomes.get(field.name, "**not said**")) for becomes in ENGINES.values()]
        lines.append(f"| `{field.name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def app_parts() -> str:
    """What the fields of an app are made of."""
    return _parts({name: model for name, model in models("app.py").items() if name != "App"})


def lab() -> str:
    """The models of lab.yaml and services/*.yaml."""
    found = models("model.py")
    first = {name: found.pop(name) for name in ("Settings", "Service")}
    return _parts(first | found)


def kinds() -> str:
    """What the words in the column `holds` mean, as far as they are not plain."""
    rows = [f"| {name} | {about} |" for name, about in KINDS.items() if name not in PLAIN]
    return "\n".join(["| word | what it takes |", "| --- | --- |", *rows])


def lookups() -> str:
    """What a lookup can name."""
    rows = [f"| `{{{{ {name} }}}}` | {_escaped(about)} |" for name, about in VOCABULARY.items()]
    return "\n".join(["| lookup | becomes |", "| --- | --- |", *rows])


def _parts(found: dict[str, tuple[str, list[Field]]]) -> str:
    lines = []
    for name, (about, fields) in found.items():
        lines += [f"### {name}\n", f"{about}\n", "| field | holds | default | means |", "| --- | --- | --- | --- |"]
        lines += [f"| `{field.name}` | {field.kind} | {field.default} | {field.about} |" for field in fields]
        lines.append("")
    return "\n".join(lines)


def _fields(model: ast.ClassDef, constants: dict[str, str]) -> list[Field]:
    fields = []
    for node, after in zip(model.body, [*model.body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        about = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            about = _flat(after.value.value)
        optional = isinstance(node.annotation, ast.BinOp) and ast.unparse(node.annotation).endswith("| None")
        fields.append(Field(node.target.id, _kind(node.annotation), _default(node.value, optional, constants), about))
    return fields


def _kind(node: ast.expr) -> str:
    """An annotation in words."""
    match node:
        case ast.Name(id=name) if name in PLAIN:
            return PLAIN[name]
        case ast.Name(id=name):
            return name if name in KINDS else f"[{name}](#{name.lower()})" if name in _all_models() else _unknown(name)
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
            return f"`{value}`"
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *_])):
            return _kind(inner)
    return _unknown(ast.unparse(node))


def _default(value: ast.expr | None, optional: bool, constants: dict[str, str]) -> str:
    if value is None:
        return "required"
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field":
        if not value.args:
            return ""
        value = value.args[0]
    text = constants.get(ast.unparse(value), ast.unparse(value))
    if text in ("{}", "()", "None", "''") or text.endswith("()") or optional and text == "None":
        return ""
    text = re.sub(r"^'(.*)'$", r"\1", text)
    return f"`{text}`".replace("True", "true").replace("False", "false")


def _all_models() -> set[str]:
    names: set[str] = set()
    for file in ("app.py", "model.py"):
        names |= {node.name for node in ast.parse((LAB / file).read_text()).body if isinstance(node, ast.ClassDef)}
    return names


def _unknown(name: str) -> str:
    raise SystemExit(f"scripts/docs/models.py has no words for the kind {name}")


def _flat(text: str) -> str:
    return _escaped(re.sub(r"\s+", " ", text).strip())


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
