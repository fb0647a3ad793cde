"""Histories as somebody may have them before there is a gate: made at once, by the real git."""

from __future__ import annotations

import random
import string

from tests.engines.forge.live import Client


def history(client: Client, commits: int, size: int) -> None:
    """A branch `long` of many commits, each with a file of so many bytes, made by one git."""
    words = random.Random(1)
    text = "".join(f"line {''.join(words.choices(string.ascii_letters, k=60))}\n" for _ in range(200))
    stream = ["reset refs/heads/long\n"]
    for at in range(commits):
        body = (f"{at}\n{text}" * (size // len(text) + 1))[:size]
        stream.append(
            f"commit refs/heads/long\ncommitter me <me@x> {at + 1} +0000\ndata 1\nx\n"
            f"M 100644 inline f{at % 50}\ndata {size}\n{body}\n"
        )
    client.git("fast-import", "--quiet", stdin="".join(stream).encode())
