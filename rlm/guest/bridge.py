"""The guest's end of the wire: calls to the host from any thread, and the host's commands.

Leader and followers instead of a reader thread: of all threads that wait, one reads and hands the
others what is theirs, so a lone call costs one round trip and no switch of threads.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any, Callable, Deque, Mapping, Sequence

from . import errors
from .interrupts import Shield
from .values import Blobs, decode, encode
from .wire import Bounds, Frame, Frames, pack

__all__ = ["Bridge", "Closed"]

_CHUNK = 64 * 1024
_LARGEST_READ = 8 * 1024 * 1024


class _Beside(Blobs):
    """Texts that would make much JSON, of which a host takes little."""

    least = 256


class Closed(Exception):
    """The host has gone away."""


class _Waiter:
    """One thread that wants frames; while `asleep` it is woken for a frame, or to read."""

    __slots__ = ("asleep", "frames", "woken")

    def __init__(self) -> None:
        self.frames: Deque[Frame] = deque()
        self.asleep = False
        self.woken = threading.Lock()
        self.woken.acquire()

    def wake(self) -> None:
        """Wake its thread, if that sleeps; the caller holds the bridge's mutex."""
        if self.asleep:
            self.asleep = False
            self.woken.release()


class Bridge:
    """Speaks frames over two descriptors.

    `before_call` runs before each call to the host, which takes no frame larger than `most`.
    """

    def __init__(self, read_fd: int, write_fd: int, shield: Shield) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._shield = shield
        self._frames = Frames()
        self._writing = threading.Lock()
        self._mutex = threading.Lock()
        self._reading = False
        self._commands = _Waiter()
        self._waiters: dict[int, _Waiter] = {}
        self._last_id = 0
        self.most = Bounds()
        self.before_call: Callable[[], None] = lambda: None
        self.names: dict[int, str] = {}
        self.objects: dict[str, Any] = {}

    def abandon(self) -> None:
        """Let go of the wire: this is a process that a cell has forked."""
        os.close(self._read_fd)
        if self._write_fd != self._read_fd:
            os.close(self._write_fd)
        self._read_fd = self._write_fd = -1

    def send(self, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send one frame, whole, whoever else is sending."""
        pieces = pack(message, blobs, self.most)
        with self._shield, self._writing:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._write_fd, view) :]

    def command(self) -> Frame:
        """Wait for the host's next command; Closed when the host has gone."""
        return self._wait(self._commands)

    def call(
        self, name: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a host function; what it raises is raised here by name."""
        blobs = _Beside()
        message = {
            "t": "call",
            "name": name,
            "args": encode(list(args), blobs, self.names),
            "kwargs": encode(dict(kwargs or {}), blobs, self.names),
        }
        with self._shield:
            self.before_call()
            waiter = _Waiter()
            with self._mutex:
                self._last_id += 1
                number = message["id"] = self._last_id
                self._waiters[number] = waiter
            try:
                self.send(message, blobs.pieces)
                answer, blob = self._wait(waiter)
            finally:
                self._waiters.pop(number, None)
        if "error" in answer:
            raise errors.from_host(answer["error"])
        return decode(answer.get("value"), blob, self.objects)

    def _wait(self, waiter: _Waiter) -> Frame:
        with self._mutex:
            if waiter.frames:
                return waiter.frames.popleft()
            waiter.asleep = self._reading
            self._reading = True
            leads = not waiter.asleep
        if not leads:
            waiter.woken.acquire()
            if waiter.frames:
                return waiter.frames.popleft()
        try:
            while not waiter.frames:
                self._read()
            return waiter.frames.popleft()
        finally:
            self._hand_over()

    def _read(self) -> None:
        size = min(max(self._frames.wanted, _CHUNK), _LARGEST_READ)
        data = os.read(self._read_fd, size)
        if not data:
            raise Closed
        for frame in self._frames.feed(data):
            owner = self._commands
            if frame[0]["t"] == "answer":
                found = self._waiters.get(frame[0].get("id", 0))
                if found is None:
                    continue  # its thread is gone
                owner = found
            with self._mutex:
                owner.frames.append(frame)
                owner.wake()

    def _hand_over(self) -> None:
        """Make another thread that sleeps the reader, or nobody."""
        with self._mutex:
            for waiter in [*self._waiters.values(), self._commands]:
                if waiter.asleep:
                    waiter.wake()
                    return
            self._reading = False
