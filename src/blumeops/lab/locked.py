"""images.lock.yaml: by image, the digest of what its tag meant when somebody looked.

In: the file, one line an image (`docker.io/library/postgres:18.6: sha256:…`), which `blumeops lock` writes and people
review. Out: the digests by whole name; None where the lab has no such file, and so locks nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from blumeops.base.findings import Finding
from blumeops.lab.files import Files
from blumeops.lab.images import DIGEST, whole_name
from blumeops.lab.marks import shown

NAME = "images.lock.yaml"
HEADER = """\
# The digest of each image that this lab runs: what its tag meant when `blumeops lock` asked the registry. That command
# writes this file. Read its changes like those of programs: they are some.
"""


def read(files: Files) -> Mapping[str, str] | None:
    """The digests by whole name; what is none is found, and stands here empty: its image is locked, but wrongly."""
    if not os.path.lexists(files.folder / NAME):
        return None
    document = files.read(files.folder / NAME, NAME)
    if document.data is None:
        return {}
    hint = "blumeops lock"
    if not isinstance(document.data, dict):
        message = "must have a line an image, `NAME:TAG: sha256:…`"
        files.findings.append(Finding("BLU131", document.place(), NAME, message, hint))
        return {}
    locked: dict[str, str] = {}
    for image, digest in document.data.items():
        name = whole_name(image)
        locked.setdefault(name or image, "")
        if name != image:
            message = f"must be an image's whole name with its tag{f', {name}' if name else ''}"
            files.findings.append(Finding("BLU131", document.place(image, of_key=True), shown(image), message, hint))
        elif not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            message = "is locked to what is no digest: `sha256:`, and 64 digits and letters from a to f"
            files.findings.append(Finding("BLU131", document.place(image), shown(image), message, hint))
        else:
            locked[image] = digest
    return locked


def text(locked: Mapping[str, str]) -> str:
    """The file for these digests: in the order of names, a line each."""
    return HEADER + "".join(f"{image}: {digest}\n" for image, digest in sorted(locked.items()))
