"""A private apt: another suite's packages, without root and without touching the machine's own lists.

In: the machine's sources (one-line and deb822), of which only the distribution's own archive counts; the
suite. Out: a configuration for `apt-get -c`. apt verifies the archive's signature with the distribution's
keyring, whatever the machine's entry says.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blumeops.base.files import write_whole

ETC = Path("/etc/apt")
KEYRINGS = Path("/usr/share/keyrings")

CONFIGURATION = """\
Dir::State "{root}/state";
Dir::State::status "/dev/null";
Dir::Cache "{root}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{root}/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
Acquire::Retries "2";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One archive of the machine's sources."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


def release() -> tuple[str, str]:
    """This distribution's id and suite ("debian", "bookworm"); empty where it is not a Debian-like Linux."""
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return "", ""
    return found.get("ID", ""), found.get("VERSION_CODENAME", "")


def archives(entries: Iterator[Entry], distribution: str, suite: str) -> tuple[str, ...]:
    """The URIs of the distribution's main archive: those that carry its own suite with the component main,
    and are signed by nobody else (a third party's archive may use the same names)."""
    uris = []
    for entry in entries:
        foreign = entry.signed_by and not Path(entry.signed_by).name.startswith(f"{distribution}-archive")
        if suite in entry.suites and "main" in entry.components and not foreign:
            uris += [uri.rstrip("/") for uri in entry.uris]
    return tuple(dict.fromkeys(uris))


def machine_entries(etc: Path = ETC) -> Iterator[Entry]:
    """What the machine's own apt reads."""
    parts = sorted((etc / "sources.list.d").glob("*")) if (etc / "sources.list.d").is_dir() else []
    for file in (etc / "sources.list", *parts):
        if file.suffix == ".list" and file.is_file():
            yield from one_line(file.read_text(errors="replace"))
        elif file.suffix == ".sources" and file.is_file():
            yield from stanzas(file.read_text(errors="replace"))


def one_line(text: str) -> Iterator[Entry]:
    """`deb [signed-by=KEYRING] URI SUITE COMPONENT…`, see sources.list(5)."""
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if found:
            options, uri, suite, components = found.groups()
            signed = re.search(r"signed-by=(\S+)", options or "")
            yield Entry((uri,), (suite,), tuple(components.split()), signed.group(1) if signed else "")


def stanzas(text: str) -> Iterator[Entry]:
    """The deb822 form, see sources.list(5)."""
    without_comments = re.sub(r"(?m)^#.*\n?", "", text)
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields = {
            name.lower(): value.split()
            for name, value in re.findall(r"(?m)^([A-Za-z0-9-]+):((?:.*)(?:\n[ \t].*)*)", stanza)
        }
        if "deb" in fields.get("types", ()) and fields.get("enabled", ["yes"])[0].lower() not in ("no", "false"):
            signed = fields.get("signed-by", [""])
            yield Entry(
                tuple(fields.get("uris", ())), tuple(fields.get("suites", ())), tuple(fields.get("components", ())),
                signed[0] if len(signed) == 1 else "inline",
            )  # fmt: skip


def configure(root: Path, uris: tuple[str, ...], suite: str, distribution: str) -> Path:
    """Write the private apt's files below `root`; returns the one for `apt-get -c`."""
    for name in ("state/lists/partial", "cache/archives/partial", "sources"):
        (root / name).mkdir(parents=True, exist_ok=True)
    keyring = KEYRINGS / f"{distribution}-archive-keyring.gpg"
    # `Targets` leaves out translations, contents and software catalogues: packages only.
    sources = f"Types: deb\nURIs: {' '.join(uris)}\nSuites: {suite}\nComponents: main\nTargets: Packages\n"
    write_whole(root / "sources" / "archive.sources", f"{sources}Signed-By: {keyring}\n")
    write_whole(root / "apt.conf", CONFIGURATION.format(root=root))
    return root / "apt.conf"
