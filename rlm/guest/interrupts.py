"""SIGINT becomes CellTimeout in a running cell, and never anywhere else."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any, Callable

from .errors import CellTimeout, Submitted

__all__ = ["Shield"]

_LEAST_DEPTH = 200
"""Frames that the guest needs to tell of a cell that lowered the limit."""


class Shield:
    """Decides when an interrupt may be raised: in the code of a cell, not inside the guest.

    As a context manager it keeps an interrupt away from what must not be cut in two; the
    interrupt is raised at its end. Only the main thread, which runs the cells, gets interrupts.
    `leave` is called in the main thread once a cell has submitted, and does not return: raising
    would run the cell's handlers, which may go on as they like.
    """

    def __init__(self) -> None:
        self.running = False
        self.submitted = False
        self.leave: Callable[[], None] = _leave
        self._left = False
        self._main = threading.get_ident()
        self._depth = 0
        self._pending = False

    def begin(self) -> None:
        """A cell begins to run; SIGINT is ours again, whatever the last one made of it."""
        signal.signal(signal.SIGINT, self._on_signal)
        self._pending = self.submitted = self._left = False
        self.running = True

    def end(self) -> None:
        """The cell has ended: an interrupt that comes late is dropped, and so is its tracing."""
        if sys.gettrace() is not None or sys.getprofile() is not None:
            sys.settrace(None)
            sys.setprofile(None)
        if sys.getrecursionlimit() < _LEAST_DEPTH:
            sys.setrecursionlimit(_LEAST_DEPTH)
        self.running = self._pending = False

    def accept(self) -> None:
        """The cell has submitted: none of its threads runs on."""
        self.submitted = True
        if threading.get_ident() == self._main:
            self._raise()
        signal.pthread_kill(self._main, signal.SIGINT)  # it may sleep in a call
        never = threading.Lock()
        while True:
            never.acquire()

    def _on_signal(self, number: int, frame: Any) -> None:
        if not self.running:
            return
        if self._depth:
            self._pending = True
        else:
            self._raise()

    def _raise(self) -> None:
        self._pending = False
        if self.submitted and not self._left:
            self._left = True
            self.leave()
        raise CellTimeout("the cell used up its time")

    def __enter__(self) -> Shield:
        if threading.get_ident() == self._main:
            self._depth += 1
        return self

    def __exit__(self, *exc: object) -> None:
        if threading.get_ident() == self._main:
            self._depth -= 1
            if self._pending and not self._depth and self.running:
                self._raise()


def _leave() -> None:
    raise Submitted
