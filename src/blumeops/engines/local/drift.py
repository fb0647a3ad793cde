"""What was changed by hand in an instance: which of its files, and what it runs with, and how that differs from what
was written and loaded.

In: the instance that serves. Out: names, or a unified diff. Promised: the diff shows no secret: known values are
masked, and what stands where a secret stood is not shown at all, since it may be one that no store knows.
"""

from __future__ import annotations

from difflib import unified_diff

from blumeops.base.errors import BlumeError
from blumeops.engines.local import addresses, instance, loaded
from blumeops.engines.local.record import Instance
from blumeops.engines.local.resolve import references_of
from blumeops.engines.local.site import Site
from blumeops.secrets.masks import MASK

HIDDEN = "+(not shown: a secret stood there)"
LONGEST = 60
"""Lines of a diff that are shown."""


def of(site: Site, at: Instance) -> tuple[str, ...]:
    """The names of the files that are not as they were written, and `running configuration`."""
    folder = site.folders.instance(at.unit.unit, at.slot) / "config"
    now = instance.stamps(instance.read_files(folder), instance.stamp_key(site.folders.state))
    changed = {name for name in now.keys() | at.written.keys() if now.get(name) != at.written.get(name)}
    found = [f"config/{name}" for name in sorted(changed)]
    found += [f"{path.parent.name}/{path.name}" for path in addresses.differing(site.folders, at)]
    if loaded.changed(site, at) and not site.records.busy(at.unit.unit):
        found.append(loaded.NAME)
    return tuple(found)


def shown(site: Site, at: Instance) -> str:
    """The diff from what was written to what is there now; empty where nothing differs or secrets are not told."""
    folder = site.folders.instance(at.unit.unit, at.slot) / "config"
    resolver = site.resolver(at.unit, at.slot, at.ports)
    found = of(site, at)
    changed = {name.removeprefix("config/") for name in found if name.startswith("config/")}
    try:
        wanted = {f"config/{name}": resolver.text(text) for name, text in at.unit.files.items() if name in changed}
        files = {name: content for name, content in instance.read_files(folder).items() if name in changed}
        now = {f"config/{name}": content.decode(errors="replace") for name, content in files.items()}
        if loaded.NAME in found:
            for reference in references_of(at.unit):  # so that they are masked
                site.secrets(reference)
            wanted[loaded.NAME], now[loaded.NAME] = loaded.kept(site, at), loaded.said_now(site, at)
    except (BlumeError, OSError):
        return ""
    lines: list[str] = []
    for name in sorted(wanted.keys() | now.keys()):
        before = site.secrets.mask(wanted.get(name, "")).splitlines()
        after = site.secrets.mask(now.get(name, "")).splitlines()
        differences = unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="", n=0)
        lines += _without_secrets(list(differences), any(MASK in line for line in before))
    more = [f"… {len(lines) - LONGEST} more lines"] if len(lines) > LONGEST else []
    return "\n".join([*lines[:LONGEST], *more])


def _without_secrets(lines: list[str], has_secrets: bool) -> list[str]:
    """The diff, hunk by hunk: nothing that came into the place of a secret is left in it."""
    if not has_secrets:
        return lines
    found: list[str] = []
    hidden = False
    for number, line in enumerate(lines):
        if line.startswith("@@"):
            end = next((n for n in range(number + 1, len(lines)) if lines[n].startswith("@@")), len(lines))
            hidden = any(each.startswith("-") and MASK in each for each in lines[number + 1 : end])
        # The first two lines name the files. A line that was only added may be a secret moved elsewhere: masked above.
        if hidden and number > 1 and line.startswith("+"):
            if found[-1] != HIDDEN:
                found.append(HIDDEN)
            continue
        found.append(line)
    return found
