"""The kinds of value that apps and labs are written in."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from blumeops.lab.remotes import parse_api, parse_remote
from blumeops.lab.template import parse

_Model = TypeVar("_Model", bound=BaseModel)


class Strict(BaseModel):
    """Immutable, and a field that is not known is an error."""

    # Attribute docstrings are read by the documentation alone: reading them costs each start the source's parsing.
    # Validators are built when first used: a nested model's own never is.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def unsaid(model: type[_Model]) -> _Model:
    """The model with nothing said, as a default: made without the validator that a call would build at its import."""
    return model.model_construct()


def _text(value: Any) -> Any:
    """Numbers and truth values where text is wanted (an environment) are the text that YAML would write."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _template(text: str) -> str:
    parse(text)
    return text


def _remote(text: str) -> str:
    parse_remote(text)
    return text


def _api(text: str) -> str:
    parse_api(text)
    return text


def _version(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"the version {value} is read as a number: quote it")
    return value


_NAME = r"^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$"
_KEY = r"^[a-z][a-z0-9_-]{0,62}$"
_ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"
_PATH = r"^/[^\x00-\x1f]*$"
_DEVICE = r"^/dev/[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
_URL_PATH = r"^/[\x21-\x7e]*$"
_VERSION = r"^[0-9A-Za-z][0-9A-Za-z._+~-]*$"
_DOMAIN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
_ADDRESS = r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$"
_BRANCH = r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$"
_VAULT = r"^[A-Za-z0-9._-]+( +[A-Za-z0-9._-]+)*$"
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_GO_MODULE = r"^[a-z0-9][a-z0-9.-]*(/[A-Za-z0-9._~-]+)+@v[0-9][A-Za-z0-9.+-]*$"
_SHA256 = r"^[0-9a-f]{64}$"
_SHARE = r"^[^/\x00-\x1f]+/[^/\x00-\x1f]+$"
_CHART = r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$"
_CHARTS = r"^(https|oci)://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?$"
IMAGE = (
    r"^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)

PATTERNS = {
    _NAME: "a name of lower-case letters, digits and hyphens that begins with a letter, 50 at most",
    _KEY: "a word of lower-case letters, digits, - and _ that begins with a letter",
    _ENV_NAME: "a name for the environment: letters, digits and _",
    _FILE_NAME: "a file's name of letters, digits, - _ and .",
    _PATH: "an absolute path",
    _DEVICE: "a device like /dev/dri",
    _URL_PATH: "a path that begins with /",
    _VERSION: "a version: letters, digits and . _ + ~ -",
    _DOMAIN: "a domain like ops.example.org, in lower case",
    _ADDRESS: "an IP address or a host's name",
    _BRANCH: "a branch's name",
    _VAULT: "a vault's name: letters, digits, - _ . and inner spaces",
    _TIME: 'a time like "02:00", in quotes',
    _LINE: "text on one line",
    _SHA256: "a SHA-256: 64 digits and letters from a to f",
    _SHARE: "HOST/SHARE",
    _CHART: "a chart's name: lower-case letters, digits, - and .",
    _CHARTS: "a repository of charts like https://charts.example.org or oci://registry.example.org/charts",
    IMAGE: "an image like registry.example.org/name:1.2.3",
}
"""What a pattern asks for, in a person's words."""

Name = Annotated[str, StringConstraints(pattern=_NAME)]
"""A DNS label that starts with a letter: legal as a host name, a Kubernetes object, a unit file."""
Key = Annotated[str, StringConstraints(pattern=_KEY)]
EnvName = Annotated[str, StringConstraints(pattern=_ENV_NAME)]
FileName = Annotated[str, StringConstraints(pattern=_FILE_NAME)]
AbsolutePath = Annotated[str, StringConstraints(pattern=_PATH)]
DevicePath = Annotated[str, StringConstraints(pattern=_DEVICE)]
UrlPath = Annotated[str, StringConstraints(pattern=_URL_PATH)]
Version = Annotated[
    str, BeforeValidator(_version), StringConstraints(pattern=_VERSION),
    WithJsonSchema({"type": "string", "pattern": _VERSION}),
]  # fmt: skip
Domain = Annotated[str, StringConstraints(pattern=_DOMAIN, max_length=253)]
NetworkAddress = Annotated[str, StringConstraints(pattern=_ADDRESS)]
Branch = Annotated[str, StringConstraints(pattern=_BRANCH)]
Vault = Annotated[str, StringConstraints(pattern=_VAULT)]
TimeOfDay = Annotated[str, StringConstraints(pattern=_TIME)]
ShareName = Annotated[str, StringConstraints(pattern=_SHARE)]
Sha256 = Annotated[str, StringConstraints(pattern=_SHA256)]
Platform = Literal["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"]
"""`linux` or `darwin` (macOS), `-`, `amd64` or `arm64`."""
Image = Annotated[str, StringConstraints(pattern=IMAGE)]
ChartName = Annotated[str, StringConstraints(pattern=_CHART)]
ChartRepository = Annotated[str, StringConstraints(pattern=_CHARTS)]
Line = Annotated[str, StringConstraints(pattern=_LINE)]
"""Text on one line."""
Templated = Annotated[
    str, BeforeValidator(_text), AfterValidator(_template), WithJsonSchema({"type": ["string", "number", "boolean"]}),
]  # fmt: skip
"""Text that may hold `{{ lookups }}`."""
GitUrl = Annotated[str, AfterValidator(_remote)]
"""A Git repository: `https://…`, `ssh://…`, `user@host:path` or `file:///…`; plain `http://` on loopback alone."""
GoModule = Annotated[str, StringConstraints(pattern=_GO_MODULE)]
"""A module of Go at a version: `github.com/caddy-dns/gandi@v1.1.0`."""
ApiUrl = Annotated[str, AfterValidator(_api)]
"""`https://host/path`; plain `http://` on loopback alone."""
Truth = Annotated[bool, Field(strict=True)]
"""`true` or `false`: `yes` and `on` are text."""
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
PortNumber = Annotated[
    int, Field(strict=True), AfterValidator(lambda number: _between(number, 1, 65535)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535}),
]  # fmt: skip
Scalar = bool | int | float | str


def _between(number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise ValueError(f"{number} is not between {least} and {most}")
    return number
