"""lock: the digest of each image, asked for and written into the lab."""

from __future__ import annotations

import argparse

from blumeops.app import locking
from blumeops.cli import output
from blumeops.cli.place import lab_folder
from blumeops.lab.locked import NAME
from blumeops.upstream.registry import Registries

_WORDS = {"added": "is locked", "moved": "means something else now", "dropped": "is run by nothing"}


def lock(arguments: argparse.Namespace) -> int:
    """`blumeops lock`: 0 done, 1 an image that its registry does not have, 3 with --check where something would change,
    4 a registry did not answer."""
    folder = lab_folder(arguments)
    locking.must_be_right(folder)
    found = locking.lock(folder, lambda line: output.progress(f"{line}\r"), Registries())
    if not arguments.check:
        found.write()
    states = {line.state for line in found.lines}
    if arguments.json:
        images = [line.as_json() for line in found.lines]
        output.say_json({"version": 1, "file": NAME, "changed": found.text is not None, "images": images})
    else:
        _say(found, arguments.check)
    if states & {"away", "refused"}:
        return 4 if "away" in states else 1
    return 3 if arguments.check and found.text is not None else 0


def _say(found: locking.Lock, only_check: bool) -> None:
    for line in found.lines:
        if line.state in ("away", "refused"):
            kept = "its line stays" if line.was else "it stays unlocked"
            output.progress(f"{line.place}: {line.service}: {line.image}: {line.why}; {kept}")
        elif line.state != "kept":
            output.say(output.paint(f"{line.image} {_WORDS[line.state]}", "bold"))
            for sign, digest in (("-", line.was), ("+", line.digest)):
                if digest:
                    output.say(f"  {sign} {digest}")
    locked = sum(bool(line.digest) for line in found.lines)
    images = f"{locked} of {sum(line.state != 'dropped' for line in found.lines)} images"
    if found.text is None:
        output.progress(f"{NAME} stays as it is: {images} are locked")
    elif only_check:
        output.progress(f"{NAME} would change: {images} would be locked")
    else:
        output.progress(f"{NAME} is written: {images} are locked; read what changed, and commit it")
