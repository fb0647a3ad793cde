"""What a Git hook runs: asks the controller at its unix socket, and prints each line of the answer as it comes.

What enters: argv (hook's name, socket's path), the ref lines on stdin, Git's quarantine in the environment.
What leaves: the lines on stdout and the exit status that the controller says in its last line. Without that
line the answer is no: a push that nobody examined is refused.

Git waits for this program twice in a push, so it imports next to nothing: `_socket` is the C half of `socket`,
whose other half takes as long to import as the interpreter to start. HTTP/1.0 keeps the answer unchunked.
"""

import os
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket
from collections.abc import Iterator

QUARANTINE = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
SHOWN = b"|"
"""Before each line that is for the person."""
STATUS = b"exit "
"""Before the exit status: the last line."""

_SILENT = {
    "pre-receive": "refused: the BlumeOps controller does not answer, so nobody checked this; start it: blumeops up",
    "post-receive": "the BlumeOps controller stopped answering; what was pushed is kept, and applied when it is back",
}


def main(hook: str, path: str) -> int:
    """Run `hook` against the controller at `path`; returns the exit status."""
    try:
        for line in _ask(hook, path):
            if line.startswith(STATUS):
                return int(line[len(STATUS) :])
            if line.startswith(SHOWN):
                sys.stdout.buffer.write(line[1:])
                sys.stdout.buffer.flush()
    except (OSError, ValueError):
        pass
    sys.stdout.write(_SILENT[hook] + "\n")
    return 1


def _ask(hook: str, path: str) -> Iterator[bytes]:
    """POST to the controller; yields the lines of a 200's body."""
    env = "".join(f"{name}={os.environ[name]}\n" for name in QUARANTINE if name in os.environ)
    body = os.fsencode(env) + b"\n" + sys.stdin.buffer.read()
    head = f"POST /hooks/{hook} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.connect(path)
    view = memoryview(head.encode() + body)
    while view:
        view = view[connection.send(view) :]
    rest, started = b"", False
    while chunk := connection.recv(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not started and line.startswith(b"HTTP/") and line.split()[1] != b"200":
                return
            if started:
                yield line + b"\n"
            started = started or line == b"\r"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
