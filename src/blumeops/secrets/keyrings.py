"""The age key in the platform's keyring (macOS Keychain, Secret Service, KWallet) instead of in a file.

In: a public key, as the entry's name, and the lines of its secret keys. Out: the same. The library keyring
(https://keyring.readthedocs.io) speaks with each platform's; it is an extra, and imported when a key lies there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from blumeops.base.errors import BlumeError, Unavailable

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "blumeops age key"
LEAST = 1
"""The library's measure of a keyring: those below protect nothing, or only by a file's rights."""
VARIABLES = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")
"""By which a process finds the Secret Service of its session."""


@lru_cache(maxsize=4)
def read(name: str) -> str:
    """The entry's lines. Asked for once a process: a keyring that is locked later stops no controller.

    Raises Unavailable `BLU527` where it is not there, is locked, or has no such entry.
    """
    with _opened() as keyring:
        found = keyring.get_password(SERVICE, name)
    if not found:
        raise _unavailable("has no such entry: another user's, or it was taken out", f"look for {SERVICE!r} in it")
    return found


def write(name: str, lines: str) -> None:
    """Put an entry there, and see that it can be read. Raises Unavailable `BLU527`; then nothing is there."""
    with _opened() as keyring:
        keyring.set_password(SERVICE, name, lines)
        if keyring.get_password(SERVICE, name) != lines:
            raise _unavailable("gives another value than it was given", "")
    read.cache_clear()


def remove(name: str) -> None:
    """Take the entry away. Raises Unavailable `BLU527`."""
    with _opened() as keyring:
        keyring.delete_password(SERVICE, name)
    read.cache_clear()


@contextmanager
def _opened() -> Iterator[KeyringBackend]:
    try:
        import keyring
    except ImportError as error:
        raise _unavailable("needs the library keyring", "pip install 'blumeops[keyring]'") from error
    try:
        backend = keyring.get_keyring()
        if backend.priority < LEAST:
            hint = "unlock it: on a desktop by logging in, else dbus-run-session and gnome-keyring-daemon --unlock"
            raise _unavailable("is not there: no Keychain, Secret Service or KWallet answers", hint)
        yield backend
    except BlumeError:
        raise
    except Exception as error:  # each platform's has errors of its own, and a bus that is gone has others
        raise _unavailable(f"refuses: {str(error) or type(error).__name__}", "unlock it") from error


def _unavailable(message: str, hint: str) -> Unavailable:
    return Unavailable("BLU527", "keyring", message, hint)
