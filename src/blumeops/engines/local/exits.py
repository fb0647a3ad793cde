"""The end of a process as an event: the kernel tells, nobody asks again and again.

In: names and the pids that they have now. Out: a call for each that ended, in the event loop, within milliseconds.
Linux: a pidfd a process (pidfd_open(2)); macOS: one kqueue with NOTE_EXIT (kqueue(2)); both also tell of processes
that are not our children. Where a kernel has neither, nothing is told, and the timed look finds it later.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

Told = Callable[[str, int], None]
"""Called with the name and the pid of a process that ended."""
HasEnded = Callable[[str, int], bool]
"""Whether that program's pid is another's by now: asked once the end of either can no longer be missed."""


class Exits:
    """Watches exactly the processes that `follow` named last. One event loop's own; not for other threads."""

    def __init__(self, told: Told, has_ended: HasEnded) -> None:
        self._told, self._has_ended = told, has_ended
        self._watched: dict[str, int] = {}
        self._kernel = _kernel(self._ended)

    def follow(self, pids: Mapping[str, int]) -> None:
        """Watch these and no others. One that has ended already is told of, in the loop's next turn."""
        for name, pid in list(self._watched.items()):
            if pids.get(name) != pid:
                self._forget(name)
        for name, pid in pids.items():
            if pid and name not in self._watched:
                self._watched[name] = pid
                if not self._kernel.open(pid) or self._has_ended(name, pid):
                    asyncio.get_running_loop().call_soon(self._ended, pid)

    def close(self) -> None:
        """Watch nothing more."""
        self.follow({})
        self._kernel.close()

    def _ended(self, pid: int) -> None:
        for name in [name for name, watched in self._watched.items() if watched == pid]:
            self._forget(name)
            self._told(name, pid)

    def _forget(self, name: str) -> None:
        self._kernel.forget(self._watched.pop(name))


class _Kernel(Protocol):
    """How a kernel tells."""

    def open(self, pid: int) -> bool:
        """Begin to watch; False when there is no such process any more."""

    def forget(self, pid: int) -> None:
        """Watch it no more; one that is not watched is well too."""

    def close(self) -> None:
        """Give everything back."""


class _Silent:
    """No kernel that could tell."""

    def open(self, pid: int) -> bool:
        return True

    def forget(self, pid: int) -> None: ...

    def close(self) -> None: ...


class _PidDescriptors:
    """Linux: a descriptor a process, readable once it ended."""

    def __init__(self, ended: Callable[[int], None]) -> None:
        self._ended = ended
        self._descriptors: dict[int, int] = {}

    def open(self, pid: int) -> bool:
        try:
            descriptor = os.pidfd_open(pid)  # closed at exec by itself
        except ProcessLookupError:
            return False
        except OSError:  # too many descriptors, or forbidden: the timed look finds its end
            return True
        self._descriptors[pid] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, pid)
        return True

    def forget(self, pid: int) -> None:
        descriptor = self._descriptors.pop(pid, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def close(self) -> None: ...


if sys.platform == "darwin":
    import select

    class _Queue:
        """macOS: one queue for all, readable when one of them ended."""

        def __init__(self, ended: Callable[[int], None]) -> None:
            self._ended = ended
            self._queue = select.kqueue()
            asyncio.get_running_loop().add_reader(self._queue.fileno(), self._read)

        def open(self, pid: int) -> bool:
            try:
                self._change(pid, select.KQ_EV_ADD | select.KQ_EV_ONESHOT)
            except ProcessLookupError:
                return False
            except OSError:
                return True
            return True

        def forget(self, pid: int) -> None:
            with suppress(OSError):  # what ended is out of the queue already
                self._change(pid, select.KQ_EV_DELETE)

        def close(self) -> None:
            asyncio.get_running_loop().remove_reader(self._queue.fileno())
            self._queue.close()

        def _change(self, pid: int, flags: int) -> None:
            event = select.kevent(pid, select.KQ_FILTER_PROC, flags, select.KQ_NOTE_EXIT)
            self._queue.control([event], 0)

        def _read(self) -> None:
            for event in self._queue.control(None, 64, 0):
                self._ended(event.ident)

    def _kernel(ended: Callable[[int], None]) -> _Kernel:
        return _Queue(ended)

else:

    def _kernel(ended: Callable[[int], None]) -> _Kernel:
        with suppress(AttributeError, OSError):
            os.close(os.pidfd_open(os.getpid()))  # Linux before 5.3 has none
            return _PidDescriptors(ended)
        return _Silent()
