"""Why somebody elsewhere could not be asked: an error of a library for HTTP enters, a line for people leaves."""

from __future__ import annotations

import socket
import ssl
import urllib.error

LONGEST = 300
"""Characters of a text that is not ours."""


def in_words(error: object) -> str:
    """Why, in one printable line."""
    match error:
        case urllib.error.URLError():
            return in_words(error.reason)
        case ssl.SSLCertVerificationError():
            return f"its certificate is not valid: {error.verify_message}"
        case socket.gaierror():
            return "its name cannot be resolved"
        case TimeoutError():
            return "does not answer"
        case OSError() if error.strerror:
            return error.strerror
    line = " ".join(str(error).split())[:LONGEST]
    return line if line.isprintable() and line else type(error).__name__
