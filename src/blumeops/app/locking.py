"""`lock`: the images that a lab runs become lines of images.lock.yaml, each with the digest that its registry says.

In: the lab's folder. Out: what became of each image, and the file's new text. Promised: an image whose registry does
not answer keeps the line that it has; what no service runs any more is dropped; the file is written whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blumeops.base.errors import UserError
from blumeops.base.files import write_whole
from blumeops.base.findings import Finding, Place, errors
from blumeops.checks.check import check_folder
from blumeops.facts.images import Used, used_images
from blumeops.lab import locked
from blumeops.lab.images import parse_image
from blumeops.lab.load import load
from blumeops.upstream.ask import Away
from blumeops.upstream.registry import NoSuchImage, Registries
from blumeops.upstream.together import asked_together

State = Literal["kept", "added", "moved", "dropped", "away", "refused"]


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of an image: `digest` as it is now, `was` before, `why` where it could not be asked for.

    `moved`: its tag means something else than it did; `away`, `refused`: the line that there was, if any, stays.
    """

    image: str
    state: State
    digest: str
    was: str
    service: str
    place: Place
    why: str = ""

    def as_json(self) -> dict[str, object]:
        """The object of `lock --json`."""
        return {
            "image": self.image, "state": self.state, "digest": self.digest or None, "was": self.was or None,
            "service": self.service or None, "file": self.place.file, "line": self.place.line, "reason": self.why,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lock:
    """Every line in the order of names, and the text that the file should have; None: it is as it should be."""

    path: Path
    lines: tuple[Line, ...]
    text: str | None

    def write(self) -> None:
        """Raises EngineError `BLU903`."""
        if self.text is not None:
            write_whole(self.path, self.text)


def blocking(folder: Path) -> list[Finding]:
    """The errors that leave unknown which images are run: all but those of the lock itself, which is written anew."""
    return [finding for finding in errors(check_folder(folder).findings) if finding.code != "BLU131"]


def lock(folder: Path, progress: Callable[[str], None], registries: Registries) -> Lock:
    """Ask for the digest of every image of the lab in `folder`, which has no errors; nothing is written.

    `progress` is told after each answer.
    """
    lab = load(folder).lab
    before = {image: digest for image, digest in (lab.locked or {}).items() if digest}
    used: dict[str, Used] = {}
    for each in used_images(lab):
        used.setdefault(each.image, each)
    lines: list[Line] = []
    for each, (state, digest, why) in asked_together(list(used.values()), lambda each: _asked(registries, each.image)):
        was = before.get(each.image, "")
        became: State = state if not digest or digest == was else "moved" if was else "added"
        lines.append(Line(each.image, became, digest or was, was, each.service, each.place, why))
        progress(f"asked for {len(lines)} of {len(used)} images: {each.image}{f' {why}' if why else ''}")
    for image in before.keys() - used.keys():
        place = lab.documents[locked.NAME].place(image, of_key=True)
        lines.append(Line(image, "dropped", "", before[image], "", place))
    path = folder / locked.NAME
    text = locked.text({line.image: line.digest for line in lines if line.digest})
    there = path.read_text() if path.is_file() else locked.text({})  # no file for no image
    return Lock(path, tuple(sorted(lines, key=lambda line: line.image)), None if text == there else text)


def _asked(registries: Registries, image: str) -> tuple[State, str, str]:
    try:
        return "kept", registries.digest(parse_image(image)), ""
    except Away as error:
        return "away", "", str(error)
    except NoSuchImage as error:
        return "refused", "", str(error)


def must_be_right(folder: Path) -> None:
    """Raises UserError `BLU134` where the lab's own errors leave unknown what it runs."""
    if found := blocking(folder):
        first = f"{found[0].subject} {found[0].message}"
        hint = "blumeops check says all of it"
        raise UserError("BLU134", str(folder), f"does not pass the checks: {first}", hint, found[0].place)
