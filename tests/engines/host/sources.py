"""What this machine's apt is told, read at run time so that an image uses the same mirror and proxies.

In: the files under /etc/apt, the environment, `apt-config dump`. Out: mirrors, apt settings, local
certificates. Promised: nothing is written, no repository credentials (auth.conf) are read, and no mirror's
name is known to this code.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")
LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
MIRROR_VARIABLE = "TEST_DEBIAN_MIRROR"
"""Names a Debian mirror for machines whose own apt sources are not Debian's, Ubuntu's for one."""

_KEPT = re.compile(r"^Acquire::(https?::|Check-Valid-Until|Check-Date|Retries|ForceIPv[46])", re.IGNORECASE)
_LOOPBACK = re.compile(r"(?<=://)(localhost|127\.\d+\.\d+\.\d+)(?=[:/\"])")


@dataclass(frozen=True, slots=True)
class Source:
    """One apt source: a mirror's address and the suites and components taken from it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where Debian comes from: the main archive, and security updates if the machine takes them."""

    main: str
    security: str | None

    def sources_list(self, suite: str) -> str:
        """The text of a `debian.sources` file for `suite`, main component only."""
        stanzas = [(self.main, f"{suite} {suite}-updates")]
        if self.security:
            stanzas.append((self.security, f"{suite}-security"))
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        return "\n".join(
            f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {keyring}\n"
            for uri, suites in stanzas
        )


def mirrors(sources: Iterable[Source], environment: Mapping[str, str]) -> Mirrors | None:
    """Debian's mirrors among `sources`, or what the environment names; None when there is neither."""
    if named := environment.get(MIRROR_VARIABLE):
        return Mirrors(named, None)
    main, security = None, None
    for source in sources:
        # The archive's path is `debian`, whatever mirror or caching proxy stands before it.
        name = source.uri.rstrip("/").rsplit("/", 1)[-1]
        if name == "debian" and "main" in source.components:
            main = main or source.uri
        elif name == "debian-security":
            security = security or source.uri
    return Mirrors(main, security) if main else None


def sources(folder: Path = APT) -> list[Source]:
    """Every enabled binary source of this machine, in both forms of sources.list(5)."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    found: list[Source] = []
    for file in files:
        if file.is_file() and file.suffix == ".list":
            found += one_line(file.read_text())
        elif file.is_file() and file.suffix == ".sources":
            found += deb822(file.read_text())
    return found


def one_line(text: str) -> Iterator[Source]:
    """Sources of the form `deb [options] uri suite component...`."""
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)((?:\s+[^#\s]+)*)", line.strip())
        if match:
            yield Source(match[1], (match[2],), tuple(match[3].split()))


def deb822(text: str) -> Iterator[Source]:
    """Sources in stanzas. A stanza with several URIs is as many sources."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", lines):
        # A line that begins with a blank continues the field above it.
        fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE))
        values = {name.lower(): value.split() for name, value in fields.items()}
        if "deb" in values.get("types", []) and values.get("enabled", ["yes"]) != ["no"]:
            for uri in values.get("uris", []):
                yield Source(uri, tuple(values.get("suites", [])), tuple(values.get("components", [])))


def apt_settings(environment: Mapping[str, str] = os.environ) -> str:
    """The machine's apt settings that decide whether a download works: proxies, TLS, retries, dates.

    The form is apt.conf's. apt also heeds `http_proxy` and `https_proxy`, so they are written down too.
    """
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    kept = [line for line in dump.splitlines() if _KEPT.match(line)]
    for scheme in ("http", "https"):
        proxy = environment.get(f"{scheme}_proxy")
        kept += [f'Acquire::{scheme}::Proxy "{proxy}";'] if proxy else []
    return "".join(f"{line}\n" for line in kept)


def seen_from_host(settings: str, gateway: str) -> str:
    """The settings as a test host needs them: the machine's loopback is `gateway` to it."""
    return _LOOPBACK.sub(gateway, settings)


def local_certificates(folder: Path = LOCAL_CERTIFICATES) -> dict[str, bytes]:
    """Certificate authorities that this machine trusts beyond Debian's, by file name."""
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.crt"))}
