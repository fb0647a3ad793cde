"""The downloads of a service's release, as variables of its role: for the systems on which no package brings it.

In: the service and a system, `linux` or `darwin`. Out: by platform the address, the SHA-256 and the paths on the host.
A folder's name has the version and the beginning of the SHA-256, so another download never comes upon the files of
the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blumeops.facts.derive import ServiceFacts
from blumeops.lab.releases import Archive, called_by, downloads
from blumeops.render.ansible.words import in_variable

ARCHITECTURES = "{'x86_64': 'amd64', 'aarch64': 'arm64', 'arm64': 'arm64'}"


@dataclass(frozen=True, slots=True)
class Release:
    """`found`: by platform the variables of a download; `program`: what the command calls it; `linked`: whether it has
    another name in the archive."""

    archive: Archive
    program: str
    linked: bool
    found: dict[str, dict[str, str]]


def release(service: ServiceFacts, system: str, below: str) -> Release | None:
    """The first download of this system, to be unpacked below the folder `below` (with expressions of its own); None
    where there is none whose SHA-256 is known for the version."""
    app = service.app
    source = next((each for each in app.sources if each.sha256), None)
    version = source and (source.version or service.version)
    if not source or not version or version != (source.version or app.version):
        return None
    chosen = {name: each for name, each in downloads(source, version).items() if name.startswith(f"{system}-")}
    if not chosen:
        return None
    name, found = called_by(app.command, app.app), dict[str, dict[str, str]]()
    for platform, each in chosen.items():
        home = f"{below}/{version}-{each.sha256[:12]}"
        folder = f"{home}/{each.folder}" if each.folder else home
        found[platform] = {
            "url": in_variable((each.url,)), "sha256": each.sha256, "home": home, "folder": folder,
            "program": each.program or name,
        }  # fmt: skip
    first = next(iter(chosen.values()))
    return Release(first.archive, name, any(each["program"] != name for each in found.values()), found)


def variables(release: Release, system: str, name_of: Any) -> dict[str, Any]:
    """Which of the downloads is this machine's, found out when the role runs. `name_of`: a variable's full name."""
    machine = f"{ARCHITECTURES}[ansible_facts['architecture']] | default('unknown')"
    chosen = f"{{{{ {name_of('downloads')}['{system}-' ~ {name_of('architecture')}] }}}}"
    return {"architecture": f"{{{{ {machine} }}}}", "downloads": release.found, "download": chosen}
