"""The kinds of value that apps and labs are written in."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from blumeops.lab.template import parse


class Strict(BaseModel):
    """Immutable, and a field that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _text(value: Any) -> Any:
    """Numbers and truth values where text is wanted (an environment) are the text that YAML would write."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _template(text: str) -> str:
    parse(text)
    return text


def _version(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"the version {value} is read as a number: quote it")
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,51}[a-z0-9])?$")]
"""A DNS label that starts with a letter: legal as a host name, a Kubernetes object, a unit file."""
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f]*$")]
UrlPath = Annotated[str, StringConstraints(pattern=r"^/[\x21-\x7e]*$")]
Version = Annotated[str, BeforeValidator(_version), StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z._+~-]*$")]
Templated = Annotated[str, BeforeValidator(_text), AfterValidator(_template)]
"""Text that may hold `{{ lookups }}`."""
PortNumber = Annotated[int, AfterValidator(lambda number: _between(number, 1, 65535))]
Scalar = bool | int | float | str


def _between(number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise ValueError(f"{number} is not between {least} and {most}")
    return number
