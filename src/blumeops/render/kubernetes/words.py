"""A service's texts in the words of a pod: paths, addresses, references to secrets.

A text without secrets becomes a string. One with secrets becomes a Go template, which External Secrets fills in
(https://external-secrets.io/latest/guides/templating/): so no manifest ever holds a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from blumeops.base.errors import Bug
from blumeops.facts import parts
from blumeops.facts.derive import ServiceFacts
from blumeops.facts.parts import Text
from blumeops.render.caddy import caddyfile
from blumeops.render.kubernetes.places import Site, address, mounted
from blumeops.render.telemetry import derived
from blumeops.render.telemetry.view import View


def references(texts: Iterable[Text]) -> list[str]:
    """The secrets in `texts`, each once, in order."""
    found = (part.reference for text in texts for part in text if isinstance(part, parts.SecretValue))
    return list(dict.fromkeys(found))


def config_files(site: Site, service: ServiceFacts) -> dict[str, Text]:
    """The configuration files by name, those that are derived among them."""
    files = dict(service.wiring.files)
    for name, file in service.app.files.items():
        if file.derived == "routes":
            settings = site.lab.settings
            domain = settings.network.domain or f"{settings.lab}.internal"
            port = next((port.port for port in service.ports.values() if port.entry), 443)
            files[name] = caddyfile(
                site.lab, site.facts, domain, port, "tls internal",
                lambda route: (
                    parts.Address(route.service, route.port, "host"), ":",
                    parts.Address(route.service, route.port, "port"),
                ),
            )  # fmt: skip
        elif file.derived:
            files |= derived(View(site, service), name, file)
    return {name: files[name] for name in sorted(files)}


def argument(text: str) -> str:
    """A literal for `command`, `args` or `env`, where Kubernetes would replace `$(NAME)`; `$$` is one `$`."""
    return text.replace("$", "$$") if "$$" in text or "$(" in text else text


def go_literal(text: str) -> str:
    """Literal text of a Go template: each `{` that could begin an action is written as a string of one.

    https://pkg.go.dev/text/template#hdr-Text_and_spaces
    """
    return re.sub(r"\{(?=\{|\Z)", '{{ "{" }}', text)


class Words:
    """Says the parts of a service's texts."""

    def __init__(self, site: Site, service: ServiceFacts) -> None:
        self.site, self.service = site, service

    def plain(self, text: Text) -> str:
        """A text that has no secrets."""
        return "".join(self.part(part) for part in text)

    def argument(self, text: Text) -> str:
        """The same, for `command`, `args` or `env`."""
        return argument(self.plain(text))

    def template(self, text: Text, variables: Mapping[str, str]) -> str:
        """A Go template; `variables`: the name by which it finds each reference."""
        said = parts.joined(
            *((part,) if isinstance(part, parts.SecretValue) else self.part(part) for part in text)
        )  # what is literal is one piece again: two `{` may have come together
        return "".join(go_literal(part) if isinstance(part, str) else _action(part, variables) for part in said)

    def part(self, part: parts.Part) -> str:
        service = self.service
        match part:
            case str():
                return part
            case parts.SecretFile(name):
                return f"{self.secrets_folder}/{name}"
            case parts.Listen(_, "host"):
                return "0.0.0.0"  # noqa: S104 - of a pod's own network
            case parts.Listen(port, "port"):
                return str(service.ports[port].port)
            case parts.Address(other, port, "host"):
                return self.address(other, port)[0]
            case parts.Address(other, port, "port"):
                return str(self.address(other, port)[1])
            case parts.Folder("state", name):
                return (service.service.state or service.app.state).folders[name]
            case parts.Folder("run"):
                return self.run_folder
            case parts.Folder("mount", name):
                return mounted(self.site, service, name)
            case parts.FilePath(name):
                return service.app.files[name].path
            case parts.Url(other):
                return self.site.facts.services[other].people_url
        raise Bug("BLU991", "render", f"does not know how to say {type(part).__name__} in Kubernetes")

    def address(self, service: str, port: str) -> tuple[str, int]:
        if led := self.site.access.ids.by_tcp_route(self.service, service, port):
            return f"{self.site.facts.services[service].label}.{self.site.lab.settings.network.domain}", led.number
        return address(self.site, service, port, self.service.service.cluster)

    @property
    def run_folder(self) -> str:
        """The folder for sockets."""
        return f"/run/{self.service.name}"

    @property
    def secrets_folder(self) -> str:
        """The folder of the secrets that are files."""
        return f"/run/secrets/{self.service.name}"


def uses(texts: Iterable[Text], wanted: Callable[[parts.Part], bool]) -> bool:
    """Whether one of the texts has such a part."""
    return any(wanted(part) for text in texts for part in text)


def _action(part: parts.Part, variables: Mapping[str, str]) -> str:
    assert isinstance(part, parts.SecretValue)
    return f"{{{{ .{variables[part.reference]} }}}}"


def variables(found: Iterable[str]) -> dict[str, str]:
    """A name for each reference that a Go template can say: its item and field."""
    names: dict[str, str] = {}
    for reference in found:
        path = reference.removeprefix("op://").split("/")[1:]
        name = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(path)).strip("_") or "secret"
        name = f"_{name}" if name[0].isdigit() else name
        while name in names.values():
            name += "_"
        names[reference] = name
    return names
