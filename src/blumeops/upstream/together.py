"""Many questions to servers at once, and their answers as they come."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

AT_ONCE = 8
Question = TypeVar("Question")
Found = TypeVar("Found")


def asked_together(
    questions: Sequence[Question], answer: Callable[[Question], Found]
) -> Iterator[tuple[Question, Found]]:
    """Each question with what `answer` says, which raises nothing but bugs: those are raised here. The threads are no
    hindrance to the end of the program: who is stopped by Ctrl-C waits for no server."""
    waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Question, Found | Exception]] = queue.SimpleQueue()
    for each in questions:
        waiting.put(each)

    def work() -> None:
        while True:
            try:
                each = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((each, answer(each)))
            except Exception as error:  # a bug: to be raised where somebody sees it
                done.put((each, error))

    for _ in range(min(AT_ONCE, len(questions))):
        threading.Thread(target=work, daemon=True).start()
    for _ in questions:
        each, found = done.get()
        if isinstance(found, Exception):
            raise found
        yield each, found
