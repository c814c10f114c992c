"""What a cell prints: kept within bounds, counted in full, and sent on while the cell runs."""

from __future__ import annotations

import io
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Callable, Deque

from .interrupts import Shield

__all__ = ["Capture", "Flusher", "Kept"]

_EVERY = 0.05
"""Seconds between two pieces of output that are sent while a cell runs."""


class Kept:
    """The head and the tail of a text that may be endless; `limit` is in bytes of UTF-8."""

    def __init__(self, limit: int) -> None:
        self.chars = 0
        self._half = max(limit // 2, 1)
        self._head: list[str] = []
        self._head_size = 0
        self._tail: Deque[str] = deque()
        self._tail_size = 0

    def add(self, text: str) -> None:
        """Append text."""
        self.chars += len(text)
        room = self._half - self._head_size
        if room > 0 and not self._tail:
            head = text if _size(text) <= room else _cut(text, room)
            self._head.append(head)
            self._head_size += _size(head)
            text = text[len(head) :]
        if text:
            self._add_tail(text)

    def _add_tail(self, text: str) -> None:
        if len(text) > self._half:
            text = text[-self._half :]
        self._tail.append(text)
        self._tail_size += _size(text)
        while self._tail_size - _size(self._tail[0]) >= self._half:
            self._tail_size -= _size(self._tail.popleft())

    def text(self) -> str:
        """Return what was kept, with a mark where something was left out."""
        head = "".join(self._head)
        tail = "".join(self._tail)
        if _size(tail) > self._half:
            tail = tail[-self._half :] if tail.isascii() else _cut(tail[::-1], self._half)[::-1]
        left_out = self.chars - len(head) - len(tail)
        return (
            f"{head}\n[... {left_out:,} characters left out ...]\n{tail}"
            if left_out
            else head + tail
        )


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _cut(text: str, room: int) -> str:
    """Return as much of the start of `text` as surely fits."""
    return text[:room] if text.isascii() else text[: max(room // 4, 1)]


class Capture(io.TextIOBase):
    """What the cells of one session write through Python, one cell after the other.

    `emit` takes pieces of text for the host while a cell runs.
    """

    def __init__(self, name: str, shield: Shield, emit: Callable[[str, str], None]) -> None:
        self.name = name
        self._shield = shield
        self._emit = emit
        self._lock = threading.RLock()
        self._limit = 0
        self._kept = Kept(1)
        self._pending: list[str] = []
        self._sent = 0
        self._sent_at = 0.0
        self.flusher: Flusher | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has a plain attribute
        """UTF-8, as everywhere."""
        return "utf-8"

    def writable(self) -> bool:
        """Text can be written to it."""
        return True

    def begin(self, limit: int) -> None:
        """Start with nothing; keep at most `limit` bytes."""
        with self._shield, self._lock:
            self._limit = limit
            self._kept = Kept(limit)
            self._pending = []
            self._sent = 0

    def write(self, text: str) -> int:
        """Keep text, and send it on when enough time has passed."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes text, not {type(text).__name__}")
        with self._shield, self._lock:
            self._kept.add(text)
            if self._sent < self._limit:
                self._pending.append(text)
                if text.endswith("\n") and time.monotonic() - self._sent_at >= _EVERY:
                    self.flush()
                elif self.flusher is not None:
                    self.flusher.wake()
        return len(text)

    def flush(self) -> None:
        """Send what is pending, up to the limit of the cell."""
        with self._shield, self._lock:
            if not self._pending:
                return
            text = "".join(self._pending)[: max(self._limit - self._sent, 0)]
            self._pending = []
            self._sent += len(text)
            self._sent_at = time.monotonic()
            if text:
                self._emit(self.name, text)

    def end(self) -> Kept:
        """Return what the cell has written."""
        with self._shield, self._lock:
            self._pending = []
            return self._kept


class Flusher(ABC):
    """Sends output of a cell that has gone quiet; how it waits for that is for its kinds."""

    def __init__(self, captures: list[Capture]) -> None:
        self._captures = captures
        self._pending = threading.Event()

    @abstractmethod
    def wake(self) -> None:
        """Something is pending: look at it a little later."""
