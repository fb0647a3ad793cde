"""The fixtures of this folder, for its own tests."""

from .fixtures import fresh_host, linux_host

__all__ = ["fresh_host", "linux_host"]
