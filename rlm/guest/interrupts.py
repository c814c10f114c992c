"""SIGINT becomes CellTimeout in a running cell, and never anywhere else."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from .errors import CellTimeout, Submitted

__all__ = ["Shield"]


class Shield:
    """Decides when an interrupt may be raised: in the code of a cell, not inside the guest.

    As a context manager it keeps an interrupt away from what must not be cut in two; the
    interrupt is raised at its end. Only the main thread, which runs the cells, gets interrupts.
    """

    def __init__(self) -> None:
        self.running = False
        self.submitted = False
        self._main = threading.get_ident()
        self._depth = 0
        self._pending = False

    def install(self) -> None:
        """Take over SIGINT, in the main thread."""
        signal.signal(signal.SIGINT, self._on_signal)

    def begin(self) -> None:
        """A cell begins to run."""
        self._pending = self.submitted = False
        self.running = True

    def end(self) -> None:
        """The cell has ended: an interrupt that comes late is dropped."""
        if self.submitted:
            sys.settrace(None)
        self.running = self._pending = False

    def accept(self) -> None:
        """The cell has submitted: whatever it would run next raises Submitted instead."""
        self.submitted = True
        if threading.get_ident() != self._main:
            signal.pthread_kill(self._main, signal.SIGINT)  # it may sleep in a call
            return
        frame: Any = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename.startswith("<cell "):
                frame.f_trace = _stop
            frame = frame.f_back
        sys.settrace(_stop)

    def _on_signal(self, number: int, frame: Any) -> None:
        if not self.running:
            return
        if self._depth:
            self._pending = True
        else:
            self._raise()

    def _raise(self) -> None:
        self._pending = False
        if self.submitted:
            raise Submitted
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


def _stop(frame: Any, event: str, argument: Any) -> Any:
    """A trace function that lets no further line of a cell run."""
    if not frame.f_code.co_filename.startswith("<cell "):
        return None
    if event == "line":
        raise Submitted
    return _stop
