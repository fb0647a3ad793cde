"""The two hooks of the repository: tiny scripts that ask the controller.

The socket's path stands in the scripts, so a push that does not come through our HTTP (by path, on this
machine) is asked about all the same.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from blumeops.base.files import write_whole
from blumeops.forge import hook_client

NAMES = ("pre-receive", "post-receive")


def write(folder: Path, socket: Path) -> None:
    """Write both hooks into `folder`, whole, and remove any other file there. Raises EngineError `BLU903`."""
    folder.mkdir(exist_ok=True)
    for other in folder.iterdir():
        if other.name not in NAMES:
            other.unlink()
    for name in NAMES:
        # -I -S: neither the folder, the environment nor site-packages can bring code in; and it starts fast
        command = shlex.join([sys.executable, "-I", "-S", hook_client.__file__, name, str(socket)])
        write_whole(folder / name, f"#!/bin/sh\nexec {command}\n", 0o755)
