"""Tailscale: a checked lab becomes `tailscale/policy.hujson`, the policy of its tailnet, for people to read.

HuJSON (JSON with comments): by section, grouped, each entry behind a comment with the lab's line that it comes from.
The same lab gives the same bytes. A lab without a tailnet has no policy. `tailscale/serve/HOST.json` says what each
host serves as Tailscale Services: `tailscale serve set-config --all FILE` takes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from blumeops.base.tree import FileTree
from blumeops.checks.check import CheckedLab
from blumeops.facts.access.access import Access
from blumeops.facts.access.document import Document, Entry, derived

ABOUT = {
    "groups": "Who people are. A person's own devices have no tag: they are their user's.",
    "tagOwners": "Who may give a device a tag. What has a tag is nobody's own.",
    "grants": "Who reaches what. What no grant names is denied; their order means nothing.",
    "ssh": "Who logs in to hosts by Tailscale SSH. `check` asks the person anew from time to time.",
    "autoApprovers": "Who may serve what without being asked.",
    "tests": "What must hold. A policy under which one of these fails is refused by Tailscale.",
    "sshTests": "The same, for SSH.",
}
_WIDE = 110


def render(checked: CheckedLab) -> FileTree:
    """The folder `tailscale/` of a lab; empty without a tailnet."""
    access = checked.access
    if not access.ids.tailnet:
        return FileTree({})
    document = access.merged.document if access.merged is not None else derived(access)
    files = {"tailscale/policy.hujson": text(document, checked.lab.settings.lab).encode()}
    for host, served in _served(access).items():
        files[f"tailscale/serve/{host}.json"] = json.dumps(served, indent=2).encode() + b"\n"
    return FileTree(files)


def text(document: Document, lab: str) -> str:
    """The policy file, with a comment behind every line of the lab that something comes from."""
    lines = [
        f"// The tailnet of the lab {_comment(lab)}: derived by blumeops, change it in the lab's files.",
        "// Each comment names the line that an entry comes from.",
        "{",
    ]
    for name, entries in document.sections.items():
        if not entries:
            continue
        if len(lines) > 3:
            lines.append("")
        lines += [f"  // {ABOUT[name]}"] if name in ABOUT else []
        lines += _section(name, entries, document)
    return "\n".join([*lines, "}"]) + "\n"


def _section(name: str, entries: tuple[Entry, ...], document: Document) -> Iterator[str]:
    if (whole := next((entry for entry in entries if entry.key == "="), None)) is not None:
        yield f"  // {_from(whole)}"
        yield f"  {json.dumps(name)}: {_flat(whole.value)},"
        return
    opening, closing = ("{", "}") if any(entry.key for entry in entries) else ("[", "]")
    yield f"  {json.dumps(name)}: {opening}"
    if name == "autoApprovers":
        services = [entry for entry in entries if not entry.key.startswith("=")]
        if services:
            yield '    "services": {'
            yield from (line for entry in services for line in _entry(entry, "      "))
            yield "    },"
        entries = tuple(entry for entry in entries if entry.key.startswith("="))
    for number, entry in enumerate(entries):
        title = document.titles.get((name, number))
        if title:
            yield from ([""] if number else [])
            yield f"    // {_comment(title)}"
        yield from _entry(entry, "    ")
    yield f"  {closing},"


def _entry(entry: Entry, indent: str) -> Iterator[str]:
    key = f"{json.dumps(entry.key.removeprefix('='))}: " if entry.key else ""
    line = f"{indent}{key}{_flat(entry.value)},"
    comment = f"// {_from(entry)}"
    if key and len(line) + len(comment) < _WIDE:
        yield f"{line}  {comment}"
        return
    yield f"{indent}{comment}"
    if len(line) <= _WIDE:
        yield line
    else:
        yield from (f"{indent}{each}" for each in f"{key}{_tall(entry.value)},".split("\n"))


def _from(entry: Entry) -> str:
    place = f"{entry.place.file}:{entry.place.line}"
    return _comment(place if entry.comment in ("", place, entry.place.file) else f"{entry.comment}; {place}")


def _comment(line: str) -> str:
    """Text that cannot end a comment: on one line, printable."""
    return "".join(char if char.isprintable() else "?" for char in line)


def _plain(value: Any) -> Any:
    """What a `Placed` holds, at any depth."""
    value = getattr(value, "data", value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _flat(value: Any) -> str:
    """On one line, in the way of people: `{"src": ["a"], "dst": ["b"]}`."""
    return json.dumps(_plain(value), ensure_ascii=False)


def _tall(value: Any) -> str:
    """A member a line; lists that are too long as well."""
    value = _plain(value)
    if isinstance(value, dict):
        inside = (f"  {json.dumps(key)}: {_wrapped(each)}," for key, each in value.items())
        return "\n".join(["{", *inside, "}"])
    return _wrapped(value, "")


def _wrapped(value: Any, indent: str = "  ") -> str:
    flat = _flat(value)
    if len(flat) <= _WIDE - 20 or not isinstance(value, list):
        return flat
    return "\n".join(["[", *(f"{indent}  {_flat(each)}," for each in value), f"{indent}]"])


def _served(access: Access) -> dict[str, dict[str, object]]:
    """By host: its Tailscale Services and where each leads. Certificates and names are Tailscale's."""
    found: dict[str, dict[str, Any]] = {}
    for name, door in access.ids.doors.items():
        if door.kind != "service":
            continue
        service = access.facts.services[name]
        pages = service.ports.get("http")
        ends = {
            f"tcp:{number}": f"{'http' if port is pages else 'tcp'}://127.0.0.1:{port.port}"
            for number, port in door.ports
            if port.protocol == "tcp"  # Tailscale Services carry TCP alone
        }
        host = found.setdefault(service.host, {"version": "0.0.1", "services": {}})
        host["services"][door.selector] = {"endpoints": ends}
    return {host: found[host] for host in sorted(found)}
