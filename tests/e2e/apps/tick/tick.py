"""Notes that it ran, as whom and with which process, and says so."""

import os
import sys
import time
from pathlib import Path

seconds, code, folder = float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
with (folder / "runs").open("a") as file:
    file.write(f"{os.getuid()} {os.getpid()}\n")
print("tick", len((folder / "runs").read_text().splitlines()), flush=True)
time.sleep(seconds)
if code:
    print("bad luck, as if the key were", os.environ["KEY"], flush=True)
print("the end", end="", flush=True)
sys.exit(code)
