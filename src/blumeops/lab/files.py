"""The files of a lab, which are hostile input: links, sizes, encodings. What cannot be had is a finding.

In: paths below the lab's folder or the catalogue. Out: bytes, texts and YAML documents. Promised: nothing outside of
these two is read, and no more than a lab may be large.
"""

from __future__ import annotations

from pathlib import Path

from blumeops.base.errors import UserError
from blumeops.base.findings import Finding, Place
from blumeops.lab import yaml
from blumeops.lab.marks import Document, unread

MOST_LAB_BYTES = 4 * 1024 * 1024
"""All files of a lab together: whoever pushes more would hold up the gate, in time and memory, for everybody."""
CATALOGUE = Path(__file__).parent.parent / "catalogue"


def find_lab(start: Path) -> Path:
    """The folder with lab.yaml: `start` or the nearest one above it. Raises UserError `BLU005`."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "lab.yaml").is_file():
            return folder
    raise UserError("BLU005", str(start), "is no lab: there is no lab.yaml here or above", "name one with --lab DIR")


class Files:
    """Those of the lab in `folder`: what was found wrong, what was read, and how much."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings: list[Finding] = []
        self.documents: dict[str, Document] = {}
        self.read_bytes = 0
        self.roots: dict[Path, Path] = {}
        """The two folders, by how they are called, where they really are."""

    def read(self, path: Path, file: str) -> Document:
        """A document whose findings are told already."""
        text = self.bytes(path, file)
        document = yaml.read(text, file) if isinstance(text, bytes) else unread(text)
        self.documents[file] = document
        self.findings += document.findings
        return document

    def text(self, path: Path, file: str) -> str:
        """The text of a file beside app.yaml; empty, with a finding, when it cannot be had."""
        found = self.bytes(path, file)
        try:
            if isinstance(found, Finding):
                self.findings.append(found)
            elif len(found) > yaml.MOST_BYTES:
                raise ValueError(f"is larger than {yaml.MOST_BYTES // 2**20} MiB")
            else:
                return found.decode()
        except UnicodeDecodeError:
            self.findings.append(Finding("BLU002", Place(file, 1, 1), file, "is not UTF-8 text"))
        except ValueError as error:
            self.findings.append(Finding("BLU002", Place(file, 1, 1), file, str(error)))
        return ""

    def bytes(self, path: Path, file: str) -> bytes | Finding:
        """A file's content, or why it cannot be had: it is missing, no plain file, or leads out of its folder."""
        inside = self.folder if not file.startswith("catalogue/") else CATALOGUE
        place = Place(file, 1, 1)
        try:
            root = self.roots.get(inside) or self.roots.setdefault(inside, inside.resolve())
            if not path.resolve().is_relative_to(root):
                return Finding("BLU006", place, file, "leads out of the lab's folder", "put the file itself there")
            if path.exists() and not path.is_file():
                return Finding("BLU006", place, file, "is not a plain file")
            with path.open("rb") as opened:
                found = opened.read(yaml.MOST_BYTES + 1)
            if inside is self.folder and len(found) <= yaml.MOST_BYTES:  # a larger one is refused by itself
                self.read_bytes += len(found)
            if self.read_bytes > MOST_LAB_BYTES:
                hint = "describe less: this is more than 25,000 services need"
                return Finding("BLU002", place, file, f"makes the lab larger than {MOST_LAB_BYTES // 2**20} MiB", hint)
            return found
        except OSError as error:
            return Finding("BLU006", place, file, f"cannot be read: {error.strerror or error}")
        except RuntimeError:  # Path.resolve, for a link that leads to itself
            return Finding("BLU006", place, file, "is a link that leads to itself")
