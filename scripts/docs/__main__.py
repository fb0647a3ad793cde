"""The parts of docs/reference/ that code already says: written into the pages, between their markers.

    python scripts/docs            write them          (`make docs`)
    python scripts/docs --check    name the pages that are out of date, and exit with 1

A page holds `<!-- generated: NAME -->` and `<!-- end of NAME -->`; what stands around them is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import alerts
import codes
import commands
import models

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
PARTS: dict[str, Callable[[], str]] = {
    "alerts": alerts.alerts,
    "dashboards": alerts.pictures,
    "commands": commands.page,
    "checks": codes.checks,
    "codes": codes.page,
    "app fields": models.app_fields,
    "app parts": models.app_parts,
    "kinds of value": models.kinds,
    "lab": models.lab,
    "lookups": models.lookups,
}
_BLOCK = re.compile(r"(<!-- generated: (?P<name>.+?) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)


def written(page: str) -> str:
    """The page with every generated part anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{PARTS[block['name']]().strip()}\n\n{block[3]}", page)


def main() -> int:
    """Write the pages, or with --check say which differ."""
    stale, seen = [], set()
    for path in sorted(REFERENCE.glob("*.md")):
        page = path.read_text()
        seen |= {block["name"] for block in _BLOCK.finditer(page)}
        if (new := written(page)) != page:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(new)
    if missing := PARTS.keys() - seen:
        print(f"no page of docs/reference/ has the markers of: {', '.join(sorted(missing))}")
        return 1
    if "--check" in sys.argv and stale:
        print(f"out of date: {', '.join(stale)}; type: make docs")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
